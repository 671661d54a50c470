"""Photo-like JPEGs in any number: crops of the sample photographs, each of another place, size and orientation.

They have what phones write: EXIF with camera, position and orientation. The same arguments give the same photographs,
and a folder that has them already is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

from PIL import ExifTags, Image

SAMPLES = Path(__file__).parents[2] / "samples"
BASES = ("dandelion.jpg", "mountains.jpg", "sunset.jpg")
MEGAPIXELS = (2.0, 3.0, 5.0, 8.0, 12.0)
SHAPES = ((4, 3), (3, 2), (16, 9), (1, 1))
_VERSION = 1


def photographs(count: int, *, seed: int = 1, folder: Path) -> list[Path]:
    """So many photographs of 2 to 12 megapixels in that folder, no two alike."""
    folder.mkdir(parents=True, exist_ok=True)
    prefix = hashlib.sha256(f"{_VERSION} {seed} {BASES}".encode()).hexdigest()[:8]
    paths = [folder / f"{prefix}-{index:05}.jpg" for index in range(count)]
    missing = [(index, path) for index, path in enumerate(paths) if not path.exists()]
    # One base at a time: a decoded photograph takes 50 MB.
    for turn, name in enumerate(BASES):
        mine = [(index, path) for index, path in missing if index % len(BASES) == turn]
        if mine:
            with Image.open(SAMPLES / name) as base:
                _write(base.convert("RGB"), mine, seed)
    return paths


def _write(base: Image.Image, wanted: list[tuple[int, Path]], seed: int) -> None:
    for index, path in wanted:
        chance = random.Random(f"{seed} {index}")
        whole = path.with_suffix(f".{os.getpid()}")
        _crop(base, chance).save(whole, "JPEG", quality=chance.randint(78, 90), exif=_exif(index, chance))
        whole.replace(path)


def _crop(base: Image.Image, chance: random.Random) -> Image.Image:
    across, down = chance.choice(SHAPES)
    side = (chance.choice(MEGAPIXELS) * chance.uniform(0.9, 1.0) * 1e6 / (across * down)) ** 0.5
    width, height = min(base.width, round(side * across)), min(base.height, round(side * down))
    left, top = chance.randint(0, base.width - width), chance.randint(0, base.height - height)
    crop = base.crop((left, top, left + width, top + height))
    return crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if chance.random() < 0.5 else crop


def _exif(index: int, chance: random.Random) -> Image.Exif:
    """The serial number makes the bytes differ even where two crops are the same."""
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Sample"
    exif[ExifTags.Base.ImageDescription] = f"photograph {index}"
    exif[ExifTags.Base.Orientation] = chance.choice((1, 1, 1, 6, 8, 3))
    position = exif.get_ifd(ExifTags.IFD.GPSInfo)
    position[ExifTags.GPS.GPSLatitudeRef] = "N"
    position[ExifTags.GPS.GPSLatitude] = (48.0, float(chance.randint(0, 59)), 0.0)
    return exif

"""Real photographs of 3 to 12 megapixels: JPEG, quality 90, cut from the pictures of two Debian packages.

    python tests/perf/corpus.py --count 120

The same numbers give the same files, which are kept below build/perf until the numbers change. A folder of one's own
photographs takes their place with `--from`.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import os
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

BUILD = Path(__file__).parents[2] / "build" / "perf"
BACKGROUNDS = Path("/usr/share/backgrounds")
PACKAGES = ("mate-backgrounds", "gnome-backgrounds")
PHOTOGRAPHS = (
    "mate/nature/*.jpg",
    "mate/abstract/Elephants_5640x3172.jpg",
    "gnome/wood-?.webp",
)
"""Those with the detail of photographs. The packages' other pictures are drawings and gradients."""
SUFFIXES = frozenset({".jpg", ".jpeg"})
SHAPES = ((4, 3), (3, 2), (16, 9), (3, 4), (1, 1))
ENLARGED = 2.0
"""Most a side is stretched: beyond that there is nothing in a picture that a resize filter could spoil."""
_VERSION = 1


class NoPhotographs(Exception):
    """There is nothing to make them of; the text says what to install."""


@dataclass(frozen=True)
class Corpus:
    """How many, how large, and by which seed."""

    count: int = 120
    seed: int = 1
    megapixels: tuple[float, ...] = (3.2, 3.2, 4.0, 4.0, 5.0, 6.0, 8.0, 12.0)
    """Of cameras, the smaller ones more often; each photograph is up to a twentieth below one of these."""
    quality: int = 90

    def folder(self, sources: Sequence[Path]) -> Path:
        """Where they are kept: another one for other numbers or other sources. More of them go to the same one."""
        text = f"{_VERSION} {self.seed} {self.megapixels} {self.quality}"
        named = " ".join(f"{path.name}:{path.stat().st_size}" for path in sources)
        return BUILD / f"corpus-{hashlib.sha256(f'{text} {named}'.encode()).hexdigest()[:10]}"


@dataclass(frozen=True)
class Cut:
    """One photograph to make: which part of which source, and how large."""

    source: Path
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    mirrored: bool


def sources(backgrounds: Path = BACKGROUNDS) -> list[Path]:
    """The packages' photographs. Raises NoPhotographs."""
    found = sorted(path for pattern in PHOTOGRAPHS for path in backgrounds.glob(pattern))
    if not found:
        install = f"apt-get install --no-install-recommends {' '.join(PACKAGES)}"
        raise NoPhotographs(f"There are no photographs in {backgrounds}: {install}, or name a folder of your own.")
    return found


def own(folder: Path, count: int) -> list[Path]:
    """So many of a folder's JPEGs as they are, in the order of their names. Raises NoPhotographs."""
    found = list(islice((path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES), count))
    if not found:
        raise NoPhotographs(f"There are no JPEG files in {folder}.")
    return found


def cuts(corpus: Corpus, sizes: dict[Path, tuple[int, int]]) -> Iterator[Cut]:
    """What to make, one after the other; the first n are the same however many follow."""
    for index in range(corpus.count):
        chance = random.Random(f"{corpus.seed} {index}")
        pixels = chance.choice(corpus.megapixels) * chance.uniform(0.95, 1.0) * 1e6
        across, down = chance.choice(SHAPES)
        side = math.sqrt(pixels / (across * down))
        wanted = round(side * across), round(side * down)
        able = [path for path, size in sizes.items() if _scale(size, wanted) <= ENLARGED]
        source = chance.choice(able or [max(sizes, key=lambda path: math.prod(sizes[path]))])
        scale = max(_scale(sizes[source], wanted), chance.uniform(0.7, 1.2))
        width, height = (min(int(want / scale), have) for want, have in zip(wanted, sizes[source], strict=True))
        left, top = chance.randint(0, sizes[source][0] - width), chance.randint(0, sizes[source][1] - height)
        yield Cut(source, (left, top, left + width, top + height), wanted, chance.random() < 0.5)


def _scale(have: tuple[int, int], wanted: tuple[int, int]) -> float:
    """How much the largest part of that shape has to be stretched."""
    return max(want / side for want, side in zip(wanted, have, strict=True))


def make(cut: Cut, path: Path, quality: int) -> None:
    """Write one; under its own name only when it is whole."""
    with Image.open(cut.source) as image:
        picture = image.convert("RGB").resize(cut.size, Image.Resampling.LANCZOS, box=cut.box)
    if cut.mirrored:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    whole = path.with_suffix(f".{os.getpid()}")
    picture.save(whole, "JPEG", quality=quality)
    whole.replace(path)


def photographs(
    corpus: Corpus, folder: Path | None = None, tell: Callable[[int, int], None] = lambda done, whole: None
) -> list[Path]:
    """The paths, missing ones made first; `tell` hears how far that is. Raises NoPhotographs."""
    if folder is not None:
        return own(folder, corpus.count)
    found = sources()
    place = corpus.folder(found)
    place.mkdir(parents=True, exist_ok=True)
    sizes = {path: _size(path) for path in found}
    paths = [place / f"{index:05}.jpg" for index in range(corpus.count)]
    missing = [(cut, path) for cut, path in zip(cuts(corpus, sizes), paths, strict=True) if not path.exists()]
    if missing:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            made = [pool.submit(make, cut, path, corpus.quality) for cut, path in missing]
            for done, future in enumerate(as_completed(made), 1):
                future.result()
                tell(done, len(missing))
    return paths


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=Corpus.count, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=Corpus.seed, help="another one, other photographs (%(default)s)")
    parser.add_argument("--from", dest="folder", type=Path, help="a folder of JPEG files to take instead")
    options = parser.parse_args()
    try:
        paths = photographs(Corpus(options.count, options.seed), options.folder)
    except NoPhotographs as missing:
        raise SystemExit(str(missing)) from None
    sizes = [_size(path) for path in paths]
    pixels = sum(math.prod(size) for size in sizes) / 1e6
    print(f"{len(paths)} photographs, {sum(path.stat().st_size for path in paths) / 1e6:.0f} MB, {pixels:.0f} MP")
    print(f"in {paths[0].parent}")


if __name__ == "__main__":
    main()

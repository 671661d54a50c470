"""The pixels as the peer makes them: all decoded, each rendition by LANCZOS from all of it, WebP as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from PIL import Image

QUALITY = 80
SIZES = (("thumbnail", 150), ("medium", 600), ("large", 1200))


def renditions(data: bytes, sizes: Sequence[tuple[str, int]] = SIZES) -> list[tuple[str, bytes]]:
    """Name and WebP file of each. Pillow's default method is 4."""
    image: Image.Image = Image.open(BytesIO(data))
    image.load()
    if image.mode != "RGB":
        image = image.convert("RGB")
    made = []
    for name, size in sizes:
        copy = image.copy()
        copy.thumbnail((size, size), Image.Resampling.LANCZOS)
        file = BytesIO()
        copy.save(file, "WEBP", quality=QUALITY)
        made.append((name, file.getvalue()))
    return made

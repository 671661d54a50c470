"""Fidelity: how true a rendition is to the original, and what that costs, by its size.

Chosen by measurement: docs/design/20261123-pixel-recipe.md has the table. The finest filter and the encoder's effort
cost most on large renditions and are seen least there; what a cheaper filter saves in bytes pays for a higher quality.
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from media_worker.decoder.geometry import Size


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Resize filter, and the WebP encoder's quality (0 to 100) and effort (`method`, 0 to 6)."""

    filter: Image.Resampling
    quality: int
    method: int


SMALL_UP_TO = 200
SMALL = Fidelity(Image.Resampling.LANCZOS, quality=86, method=4)
LARGE = Fidelity(Image.Resampling.BICUBIC, quality=81, method=2)


def fidelity(size: Size) -> Fidelity:
    """That of a rendition of so many pixels."""
    return SMALL if max(size.pair) <= SMALL_UP_TO else LARGE

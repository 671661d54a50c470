"""Shrink: to the largest rendition. Everything after it works on few pixels."""

from __future__ import annotations

from dataclasses import replace

from PIL import Image

from media_worker.decoder.geometry import Size
from media_worker.decoder.steps.fidelity import fidelity
from media_worker.decoder.steps.picture import Picture


def shrink(picture: Picture) -> Picture:
    """Pixels of the largest rendition's size."""
    return replace(picture, pixels=resized(picture.pixels, picture.plan.largest))


def resized(pixels: Image.Image, size: Size) -> Image.Image:
    """At exactly that size, by the filter for it. The gap lets whole factors go first where that is not seen."""
    if pixels.size == size.pair:
        return pixels
    return pixels.resize(size.pair, fidelity(size).filter, reducing_gap=2.0)

"""Shrink: to the largest rendition. Everything after it works on few pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
from PIL import Image

from media_worker.decoder.geometry import Size
from media_worker.decoder.steps.picture import Picture

_RESIZER: Final = Resizer()
_LANCZOS: Final = ResizeOptions(ResizeAlg.convolution(FilterType.lanczos3))


def shrink(picture: Picture) -> Picture:
    """Pixels of the largest rendition's size."""
    return replace(picture, pixels=resized(picture.pixels, picture.plan.largest))


def resized(pixels: Image.Image, size: Size) -> Image.Image:
    """At exactly that size, by LANCZOS. L, LA, RGB, RGBA and CMYK; colours count as much as their alpha says."""
    if pixels.size == size.pair:
        return pixels
    if pixels.mode == "LA":  # the one mode of ours that the resizer does not know; grey comes back as it went
        return resized(pixels.convert("RGBA"), size).convert("LA")
    smaller = Image.new(pixels.mode, size.pair)
    _RESIZER.resize_pil(pixels, smaller, _LANCZOS)
    return smaller

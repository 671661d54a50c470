"""Load: the pixels of the first frame, a JPEG's already shrunk while it is decoded; then modes that can be resized."""

from __future__ import annotations

import warnings

from PIL import ExifTags, Image

from media_worker.decoder.geometry import Plan
from media_worker.decoder.steps.header import BROKEN
from media_worker.decoder.steps.picture import Picture

_UPRIGHT = 1


def load(image: Image.Image, plan: Plan) -> Picture:
    """Decode. The target of `draft` is the largest rendition: more pixels than that are never needed."""
    if plan.largest != plan.original:
        image.draft(None, plan.largest.pair)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks about odd metadata; the bomb check was before
        image.load()
        orientation = _orientation(image)
    profile = image.info.get("icc_profile")
    pixels = _plain(image)
    pixels.info = {}
    return Picture(pixels, plan, profile if isinstance(profile, bytes) else None, orientation)


def _orientation(image: Image.Image) -> int:
    """1 to 8; broken EXIF counts as upright. Read after the pixels: a PNG may carry it behind them."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, _UPRIGHT)
    except BROKEN:
        return _UPRIGHT
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else _UPRIGHT


def _plain(image: Image.Image) -> Image.Image:
    """8 bits a channel, no palette: L, LA, RGB, RGBA or CMYK."""
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("L", "RGB", "P", "1") and "transparency" in image.info:
        return image.convert("LA" if image.mode in ("L", "1") else "RGBA")
    match image.mode:
        case "L" | "LA" | "RGB" | "RGBA" | "CMYK":
            return image
        case "1" | "F":
            return image.convert("L")
        case "I":
            return image.point(lambda value: value * (1 / 256)).convert("L")
        case "La":
            return image.convert("LA")
        case "PA" | "RGBa":
            return image.convert("RGBA")
        case _:
            return image.convert("RGB")

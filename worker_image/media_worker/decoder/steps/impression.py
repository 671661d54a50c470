"""Impression: what a page shows before the rendition is there: a placeholder and the dominant colour."""

from __future__ import annotations

from base64 import b64encode

import fast_thumbhash
from PIL import Image

from media_worker.decoder.geometry import Size, fit
from media_worker.decoder.steps.shrink import resized

PLACEHOLDER_SIDE = 100
"""ThumbHash takes no larger picture."""
_COLOURS = 6
_COLOURS_SIDE = 32
"""More pixels than this give the same few colours."""
_VISIBLE = 128


def small(pixels: Image.Image) -> Image.Image:
    """RGBA, small enough for both."""
    return resized(pixels, fit(Size(*pixels.size), PLACEHOLDER_SIDE)).convert("RGBA")


def placeholder(rgba: Image.Image) -> str:
    """A ThumbHash (evanw.github.io/thumbhash) in base64: some 25 bytes that a browser turns into a blurred picture."""
    return b64encode(bytes(fast_thumbhash.rgba_to_thumb_hash(*rgba.size, rgba.tobytes()))).decode()


def dominant_color(rgba: Image.Image) -> str:
    """The most frequent of a few colours, as #rrggbb. Transparent pixels do not count, unless there are no others."""
    fewer = resized(rgba, fit(Size(*rgba.size), _COLOURS_SIDE))
    few = _visible(fewer).quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    counts = few.histogram()
    index = counts.index(max(counts))
    red, green, blue = (few.getpalette() or [])[3 * index : 3 * index + 3]
    return f"#{red:02x}{green:02x}{blue:02x}"


def _visible(rgba: Image.Image) -> Image.Image:
    """The pixels that count, in RGB. Where some do not, as a strip of the others: there is no mask for quantizing."""
    counts = rgba.getchannel("A").histogram()
    if not any(counts[:_VISIBLE]) or not any(counts[_VISIBLE:]):
        return rgba.convert("RGB")
    pixels = rgba.tobytes()
    seen = b"".join(pixels[at : at + 3] for at in range(0, len(pixels), 4) if pixels[at + 3] >= _VISIBLE)
    return Image.frombytes("RGB", (len(seen) // 3, 1), seen)

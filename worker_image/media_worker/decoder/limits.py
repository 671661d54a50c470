"""What an image may cost, checked on its header before a pixel is decoded. Pure: it never sees a pixel."""

from __future__ import annotations

from media_core.reasons import Reason
from media_worker.decoder.protocol import DecodeRefused, Limits

ANIMATION_BUDGET = 20
"""An animation's frames together may have so many times the pixels of a still image."""


def check_pixels(limits: Limits, width: int, height: int) -> None:
    """Raises DecodeRefused for an image that is too large to decode."""
    if width * height > limits.max_pixels:
        message = f"The image has {width} x {height} = {width * height} pixels; {limits.max_pixels} are allowed."
        raise DecodeRefused(Reason.TOO_MANY_PIXELS, message)


def check_frames(limits: Limits, width: int, height: int, frames: int) -> None:
    """Raises DecodeRefused for an animation that is too long, or too long for its size."""
    if frames > limits.max_frames:
        message = f"The image has {frames} frames or more; {limits.max_frames} are allowed."
        raise DecodeRefused(Reason.TOO_MANY_FRAMES, message)
    pixels, allowed = width * height * frames, limits.max_pixels * ANIMATION_BUDGET
    if frames > 1 and pixels > allowed:
        message = f"The {frames} frames of {width} x {height} have {pixels} pixels together; {allowed} are allowed."
        raise DecodeRefused(Reason.TOO_MANY_FRAMES, message)

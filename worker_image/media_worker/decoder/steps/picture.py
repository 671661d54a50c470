"""A picture on its way through the steps: pixels, how they are to be understood, and the plan for them."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from media_worker.decoder.geometry import Plan


@dataclass(frozen=True, slots=True)
class Picture:
    """Every step takes one and returns another."""

    pixels: Image.Image
    plan: Plan
    profile: bytes | None
    """The ICC profile its colours are in."""
    orientation: int
    """As EXIF counts: 1 is upright, from 5 on it lies on its side."""

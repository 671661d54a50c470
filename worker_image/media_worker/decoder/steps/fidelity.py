"""Fidelity: how true a rendition is to the original, and what that costs, by its size.

Chosen by measurement: docs/design/20261123-pixel-recipe.md has the table. The encoder's effort costs most on large
renditions and wins least there; a small one has so few bytes that more of them are not noticed.
"""

from __future__ import annotations

from dataclasses import dataclass

from media_worker.decoder.geometry import Size


@dataclass(frozen=True, slots=True)
class Fidelity:
    """The WebP encoder's quality (0 to 100) and effort (`method`, 0 to 6), for sides of up to so many pixels."""

    up_to: float
    quality: int
    method: int


FIDELITIES = (
    Fidelity(200, quality=86, method=4),
    Fidelity(800, quality=80, method=2),
    Fidelity(float("inf"), quality=75, method=0),
)


def fidelity(size: Size) -> Fidelity:
    """That of a rendition of so many pixels."""
    return next(each for each in FIDELITIES if max(size.pair) <= each.up_to)

"""Structural similarity of two pictures' luma, as Wang et al. define it (2004).

A Gaussian window of 11 pixels, sigma 1.5; only where the whole of it lies inside the picture, as in the
authors' own program.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Plane = NDArray[np.float64]

RADIUS, SIGMA = 5, 1.5
K1, K2, RANGE = 0.01, 0.03, 255.0
_OFFSETS = np.arange(-RADIUS, RADIUS + 1)
_WEIGHTS = np.exp(-(_OFFSETS**2) / (2 * SIGMA**2))
KERNEL = _WEIGHTS / _WEIGHTS.sum()


def luma(image: Image.Image) -> Plane:
    """Its brightness (ITU-R 601), 0 to 255."""
    return np.asarray(image.convert("L"), dtype=np.float64)


def similarity(one: Plane, other: Plane) -> float:
    """1.0 where they are the same. Both at least 11 pixels wide and high, and of the same size."""
    if one.shape != other.shape or min(one.shape) < len(KERNEL):
        raise ValueError(f"{one.shape} and {other.shape} cannot be compared")
    mean_one, mean_other = _blurred(one), _blurred(other)
    variance_one = _blurred(one * one) - mean_one**2
    variance_other = _blurred(other * other) - mean_other**2
    covariance = _blurred(one * other) - mean_one * mean_other
    c1, c2 = (K1 * RANGE) ** 2, (K2 * RANGE) ** 2
    above = (2 * mean_one * mean_other + c1) * (2 * covariance + c2)
    below = (mean_one**2 + mean_other**2 + c1) * (variance_one + variance_other + c2)
    return float(np.mean(above / below))


def _blurred(plane: Plane) -> Plane:
    """The window's weighted mean at every place where it fits: first down, then across."""
    return _along(_along(plane).T).T


def _along(plane: Plane) -> Plane:
    length = plane.shape[0] - len(KERNEL) + 1
    total: Any = KERNEL[0] * plane[:length]
    for offset, weight in enumerate(KERNEL[1:], 1):
        total += weight * plane[offset : offset + length]
    return np.asarray(total)

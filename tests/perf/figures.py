"""What is made of measured numbers: percentiles, medians with their spread, and how one side compares to the other.

Pure, and apart from what measures: a figure that is printed, plotted and judged is computed once, here.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """Several measurements of one thing: the median, and between what they lay."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one measurement."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def tail(values: Sequence[float]) -> dict[str, float]:
    """The median and how far the slow ones are from it."""
    return {name: percentile(values, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def compared(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Our median as a multiple of theirs; between what the rounds' own ratios lay.

    Each round of ours is held against the round of theirs beside it, so that a slow minute of the machine falls on
    both sides of one ratio.
    """
    pairs = [mine / other for mine, other in zip(ours, theirs, strict=True)]
    return Spread(statistics.median(ours) / statistics.median(theirs), min(pairs), max(pairs), len(pairs))


def growth(small: tuple[int, float], large: tuple[int, float]) -> float:
    """Seconds per asset of the larger run as a multiple of those of the smaller one; 1.0 grows straight."""
    return (large[1] / large[0]) / (small[1] / small[0])

"""Backlog: how many seconds one worker would need for all that is queued or running. The HPA scales on it.

Seconds and not counts, because a 50-megapixel photograph costs a hundred icons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, fsum
from typing import NamedTuple

from media_core.asset import AssetType


class Volume(NamedTuple):
    """So many assets of one type and their bytes together: the estimate is a straight line and needs no more."""

    asset_type: AssetType
    assets: int
    size_bytes: int


CONSTANT_SECONDS: Mapping[AssetType, float] = {
    AssetType.IMAGE: 0.1,
    AssetType.VIDEO: 5.0,
    AssetType.PDF: 0.0,
    AssetType.SCORM: 0.0,
}
SECONDS_PER_MEGABYTE: Mapping[AssetType, float] = {
    AssetType.IMAGE: 0.08,
    AssetType.VIDEO: 1.0,
    AssetType.PDF: 0.0,
    AssetType.SCORM: 0.0,
}


def estimate(volume: Volume) -> float:
    """Seconds one core needs for all of it."""
    kind, assets, size_bytes = volume
    return CONSTANT_SECONDS[kind] * assets + SECONDS_PER_MEGABYTE[kind] * size_bytes / 1_000_000


def backlog_seconds(work: Iterable[Volume], concurrency: int) -> int:
    """Whole seconds one worker of that concurrency needs for all of it, rounded up."""
    return ceil(fsum(map(estimate, work)) / concurrency)

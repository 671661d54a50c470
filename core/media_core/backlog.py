"""Backlog: how many seconds one worker would need for all that is queued or running. The HPA scales on it.

Seconds and not counts, because a 50-megapixel photograph costs a hundred icons.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, fsum

from media_core.asset import AssetType

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


def estimate(asset_type: AssetType, size_bytes: int) -> float:
    """Seconds one core needs for one asset."""
    return CONSTANT_SECONDS[asset_type] + SECONDS_PER_MEGABYTE[asset_type] * size_bytes / 1_000_000


def backlog_seconds(work: Iterable[tuple[AssetType, int]], concurrency: int) -> int:
    """Whole seconds one worker of that concurrency needs for all of it, rounded up."""
    return ceil(fsum(estimate(kind, size) for kind, size in work) / concurrency)

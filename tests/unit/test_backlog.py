from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.asset import AssetType
from media_core.backlog import backlog_seconds, estimate

WORK = st.lists(st.tuples(st.sampled_from(AssetType), st.integers(0, 10**10)))


@pytest.mark.parametrize("kind", AssetType)
def test_every_type_has_an_estimate(kind: AssetType) -> None:
    assert estimate(kind, 5_000_000) >= 0


@pytest.mark.parametrize(
    ("work", "concurrency", "seconds"),
    [
        pytest.param([], 2, 0, id="nothing to do is no backlog"),
        pytest.param([(AssetType.IMAGE, 0)], 2, 1, id="the smallest image counts, or the pool would never wake"),
        pytest.param([(AssetType.IMAGE, 10_000_000)] * 100, 1, 90, id="a hundred images of ten megabytes"),
        pytest.param([(AssetType.IMAGE, 10_000_000)] * 100, 2, 45, id="twice the concurrency halves it"),
        pytest.param([(AssetType.PDF, 10**9)], 1, 0, id="a document is not processed"),
        pytest.param([(AssetType.VIDEO, 100_000_000)], 1, 105, id="a video counts by its size"),
    ],
)
def test_the_backlog_is_what_one_worker_would_need(
    work: list[tuple[AssetType, int]], concurrency: int, seconds: int
) -> None:
    assert backlog_seconds(work, concurrency) == seconds


@given(WORK, WORK, st.integers(1, 64))
def test_more_work_is_never_a_smaller_backlog(
    some: list[tuple[AssetType, int]], more: list[tuple[AssetType, int]], concurrency: int
) -> None:
    assert backlog_seconds([*some, *more], concurrency) >= backlog_seconds(some, concurrency)

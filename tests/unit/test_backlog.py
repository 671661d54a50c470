from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.asset import AssetType
from media_core.backlog import Volume, backlog_seconds, estimate

WORK = st.lists(st.builds(Volume, st.sampled_from(AssetType), st.integers(1, 10**5), st.integers(0, 10**10)))


@pytest.mark.parametrize("kind", AssetType)
def test_every_type_has_an_estimate(kind: AssetType) -> None:
    assert estimate(Volume(kind, 1, 5_000_000)) >= 0


@pytest.mark.parametrize(
    ("work", "concurrency", "seconds"),
    [
        pytest.param([], 2, 0, id="nothing to do is no backlog"),
        pytest.param([Volume(AssetType.IMAGE, 1, 0)], 2, 1, id="the smallest image counts, or no pool would wake"),
        pytest.param([Volume(AssetType.IMAGE, 1, 10_000_000)] * 100, 1, 90, id="a hundred images of ten megabytes"),
        pytest.param([Volume(AssetType.IMAGE, 100, 10**9)], 1, 90, id="the same hundred, counted together"),
        pytest.param([Volume(AssetType.IMAGE, 1, 10_000_000)] * 100, 2, 45, id="twice the concurrency halves it"),
        pytest.param([Volume(AssetType.PDF, 1, 10**9)], 1, 0, id="a document is not processed"),
        pytest.param([Volume(AssetType.VIDEO, 1, 100_000_000)], 1, 105, id="a video counts by its size"),
    ],
)
def test_the_backlog_is_what_one_worker_would_need(work: list[Volume], concurrency: int, seconds: int) -> None:
    assert backlog_seconds(work, concurrency) == seconds


@given(WORK, WORK, st.integers(1, 64))
def test_more_work_is_never_a_smaller_backlog(some: list[Volume], more: list[Volume], concurrency: int) -> None:
    assert backlog_seconds([*some, *more], concurrency) >= backlog_seconds(some, concurrency)

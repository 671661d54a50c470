from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.backoff import LONGEST, backoff


@pytest.mark.parametrize(
    ("attempt", "chance", "seconds"),
    [
        pytest.param(1, 0.5, 10, id="the first failure waits the base"),
        pytest.param(2, 0.5, 20, id="the second waits twice as long"),
        pytest.param(3, 0.5, 40, id="the third four times"),
        pytest.param(1, 0.0, 8, id="the least luck takes a fifth off"),
        pytest.param(1, 1.0, 12, id="the most luck adds a fifth"),
        pytest.param(0, 0.5, 10, id="an attempt that is not counted yet waits the base"),
        pytest.param(10_000, 0.5, 3600, id="no number of failures makes it wait over an hour"),
    ],
)
def test_the_wait_doubles_with_each_attempt(attempt: int, chance: float, seconds: float) -> None:
    assert backoff(10, attempt, chance) == timedelta(seconds=seconds)


def test_a_base_of_nothing_waits_nothing() -> None:
    assert backoff(0, 5, 0.7) == timedelta(0)


@given(st.floats(0, 3600), st.integers(1, 10**6), st.floats(0, 1, exclude_max=True))
def test_a_wait_is_never_negative_nor_over_an_hour(base: float, attempt: int, chance: float) -> None:
    assert timedelta(0) <= backoff(base, attempt, chance) <= LONGEST

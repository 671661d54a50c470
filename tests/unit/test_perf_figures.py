"""What is made of measured numbers."""

from __future__ import annotations

import pytest

from perf.figures import Spread, compared, growth, percentile, tail


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        pytest.param([5.0], 0.99, 5.0, id="one value is every percentile"),
        pytest.param([1.0, 2.0, 3.0, 4.0], 0.5, 2.0, id="half of an even number is the lower one"),
        pytest.param([3.0, 1.0, 2.0], 0.5, 2.0, id="the order does not matter"),
        pytest.param([float(n) for n in range(1, 101)], 0.99, 99.0, id="one of a hundred is beyond p99"),
        pytest.param([float(n) for n in range(1, 21)], 0.95, 19.0, id="one of twenty is beyond p95"),
        pytest.param([1.0, 2.0], 0.0, 1.0, id="none is beyond the smallest"),
        pytest.param([1.0, 2.0], 1.0, 2.0, id="all are within the largest"),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_a_tail_names_the_median_and_the_slow_ones() -> None:
    assert tail([float(n) for n in range(1, 101)]) == {"p50": 50.0, "p95": 95.0, "p99": 99.0}


def test_a_spread_keeps_the_median_and_the_extremes() -> None:
    spread = Spread.of([4.0, 1.0, 2.0])
    assert spread == Spread(2.0, 1.0, 4.0, 3)


def test_a_ratio_is_of_the_medians_and_its_range_is_of_the_rounds() -> None:
    # The third round was slow for both: its own ratio is as the others are.
    assert compared([20.0, 22.0, 10.0], [10.0, 10.0, 5.0]) == Spread(2.0, 2.0, 2.2, 3)


def test_rounds_that_have_no_counterpart_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compared([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("small", "large", "expected"),
    [
        pytest.param((400, 40.0), (4000, 400.0), 1.0, id="ten times the work in ten times the time is straight"),
        pytest.param((400, 40.0), (4000, 440.0), 1.1, id="eleven times the time is a tenth more for each"),
    ],
)
def test_growth_compares_what_one_asset_costs(
    small: tuple[int, float], large: tuple[int, float], expected: float
) -> None:
    assert growth(small, large) == pytest.approx(expected)

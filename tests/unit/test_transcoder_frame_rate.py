"""The one rate that all rungs of a film are shown at."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_worker.transcoder.frame_rate import FASTEST, SLOWEST, frame_rate


@pytest.mark.parametrize(
    ("average", "least", "interlaced", "shown"),
    [
        pytest.param("25", "25", False, "25", id="an even film keeps its rate"),
        pytest.param("30000/1001", "30000/1001", False, "30000/1001", id="so does one of American television"),
        pytest.param("60", "60", False, "60", id="and a fast one"),
        pytest.param("120", "120", False, "60", id="one twice as fast loses every second picture"),
        pytest.param("240", "240", False, "60", id="slow motion loses three of four"),
        pytest.param("60.2", "60.2", False, "60", id="a rate just above the fastest is that one"),
        pytest.param("100", "100", False, "50", id="half of a rate that is not twice the fastest"),
        pytest.param("14", "25", False, "25", id="an uneven film keeps every picture"),
        pytest.param("29.87", "90000", False, "30000/1001", id="but not by its container's clock"),
        pytest.param("60.2", "1000", False, "60000/1001", id="nor is it faster than the fastest"),
        pytest.param("59.5", "1000", False, "60000/1001", id="nearly a usual rate is that one"),
        pytest.param("25", "50", True, "25", id="half pictures are not counted"),
        pytest.param("0", "1000", False, "30", id="what a browser recorded does not tell"),
        pytest.param("0", "0", False, "30", id="nothing is told"),
        pytest.param("1/10", "1/10", False, "5", id="a series of slides has more pictures than it needs"),
        pytest.param("1/10", "1/10", True, "5", id="also where it says to be interlaced"),
    ],
)
def test_a_film_is_shown_at_a_constant_rate(average: str, least: str, interlaced: bool, shown: str) -> None:
    assert frame_rate(Fraction(average), Fraction(least), interlaced=interlaced) == Fraction(shown)


@given(st.fractions(min_value=0, max_value=10**6), st.fractions(min_value=0, max_value=10**6), st.booleans())
def test_no_rate_is_out_of_bounds(average: Fraction, least: Fraction, interlaced: bool) -> None:
    assert SLOWEST <= frame_rate(average, least, interlaced=interlaced) <= FASTEST

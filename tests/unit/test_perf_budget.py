"""Thresholds, and how numbers are held against them."""

from __future__ import annotations

import math

import pytest

from perf.budget import BudgetInvalid, bounds, judged, read

TEXT = """
[steps]
decode = { measured = 100.0, tolerance = 0.02, at_most = 104.0 }
[run]
ratio = { measured = 2.3, tolerance = 0.1, at_least = 2.0 }
"""


@pytest.mark.parametrize(
    ("group", "name", "value", "ok"),
    [
        pytest.param("steps", "decode", 104.0, True, id="what is exactly at the limit is within it"),
        pytest.param("steps", "decode", 104.1, False, id="more than the most is missed"),
        pytest.param("run", "ratio", 2.0, True, id="the least is enough"),
        pytest.param("run", "ratio", 1.99, False, id="less than the least is missed"),
        pytest.param("run", "ratio", 9.0, True, id="better than asked is no fault"),
    ],
)
def test_a_number_is_held_against_its_limit(group: str, name: str, value: float, ok: bool) -> None:
    (verdict,) = judged({name: value}, read(TEXT)[group])
    assert (verdict.ok, verdict.value, verdict.name) == (ok, value, f"{group}.{name}")


def test_a_number_that_was_not_measured_is_missed() -> None:
    (verdict,) = judged({}, read(TEXT)["run"])
    assert not verdict.ok
    assert math.isnan(verdict.value)


def test_a_verdict_shows_the_limit_and_what_was_measured_when_it_was_set() -> None:
    (verdict,) = judged({"ratio": 2.5}, read(TEXT)["run"])
    assert (verdict.asked, verdict.known) == ("≥ 2", "2.3 ± 10%")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param("{ measured = 1.0, at_most = 2.0 }", id="no tolerance"),
        pytest.param("{ tolerance = 0.1, at_most = 2.0 }", id="nothing measured"),
        pytest.param("{ measured = 1.0, tolerance = 0.1 }", id="no limit"),
        pytest.param("{ measured = 1.0, tolerance = 0.1, at_most = 2.0, at_least = 1.0 }", id="two limits"),
        pytest.param("{ measured = 1.0, tolerance = 0.1, atmost = 2.0 }", id="a limit of another name"),
    ],
)
def test_an_entry_that_lacks_something_is_refused(entry: str) -> None:
    with pytest.raises(BudgetInvalid, match=r"run\.ratio"):
        read(f"[run]\nratio = {entry}")


def test_what_ci_checks_is_within_its_limit_whenever_nothing_has_changed() -> None:
    known = bounds()
    usual = {bound.name: bound.settled for group in ("instructions", "samples") for bound in known[group].values()}
    assert usual
    assert all(usual.values()), usual


def test_the_whole_of_the_instructions_has_a_limit() -> None:
    assert "whole" in bounds()["instructions"]

"""The model of a larger cluster."""

from __future__ import annotations

import pytest

from perf.capacity import BEGIN, END, PAGE, Measured, put, table

MEASURED = Measured(
    cores=2, per_second=12.0, peer_per_second=6.0, bytes_in=2e6, operator_seconds=0.01, api_seconds=0.005
)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [
        pytest.param(2, 12.0, id="the cores that were measured make what was measured"),
        pytest.param(8, 48.0, id="four times the cores make four times as many"),
        pytest.param(64, 100.0, id="the operator limits when its core is used up"),
    ],
)
def test_cores_add_up_until_the_operator_is_full(cores: int, expected: float) -> None:
    assert MEASURED.at(cores) == pytest.approx(expected)


def test_an_operator_that_costs_nothing_measurable_limits_nothing() -> None:
    free = Measured(cores=2, per_second=12.0, peer_per_second=6.0, bytes_in=2e6, operator_seconds=0.0, api_seconds=0.0)
    assert free.at(1000) == pytest.approx(6000.0)


def test_the_cores_for_a_rate_follow_from_one_core() -> None:
    assert MEASURED.cores_for(18.0) == pytest.approx(3.0)


def test_the_table_has_the_cores_for_the_busiest_minutes() -> None:
    shown = table(MEASURED)
    assert "4,000 images in 3.5 min are 19.0 images/s: **4 cores**" in shown, "three make 18.0"
    row = next(line for line in shown.splitlines() if line.startswith("| 4 "))
    assert [cell.strip() for cell in row.strip("|").split("|")] == ["4", "24.0", "167 s", "96", "384 Mbit/s"]


def test_the_page_gets_the_text_between_its_marks_and_keeps_the_rest() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert put(page, "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"


def test_the_page_has_the_marks() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert put(text, "x").count(BEGIN) == 1

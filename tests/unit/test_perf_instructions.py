"""Whose instructions are whose."""

from __future__ import annotations

import sys
import tomllib
from io import BytesIO

import pytest
from PIL import Image

from perf.budget import read
from perf.instructions import AROUND, Marks, lines, summed
from perf.recipes import ours


def test_instructions_are_summed_by_owner_with_the_largest_first() -> None:
    found = summed(["around", "load.load", "around", "encode.webp", "around"], [1, 30, 2, 60, 3])
    assert list(found.items()) == [("whole", 96), ("encode.webp", 60), ("load.load", 30), ("around", 6)]


def test_a_count_without_an_owner_is_an_error() -> None:
    with pytest.raises(ValueError, match="longer"):
        summed(["around"], [1, 2])


def test_the_budgets_lines_hold_what_matters_and_can_be_read_again() -> None:
    text = "\n".join(lines({"whole": 1000.0, "encode.webp": 900.0, "upright.upright": 0.1}))
    bounds = read(f"[instructions]\n{text}")["instructions"]
    assert bounds.keys() == {"whole", "encode.webp"}
    assert all(bound.settled for bound in bounds.values())
    assert tomllib.loads(text)["whole"]["measured"] == 1000.0


def test_every_call_of_a_step_is_marked_and_what_it_calls_is_not_its_own() -> None:
    file, marks = BytesIO(), Marks()
    Image.new("RGB", (800, 600), "teal").save(file, "JPEG")
    before = sys.getprofile()
    sys.setprofile(marks)
    try:
        ours(file.getvalue())
    finally:
        sys.setprofile(before)
    assert marks.owners[0] == AROUND
    assert {"load.load", "encode.webp", "header.open_header"} <= set(marks.owners)
    assert marks.owners.count("encode.webp") == 3

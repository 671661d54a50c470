"""Sizes of renditions: they fit, keep the proportions, and are never above the original."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_worker.decoder.geometry import Size, fit, plan
from media_worker.decoder.protocol import RenditionSize

LENGTHS = st.integers(1, 70_000)
BOXES = st.integers(1, 8192)
THREE = (RenditionSize("thumbnail", 150), RenditionSize("medium", 600), RenditionSize("large", 1200))


@given(LENGTHS, LENGTHS, BOXES)
def test_a_rendition_fits_inside_its_square_and_has_at_least_one_pixel(width: int, height: int, box: int) -> None:
    fitted = fit(Size(width, height), box)
    assert 1 <= fitted.width <= max(box, 1)
    assert 1 <= fitted.height <= max(box, 1)


@given(LENGTHS, LENGTHS, BOXES)
def test_a_rendition_is_never_larger_than_the_original(width: int, height: int, box: int) -> None:
    fitted = fit(Size(width, height), box)
    assert fitted.width <= width
    assert fitted.height <= height


@given(LENGTHS, LENGTHS, BOXES)
def test_proportions_are_kept_to_within_a_pixel(width: int, height: int, box: int) -> None:
    fitted = fit(Size(width, height), box)
    scale = max(fitted.width, fitted.height) / max(width, height)
    assert abs(fitted.width - width * scale) <= 1
    assert abs(fitted.height - height * scale) <= 1


@given(LENGTHS, LENGTHS, BOXES)
def test_the_longer_side_fills_the_square_unless_the_original_is_smaller(width: int, height: int, box: int) -> None:
    fitted = fit(Size(width, height), box)
    assert max(fitted.width, fitted.height) == min(box, max(width, height))


@given(LENGTHS, LENGTHS, st.lists(BOXES, min_size=1, max_size=5))
def test_turning_the_original_turns_every_rendition(width: int, height: int, boxes: list[int]) -> None:
    sizes = [RenditionSize(str(index), box) for index, box in enumerate(boxes)]
    assert plan(Size(width, height), sizes).turned == plan(Size(height, width), sizes)


@given(LENGTHS, LENGTHS, st.lists(BOXES, min_size=1, max_size=5))
def test_every_size_can_be_made_of_the_one_before(width: int, height: int, boxes: list[int]) -> None:
    planned = plan(Size(width, height), [RenditionSize(str(index), box) for index, box in enumerate(boxes)])
    sizes = planned.descending
    assert sizes[0] == planned.largest
    assert {target.size for target in planned.targets} == set(sizes)
    assert all(after.width <= before.width and after.height <= before.height for before, after in pairwise(sizes))


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ((4000, 3000), [(150, 113), (600, 450), (1200, 900)]),
        ((3000, 4000), [(113, 150), (450, 600), (900, 1200)]),
        ((500, 500), [(150, 150), (500, 500), (500, 500)]),
        ((1, 5000), [(1, 150), (1, 600), (1, 1200)]),
        ((1, 1), [(1, 1), (1, 1), (1, 1)]),
    ],
)
def test_the_default_renditions_of_a_few_originals(original: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    assert [target.size.pair for target in plan(Size(*original), THREE).targets] == expected

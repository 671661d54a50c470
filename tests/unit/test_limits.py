"""What an image may cost, decided on its header alone."""

from __future__ import annotations

import pytest

from media_core.reasons import Reason
from media_worker.decoder.limits import ANIMATION_BUDGET, check_frames, check_pixels
from media_worker.decoder.protocol import DecodeRefused, Limits

LIMITS = Limits(max_pixels=1_000_000, max_frames=100, timeout_seconds=30)


def test_as_many_pixels_as_are_allowed_pass() -> None:
    check_pixels(LIMITS, 1000, 1000)


def test_one_row_of_pixels_more_is_refused_with_the_limit_and_the_value() -> None:
    with pytest.raises(DecodeRefused) as refused:
        check_pixels(LIMITS, 1000, 1001)
    assert refused.value.reason == Reason.TOO_MANY_PIXELS
    assert refused.value.message == "The image has 1000 x 1001 = 1001000 pixels; 1000000 are allowed."


def test_as_many_frames_as_are_allowed_pass() -> None:
    check_frames(LIMITS, 100, 100, 100)


def test_one_frame_more_is_refused_with_the_limit_and_the_value() -> None:
    with pytest.raises(DecodeRefused) as refused:
        check_frames(LIMITS, 10, 10, 101)
    assert refused.value.reason == Reason.TOO_MANY_FRAMES
    assert refused.value.message == "The image has 101 frames or more; 100 are allowed."


def test_few_frames_of_very_many_pixels_are_refused() -> None:
    check_frames(LIMITS, 1000, 1000, ANIMATION_BUDGET)
    with pytest.raises(DecodeRefused) as refused:
        check_frames(LIMITS, 1000, 1000, ANIMATION_BUDGET + 1)
    assert refused.value.reason == Reason.TOO_MANY_FRAMES
    assert "21000000 pixels together; 20000000 are allowed" in refused.value.message

"""How far ffmpeg is, by what it prints, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from media_core.reasons import Reason
from media_worker.transcoder.progress import Progress
from media_worker.transcoder.protocol import TranscodeRefused
from media_worker.transcoder.transcoding import Hearing


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("frame=120", Progress(120, 2.0)),
        ("out_time_us=4500000", Progress(50, 4.5)),
        ("out_time_us=1000000", Progress(50, 2.0)),
        ("frame=7", Progress(50, 2.0)),
        ("out_time_us=N/A", Progress(50, 2.0)),
        ("out_time_us=-9223372036854775807", Progress(50, 2.0)),
        ("frame=" + "9" * 30, Progress(50, 2.0)),
        ("frame=١٢", Progress(50, 2.0)),
        ("speed=1.5x", Progress(50, 2.0)),
        ("progress=continue", Progress(50, 2.0)),
        ("", Progress(50, 2.0)),
    ],
)
def test_a_line_says_how_far_it_is_or_changes_nothing(line: str, after: Progress) -> None:
    assert Progress(50, 2.0).after(line) == after


@pytest.mark.parametrize(
    ("seconds", "duration", "percent"), [(0, 10, 0), (2.59, 10, 25), (10, 10, 99), (12, 10, 99), (5, 0, 0)]
)
def test_a_film_is_never_done_before_its_end(seconds: float, duration: float, percent: int) -> None:
    assert Progress(1, seconds).percent(duration) == percent


def test_each_percent_is_told_once_however_the_lines_are_cut() -> None:
    told: list[Any] = []
    hearing = Hearing(10.0, 100, told.append)
    for chunk in (b"frame=1\nout_ti", b"me_us=1000000\nprog", b"ress=continue\nout_time_us=1010000\n", b"x" * 5000):
        hearing.hear(chunk)
    hearing.hear(b"\nframe=50\nout_time_us=2000000\n")
    assert told == [{"percent": 10}, {"percent": 20}]
    assert hearing.progress == Progress(50, 2.0)


def test_a_film_that_turns_out_too_long_is_refused() -> None:
    hearing = Hearing(0.0, 100, lambda _frame: None)
    hearing.hear(b"out_time_us=100400000\n")
    with pytest.raises(TranscodeRefused) as refused:
        hearing.hear(b"out_time_us=100600000\n")
    assert refused.value.reason == Reason.TOO_LONG

"""What worker and transcoder say to each other, and every way in which it can make no sense."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.ladder import Film
from media_core.reasons import Reason
from media_worker.decoder.fields import HeaderInvalid
from media_worker.transcoder.protocol import (
    Done,
    Limits,
    Request,
    TranscodeRefused,
    done_frame,
    percent_frame,
    probed_frame,
    read_answer,
    refusal_frame,
)

REQUEST = Request("01234567-89ab-cdef-0123-456789abcdef", Limits(14_400, 1_800, 1 << 30))
FILM = Film(1280, 720, 90, 12.5, True)


def test_a_request_survives_the_way() -> None:
    assert Request.read(REQUEST.to_header()) == REQUEST


def test_every_answer_survives_the_way() -> None:
    assert read_answer(probed_frame(FILM)) == FILM
    assert read_answer(percent_frame(42)) == 42
    assert read_answer(done_frame()) == Done()
    with pytest.raises(TranscodeRefused) as refused:
        read_answer(refusal_frame(Reason.TOO_LONG, "It is too long."))
    assert (refused.value.reason, refused.value.message) == (Reason.TOO_LONG, "It is too long.")


@pytest.mark.parametrize(
    "changed",
    [
        {"film": "../../../../../../../../../../../etc"},
        {"film": "0" * 35},
        {"film": None},
        {"limits": None},
        {"limits": {**REQUEST.to_header()["limits"], "maxSeconds": 0}},
        {"limits": {**REQUEST.to_header()["limits"], "timeoutSeconds": "9"}},
        {"limits": {**REQUEST.to_header()["limits"], "maxOutputBytes": True}},
    ],
)
def test_a_request_that_makes_no_sense_is_said_to_make_none(changed: dict[str, Any]) -> None:
    with pytest.raises(HeaderInvalid):
        Request.read({**REQUEST.to_header(), **changed})


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"ok": 1},
        {"ok": False},
        {"ok": False, "reason": "Completed", "message": "x"},
        {"percent": 101},
        {"percent": 1.5},
        {"probed": 7},
        {"probed": {**probed_frame(FILM)["probed"], "width": 0}},
        {"probed": {**probed_frame(FILM)["probed"], "rotation": 45}},
        {"probed": {**probed_frame(FILM)["probed"], "durationSeconds": float("nan")}},
        {"probed": {**probed_frame(FILM)["probed"], "durationSeconds": -1}},
        {"probed": {**probed_frame(FILM)["probed"], "durationSeconds": True}},
        {"probed": {**probed_frame(FILM)["probed"], "hasAudio": "yes"}},
    ],
)
def test_an_answer_that_makes_no_sense_is_said_to_make_none(frame: dict[str, Any]) -> None:
    with pytest.raises(HeaderInvalid):
        read_answer(frame)


@given(
    st.dictionaries(
        st.sampled_from(["ok", "percent", "probed", "reason", "message"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.dictionaries(st.text(), st.integers()),
    )
)
def test_any_answer_is_one_or_said_to_be_none(frame: dict[str, Any]) -> None:
    with suppress(HeaderInvalid, TranscodeRefused):
        assert isinstance(read_answer(frame), Film | int | Done)

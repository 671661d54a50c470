"""Headers of the decoder: what is asked and answered, and every way in which they can make no sense."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.reasons import Reason
from media_worker.decoder.protocol import (
    MAX_ANSWER_BYTES,
    Decoded,
    DecodeRefused,
    EncodedVariant,
    HeaderInvalid,
    Limits,
    RenditionSize,
    Request,
    read_answer,
    refusal_header,
)

ASKED = (RenditionSize("thumbnail", 150), RenditionSize("medium", 600))
REQUEST = Request(ASKED, "image/jpeg", Limits(50_000_000, 1000, 1800), 12345)
DECODED = Decoded(
    4000,
    3000,
    1,
    "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    "#336699",
    1,
    (EncodedVariant("thumbnail", 150, 113, b"abc"), EncodedVariant("medium", 600, 450, b"defgh")),
)


def changed(header: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The header with another value at a dotted path."""
    key, _, rest = path.partition(".")
    return {**header, key: changed(header[key], rest, value) if rest else value}


def test_a_request_survives_the_way() -> None:
    assert Request.read(REQUEST.to_header()) == REQUEST


def test_an_answer_survives_the_way() -> None:
    expected = read_answer(DECODED.to_header(), ASKED)
    assert expected.total == 8
    assert expected.with_bodies(b"abcdefgh") == DECODED


def test_a_refusal_survives_the_way() -> None:
    with pytest.raises(DecodeRefused) as refused:
        read_answer(refusal_header(Reason.UNDECODABLE, "It is broken."), ASKED)
    assert (refused.value.reason, refused.value.message) == (Reason.UNDECODABLE, "It is broken.")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("bytes", -1),
        ("bytes", 1 << 70),
        ("bytes", "12"),
        ("bytes", True),
        ("bytes", 1.5),
        ("bytes", None),
        ("contentType", None),
        ("contentType", "image/jpeg\nX: y"),
        ("contentType", "x" * 1000),
        ("limits", None),
        ("limits", []),
        ("limits.maxPixels", 0),
        ("limits.maxPixels", -5),
        ("limits.maxFrames", 0),
        ("limits.timeoutSeconds", 0),
        ("limits.timeoutSeconds", 1 << 40),
        ("renditions", []),
        ("renditions", None),
        ("renditions", [1, 2]),
        ("renditions", [{"name": f"n{index}", "size": 1} for index in range(17)]),
        ("renditions", [{"name": "one", "size": 0}]),
        ("renditions", [{"name": "one", "size": 1 << 20}]),
        ("renditions", [{"name": "../one", "size": 10}]),
        ("renditions", [{"name": "", "size": 10}]),
        ("renditions", [{"name": "one", "size": 10}, {"name": "one", "size": 20}]),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(path: str, value: Any) -> None:
    with pytest.raises(HeaderInvalid):
        Request.read(changed(REQUEST.to_header(), path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("ok", "yes"),
        ("width", 0),
        ("height", -1),
        ("frames", None),
        ("placeholder", "<script>"),
        ("dominantColor", "red"),
        ("recipeVersion", "1"),
        ("variants", []),
        ("variants", [{"name": "medium", "width": 1, "height": 1, "bytes": 1}] * 2),
        ("variants", [{"name": "thumbnail", "width": 1, "height": 1, "bytes": 1}]),
    ],
)
def test_an_answer_that_makes_no_sense_is_not_believed(path: str, value: Any) -> None:
    with pytest.raises(HeaderInvalid):
        read_answer(changed(DECODED.to_header(), path, value), ASKED)


@pytest.mark.parametrize(
    ("key", "value"),
    [("width", 151), ("height", 151), ("bytes", 0), ("bytes", MAX_ANSWER_BYTES + 1), ("name", "large")],
)
def test_a_variant_other_than_was_asked_for_is_not_believed(key: str, value: Any) -> None:
    header = DECODED.to_header()
    header["variants"][0][key] = value
    with pytest.raises(HeaderInvalid):
        read_answer(header, ASKED)


@pytest.mark.parametrize("reason", ["Completed", "AttemptsExhausted", "Whatever", ""])
def test_a_refusal_for_a_reason_the_decoder_does_not_have_is_not_believed(reason: str) -> None:
    with pytest.raises(HeaderInvalid):
        read_answer({"ok": False, "reason": reason, "message": "?"}, ASKED)


@given(
    st.dictionaries(st.sampled_from(list(REQUEST.to_header())), st.integers() | st.text() | st.lists(st.integers()))
)
def test_any_header_is_a_request_or_refused(header: dict[str, Any]) -> None:
    asked = {**REQUEST.to_header(), **header}
    with suppress(HeaderInvalid):
        assert Request.read(Request.read(asked).to_header()) == Request.read(asked)

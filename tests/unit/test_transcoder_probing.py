"""What ffprobe's answer amounts to: a film, or a reason why there is none."""

from __future__ import annotations

import json
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from media_core.ladder import Film
from media_core.reasons import Reason
from media_worker.transcoder.containers import Container
from media_worker.transcoder.probing import Source, probe_command, source_of
from media_worker.transcoder.protocol import TranscodeRefused

Stream = dict[str, Any]
PICTURE: Stream = {
    "index": 0,
    "codec_type": "video",
    "codec_name": "h264",
    "width": 1280,
    "height": 720,
    "avg_frame_rate": "25/1",
    "r_frame_rate": "25/1",
}
SOUND: Stream = {"index": 1, "codec_type": "audio", "codec_name": "aac", "channels": 2}
TURNED = [{"rotation": -90}]


def found(*streams: Stream, duration: Any = "8.0", longest: int = 100) -> Source:
    answer = {"streams": list(streams), "format": {"duration": duration}}
    return source_of(json.dumps(answer).encode(), Container.MOV, longest)


def test_a_film_is_what_the_ladder_needs_and_where_its_streams_are() -> None:
    assert found(PICTURE, SOUND) == Source(
        Container.MOV, Film(1280, 720, 0, 8.0, True), picture=0, sound=1, rate=Fraction(25)
    )


@pytest.mark.parametrize(
    ("streams", "film"),
    [
        pytest.param([PICTURE], Film(1280, 720, 0, 8.0, False), id="without sound"),
        pytest.param([{**PICTURE, "side_data_list": TURNED}], Film(1280, 720, 90, 8.0), id="a quarter clockwise"),
        pytest.param(
            [{**PICTURE, "side_data_list": [{}, {"rotation": 90}]}], Film(1280, 720, 270, 8.0), id="a quarter back"
        ),
        pytest.param(
            [{**PICTURE, "side_data_list": [{"rotation": -180}]}], Film(1280, 720, 180, 8.0), id="upside down"
        ),
        pytest.param([{**PICTURE, "side_data_list": [{"rotation": -12.5}]}], Film(1280, 720, 0, 8.0), id="askew"),
        pytest.param(
            [{**PICTURE, "width": 720, "height": 576, "sample_aspect_ratio": "64:45"}],
            Film(1024, 576, 0, 8.0),
            id="of broad pixels",
        ),
        pytest.param([{**PICTURE, "sample_aspect_ratio": "0:1"}], Film(1280, 720, 0, 8.0), id="of unknown pixels"),
        pytest.param(
            [
                {**PICTURE, "codec_name": "png", "disposition": {"attached_pic": 1}},
                {**PICTURE, "index": 1, "width": 640},
            ],
            Film(640, 720, 0, 8.0),
            id="after its cover",
        ),
        pytest.param(
            [{**PICTURE, "width": 640}, {**PICTURE, "index": 1, "disposition": {"default": 1}}],
            Film(1280, 720, 0, 8.0),
            id="that is to be played, of two",
        ),
        pytest.param([{"index": 3, "codec_type": "data"}, PICTURE], Film(1280, 720, 0, 8.0), id="after data"),
        pytest.param([PICTURE, {**SOUND, "channels": 0}], Film(1280, 720, 0, 8.0), id="whose sound never came"),
        pytest.param(
            [PICTURE, {**SOUND, "codec_name": "dts"}, {**SOUND, "index": 2}],
            Film(1280, 720, 0, 8.0, True),
            id="with sound that can be read as well",
        ),
    ],
)
def test_a_film_is_as_it_is_meant_to_be_seen(streams: list[Stream], film: Film) -> None:
    assert found(*streams).film == film


@pytest.mark.parametrize(
    ("duration", "own", "seconds"),
    [
        ("8.5", None, 8.5),
        (None, "7.5", 7.5),
        (None, None, 0.0),
        ("N/A", "N/A", 0.0),
        ("inf", None, 0.0),
        ("-3", "", 0),
    ],
)
def test_a_length_is_told_by_the_file_or_by_its_picture_or_not_at_all(duration: Any, own: Any, seconds: float) -> None:
    assert found({**PICTURE, "duration": own}, duration=duration).film.duration_seconds == seconds


def test_what_the_command_does_beyond_the_ladder_is_found_too() -> None:
    source = found({**PICTURE, "field_order": "tt", "color_transfer": "smpte2084", "r_frame_rate": "50/1"})
    assert (source.interlaced, source.transfer, source.rate) == (True, "smpte2084", 25)
    source = found({**PICTURE, "field_order": "progressive", "color_transfer": "bt709", "avg_frame_rate": "0/0"})
    assert (source.interlaced, source.transfer, source.rate) == (False, None, 25)
    assert found({**PICTURE, "avg_frame_rate": "x/y", "r_frame_rate": "1/0"}).rate == 30


@pytest.mark.parametrize(
    ("streams", "reason", "said"),
    [
        pytest.param([SOUND], Reason.UNSUPPORTED_FORMAT, "sound and no picture", id="only sound"),
        pytest.param([{"index": 0, "codec_type": "data"}], Reason.UNSUPPORTED_FORMAT, "no picture", id="only data"),
        pytest.param([], Reason.UNSUPPORTED_FORMAT, "no picture", id="nothing"),
        pytest.param([{**PICTURE, "codec_name": "wmv2"}], Reason.UNSUPPORTED_FORMAT, "wmv2", id="an unread picture"),
        pytest.param(
            [{**PICTURE, "codec_name": None}], Reason.UNSUPPORTED_FORMAT, "coded as None", id="an unknown one"
        ),
        pytest.param(
            [PICTURE, {**SOUND, "codec_name": "dts"}], Reason.UNSUPPORTED_FORMAT, "coded as dts", id="unread sound"
        ),
        pytest.param([{**PICTURE, "width": 0}], Reason.UNDECODABLE, "how large", id="no size"),
        pytest.param([{**PICTURE, "width": 8194}], Reason.TOO_MANY_PIXELS, "8192", id="too wide"),
        pytest.param(
            [{**PICTURE, "sample_aspect_ratio": "1:1000"}], Reason.UNSUPPORTED_FORMAT, "32", id="slim pixels"
        ),
        pytest.param(
            [{**PICTURE, "width": 16384, "sample_aspect_ratio": "1:8"}],
            Reason.TOO_MANY_PIXELS,
            "8192",
            id="hidden width",
        ),
    ],
)
def test_what_is_not_transcoded_is_refused_with_a_reason(streams: list[Stream], reason: Reason, said: str) -> None:
    with pytest.raises(TranscodeRefused) as refused:
        found(*streams)
    assert refused.value.reason == reason
    assert said in refused.value.message


def test_a_film_that_is_too_long_is_refused() -> None:
    with pytest.raises(TranscodeRefused, match=r"is 8 s long; the limit is 7 s"):
        found(PICTURE, longest=7)


@pytest.mark.parametrize(
    "answer", [b"", b"[]", b"{}", b'{"streams": 7}', b'{"streams": [7]}', b'{"streams": [], "format": 7}', b"\xff"]
)
def test_an_answer_that_makes_no_sense_is_a_file_that_cannot_be_read(answer: bytes) -> None:
    with pytest.raises(TranscodeRefused) as refused:
        source_of(answer, Container.MOV, 100)
    assert refused.value.reason in (Reason.UNDECODABLE, Reason.UNSUPPORTED_FORMAT)


@pytest.mark.parametrize("container", Container)
def test_the_file_is_opened_as_one_container_and_nothing_else_with_it(container: Container) -> None:
    command = probe_command(container)
    options = dict(pairwise(command))
    assert (options["-protocol_whitelist"], options["-f"], options["-i"]) == ("file", container.demuxer, "original")
    assert "h264" in options["-codec_whitelist"].split(",")
    if container is Container.MOV:
        assert (options["-enable_drefs"], options["-use_absolute_path"]) == ("0", "0")

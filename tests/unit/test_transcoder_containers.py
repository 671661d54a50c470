"""What a file is, by its first bytes: a few containers, and reasons for everything else."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.reasons import Reason
from media_worker.transcoder.containers import HEAD_BYTES, Container, container
from media_worker.transcoder.protocol import TranscodeRefused


@pytest.mark.parametrize(
    ("head", "found"),
    [
        pytest.param(b"\0\0\0\x20ftypisom", Container.MOV, id="MP4"),
        pytest.param(b"\0\0\0\x08wide\0\0\0\0mdat", Container.MOV, id="an old MOV, which begins without a type"),
        pytest.param(b"\x1a\x45\xdf\xa3\x01", Container.MATROSKA, id="WebM and MKV"),
        pytest.param(b"RIFF\0\0\0\0AVI LIST", Container.AVI, id="AVI"),
        pytest.param(b"\0\0\x01\xba\x44", Container.MPEG_PS, id="a program stream"),
        pytest.param((b"\x47" + bytes(187)) * 5, Container.MPEG_TS, id="a transport stream"),
        pytest.param((bytes(4) + b"\x47" + bytes(187)) * 5, Container.MPEG_TS, id="one with times, as of a camera"),
    ],
)
def test_a_film_is_known_by_its_first_bytes(head: bytes, found: Container) -> None:
    assert container(head) is found


@pytest.mark.parametrize(
    ("head", "reason", "said"),
    [
        pytest.param(b"", Reason.UNDECODABLE, "empty", id="nothing"),
        pytest.param(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n", Reason.UNSUPPORTED_FORMAT, "a playlist", id="HLS"),
        pytest.param(b"\xef\xbb\xbf\n#EXTM3U\n", Reason.UNSUPPORTED_FORMAT, "a playlist", id="HLS after a mark"),
        pytest.param(b"ffconcat version 1.0\n", Reason.UNSUPPORTED_FORMAT, "a playlist", id="a list for ffmpeg"),
        pytest.param(b"<?xml?><MPD>", Reason.UNSUPPORTED_FORMAT, "a playlist", id="DASH"),
        pytest.param(b"file '/etc/passwd'\n", Reason.UNSUPPORTED_FORMAT, "no video", id="a list without its mark"),
        pytest.param(b"RIFF\0\0\0\0WAVE", Reason.UNSUPPORTED_FORMAT, "no video", id="sound in the same family"),
        pytest.param(b"\xff\xd8\xff\xe0", Reason.UNSUPPORTED_FORMAT, "no video", id="a photograph"),
        pytest.param(b"G" * 4, Reason.UNSUPPORTED_FORMAT, "no video", id="one letter of a transport stream"),
    ],
)
def test_everything_else_is_refused_with_a_sentence(head: bytes, reason: Reason, said: str) -> None:
    with pytest.raises(TranscodeRefused) as refused:
        container(head)
    assert refused.value.reason == reason
    assert said in refused.value.message
    assert refused.value.message.endswith(".")


@given(st.binary(max_size=HEAD_BYTES))
def test_any_bytes_are_a_film_or_said_to_be_none(head: bytes) -> None:
    with suppress(TranscodeRefused):
        assert container(head) in Container

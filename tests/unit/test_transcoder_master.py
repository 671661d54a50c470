"""The playlist of playlists."""

from __future__ import annotations

from fractions import Fraction

import pytest

from media_core.ladder import Film, ladder
from media_core.playlist import Variant, parse_master
from media_worker.transcoder.master import Written, master, picture_codec

LOW, HIGH = ladder(Film(1920, 1080, 0, 10.0, True))
SEGMENTS = ((4.0, 1_000_000), (4.0, 2_000_000), (0.5, 900_000))


def test_a_master_names_every_rung_with_what_a_player_chooses_by() -> None:
    text = master(
        [Written(LOW, "avc1.64001f", SEGMENTS), Written(HIGH, "avc1.640028", SEGMENTS)], Fraction(30000, 1001)
    )
    assert parse_master(text) == (
        Variant("master_720p.m3u8", 4_000_000, (1280, 720)),
        Variant("master_1080p.m3u8", 4_000_000, (1920, 1080)),
    )
    assert 'AVERAGE-BANDWIDTH=3670589,RESOLUTION=1280x720,FRAME-RATE=29.970,CODECS="avc1.64001f,mp4a.40.2"' in text


def test_a_film_without_sound_names_no_codec_of_it() -> None:
    (rung,) = ladder(Film(320, 180, 0, 2.0, False))
    assert 'CODECS="avc1.64000d"\n' in master([Written(rung, "avc1.64000d", SEGMENTS)], Fraction(25))


@pytest.mark.parametrize(
    ("segments", "peak", "average"),
    [
        pytest.param(SEGMENTS, 4_000_000, 3_670_589, id="a scrap at the end does not count"),
        pytest.param(((1.0, 1000),), 8000, 8000, id="unless there is nothing else"),
        pytest.param(((0.0, 1000),), 8_000_000, 8_000_000, id="a single picture"),
    ],
)
def test_bitrates_are_those_of_the_segments(segments: tuple[tuple[float, int], ...], peak: int, average: int) -> None:
    written = Written(LOW, "avc1.64001f", segments)
    assert (written.peak, written.average) == (peak, average)


@pytest.mark.parametrize(
    ("segment", "codec"),
    [
        (b"\x47...\0\0\0\x01\x09\xf0\0\0\0\x01\x67\x64\x00\x28\xac", "avc1.640028"),
        (b"\0\0\x01\x67\x42\xc0\x1e", "avc1.42c01e"),
        (b"\0\0\x01\x67\x64", None),
        (b"nothing of the kind", None),
        (b"", None),
    ],
)
def test_the_codec_is_read_from_a_segment(segment: bytes, codec: str | None) -> None:
    assert picture_codec(segment) == codec

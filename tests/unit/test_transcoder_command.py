"""The ffmpeg command of a film, without running it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from media_core.ladder import SEGMENT_SECONDS, Film, ladder
from media_worker.transcoder.command import key_frame_distance, transcode_command
from media_worker.transcoder.containers import Container
from media_worker.transcoder.probing import Source

FILM = Film(3840, 2160, 0, 60.0, True)
SOURCE = Source(Container.MOV, FILM, picture=0, sound=2, rate=Fraction(30))


def command(source: Source = SOURCE) -> tuple[str, ...]:
    return transcode_command(source, max_seconds=100, threads=2)


def values(source: Source, option: str) -> list[str]:
    """Every value that the option is given."""
    words = command(source)
    return [value for word, value in pairwise(words) if word == option]


def test_the_film_is_decoded_once_and_as_nothing_but_itself() -> None:
    assert values(SOURCE, "-i") == ["original"]
    before = command()[: command().index("-i")]
    options = dict(pairwise(before))
    assert (options["-f"], options["-protocol_whitelist"], options["-t"]) == ("mov", "file", "101")
    assert "png" not in options["-codec_whitelist"].split(",")


def test_every_rung_has_its_picture_its_sound_and_its_bounds() -> None:
    pictures, sounds = values(SOURCE, "-filter_complex")
    assert values(SOURCE, "-map") == ["[v0]", "[a0]", "[v1]", "[a1]", "[v2]", "[a2]", "[still]"]
    for at, rung in enumerate(ladder(FILM)):
        assert f"scale={rung.width}:{rung.height},setsar=1,format=yuv420p[v{at}]" in pictures
        assert f"[a{at}]" in sounds
    assert values(SOURCE, "-maxrate") == [str(rung.max_bitrate) for rung in ladder(FILM)]
    assert values(SOURCE, "-b:a") == [str(rung.audio_bitrate) for rung in ladder(FILM)]
    assert values(SOURCE, "-hls_time") == [str(SEGMENT_SECONDS)] * 2


def test_the_one_file_film_is_made_of_the_packets_of_its_rung() -> None:
    (both,) = [word for word in command() if "video.mp4" in word]
    segmented, one_file = both.split("|")
    assert segmented.endswith("]out/hls/master_1080p.m3u8")
    assert "hls_segment_filename=out/hls/master_1080p_%05d.ts" in segmented
    assert "temp_file" in segmented
    assert one_file == "[f=mp4:movflags=+faststart:protocol_whitelist=file]out/video.mp4"


def test_a_film_without_sound_has_none_anywhere() -> None:
    silent = replace(SOURCE, film=replace(FILM, has_audio=False), sound=None)
    assert len(values(silent, "-filter_complex")) == 1
    assert values(silent, "-map") == ["[v0]", "[v1]", "[v2]", "[still]"]
    assert "aac" not in values(silent, "-c:a")


@pytest.mark.parametrize(
    ("rate", "distance"), [("25", 50), ("30000/1001", 60), ("24000/1001", 48), ("12.2", 25), ("5", 10), ("60", 120)]
)
def test_key_frames_are_two_seconds_apart_and_never_less(rate: str, distance: int) -> None:
    source = replace(SOURCE, rate=Fraction(rate))
    assert key_frame_distance(source) == distance
    assert values(source, "-g") == values(source, "-keyint_min") == [str(distance)] * 3
    assert values(source, "-sc_threshold") == ["0"] * 3
    assert f"fps={Fraction(rate)}:" in values(source, "-filter_complex")[0]


def test_only_interlaced_film_is_deinterlaced() -> None:
    assert "bwdif" not in values(SOURCE, "-filter_complex")[0]
    assert "bwdif" in values(replace(SOURCE, interlaced=True), "-filter_complex")[0]


def test_only_film_of_high_dynamic_range_is_toned_down() -> None:
    assert "tonemap" not in values(SOURCE, "-filter_complex")[0]
    assert "zscale=tin=smpte2084" in values(replace(SOURCE, transfer="smpte2084"), "-filter_complex")[0]


@pytest.mark.parametrize(("seconds", "second"), [(60.0, 3), (4.5, 3), (3.5, 0), (0.0, 0)])
def test_the_thumbnail_is_taken_where_the_ladder_says_and_the_first_picture_stands_in(
    seconds: float, second: int
) -> None:
    pictures = values(replace(SOURCE, film=replace(FILM, duration_seconds=seconds)), "-filter_complex")[0]
    assert f"select='eq(n,0)+gte(t,{second})*lt(prev_selected_t,{second})',scale=640:360" in pictures

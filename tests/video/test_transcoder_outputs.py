"""What the transcoder makes of films of all kinds, as ffprobe sees it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from media_core.ladder import (
    GOP_SECONDS,
    MASTER,
    THUMBNAIL,
    VIDEO,
    Film,
    Rung,
    ladder,
    playlist_path,
    progressive,
    segment_path,
    thumbnail_size,
)
from media_core.playlist import parse_master, parse_media
from support.clips import clip, ffmpeg, key_frames, pixel, probed, streams, truncated
from support.transcoder_program import Outcome, TranscoderProgram, transcoder


@pytest.fixture(scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TranscoderProgram]:
    """One for all films here."""
    async with transcoder(tmp_path_factory.mktemp("transcoder")) as running:
        yield running


def assert_whole(outcome: Outcome, seconds: float) -> None:
    """Everything that the ladder says is there, nothing else, and each is what it should be."""
    film = outcome.film
    rungs = ladder(film)
    expected = {MASTER, VIDEO, THUMBNAIL}
    for rung in rungs:
        listed = parse_media((outcome.out / playlist_path(rung.name)).read_text())
        assert listed.ended
        assert listed.seconds == pytest.approx(seconds, abs=0.25)
        names = [segment_path(rung.name, number) for number in range(1, len(listed.segments) + 1)]
        assert [f"hls/{segment.uri}" for segment in listed.segments] == names
        expected |= {playlist_path(rung.name), *names}
        assert_coded(outcome.out / playlist_path(rung.name), film, rung)
    assert {str(path.relative_to(outcome.out)) for path in outcome.out.rglob("*") if path.is_file()} == expected
    assert_coded(outcome.out / VIDEO, film, progressive(film))
    assert float(probed(outcome.out / VIDEO)["format"]["duration"]) == pytest.approx(seconds, abs=0.25)
    (still,) = streams(outcome.out / THUMBNAIL, "video")
    assert (still["codec_name"], still["width"], still["height"]) == ("mjpeg", *thumbnail_size(film))
    assert_master(outcome, rungs)
    assert outcome.percents == sorted(set(outcome.percents))


def assert_coded(path: Path, film: Film, rung: Rung) -> None:
    """A rung or the one-file film."""
    (picture,) = streams(path, "video")
    assert (picture["codec_name"], picture["profile"], picture["pix_fmt"]) == ("h264", "High", "yuv420p")
    assert (picture["width"], picture["height"]) == (rung.width, rung.height)
    assert picture.get("sample_aspect_ratio", "1:1") == "1:1"
    assert "side_data_list" not in picture, "it would be turned once more"
    sounds = streams(path, "audio")
    assert [(sound["codec_name"], sound["profile"]) for sound in sounds] == [("aac", "LC")] * film.has_audio


def assert_master(outcome: Outcome, rungs: tuple[Rung, ...]) -> None:
    """Sizes, codecs, and bitrates that the segments keep to."""
    text = (outcome.out / MASTER).read_text()
    variants = parse_master(text)
    assert [(variant.uri, variant.resolution) for variant in variants] == [
        (f"master_{rung.name}.m3u8", (rung.width, rung.height)) for rung in rungs
    ]
    for variant, codecs in zip(variants, re.findall(r'CODECS="([^"]*)"', text), strict=True):
        (picture,) = streams(outcome.out / "hls" / variant.uri, "video")
        told = f"avc1.6400{picture['level']:02x}"
        assert codecs == (f"{told},mp4a.40.2" if outcome.film.has_audio else told)
        for segment in parse_media((outcome.out / "hls" / variant.uri).read_text()).segments:
            size = (outcome.out / "hls" / segment.uri).stat().st_size
            assert size * 8 <= variant.bandwidth * max(segment.seconds, 2.0)


@pytest.mark.parametrize(
    ("recipe", "shown", "names"),
    [
        pytest.param({"width": 1280, "height": 720}, (1280, 720), ["720p"], id="landscape"),
        pytest.param({"width": 720, "height": 1280, "fps": 10}, (720, 1280), ["720p"], id="portrait"),
        pytest.param({"width": 854, "height": 480}, (854, 480), ["480p"], id="480p"),
        pytest.param({"width": 320, "height": 180, "audio": False}, (320, 180), ["180p"], id="without sound"),
        pytest.param({"width": 321, "height": 241}, (321, 241), ["240p"], id="of odd size"),
        pytest.param({"width": 320, "height": 180, "rotation": 90}, (180, 320), ["180p"], id="turned by 90 degrees"),
        pytest.param({"width": 320, "height": 180, "rotation": 180}, (320, 180), ["180p"], id="turned by 180"),
        pytest.param({"width": 320, "height": 180, "name": "clip.webm"}, (320, 180), ["180p"], id="WebM"),
        pytest.param({"width": 320, "height": 180, "name": "clip.mkv"}, (320, 180), ["180p"], id="Matroska"),
        pytest.param({"width": 320, "height": 180, "name": "clip.mov"}, (320, 180), ["180p"], id="QuickTime"),
        pytest.param({"width": 320, "height": 180, "name": "clip.ts"}, (320, 180), ["180p"], id="MPEG-TS"),
        pytest.param({"width": 320, "height": 180, "name": "clip.avi"}, (320, 180), ["180p"], id="AVI"),
        pytest.param(
            {"width": 352, "height": 288, "options": ("-vf", "setsar=16/11")},
            (512, 288),
            ["288p"],
            id="of broad pixels",
        ),
        pytest.param(
            {"width": 320, "height": 240, "options": ("-flags", "+ilme+ildct", "-top", "1")},
            (320, 240),
            ["240p"],
            id="interlaced",
        ),
        pytest.param(
            {"width": 320, "height": 180, "options": ("-pix_fmt", "yuv420p10le")},
            (320, 180),
            ["180p"],
            id="of 10 bits",
        ),
    ],
)
async def test_a_film_has_the_rungs_of_its_ladder(
    program: TranscoderProgram, tmp_path: Path, recipe: dict[str, Any], shown: tuple[int, int], names: list[str]
) -> None:
    outcome = await program.transcode(clip(tmp_path, **{"seconds": 2.0, **recipe}))
    assert outcome.film.shown == shown
    assert outcome.film.has_audio is recipe.get("audio", True)
    assert [rung.name for rung in ladder(outcome.film)] == names
    assert_whole(outcome, 2.0)


async def test_a_film_in_4k_has_three_rungs(program: TranscoderProgram, tmp_path: Path) -> None:
    outcome = await program.transcode(clip(tmp_path, width=3840, height=2160, seconds=2.0, fps=5))
    assert [rung.name for rung in ladder(outcome.film)] == ["720p", "1080p", "4k"]
    assert_whole(outcome, 2.0)


async def test_every_rung_has_the_same_key_frames_and_each_segment_begins_with_one(
    program: TranscoderProgram, tmp_path: Path
) -> None:
    outcome = await program.transcode(clip(tmp_path, width=1920, height=1080, seconds=5.0, fps=10))
    assert_whole(outcome, 5.0)
    files = [outcome.out / playlist_path(rung.name) for rung in ladder(outcome.film)]
    keys = [[round(at - found[0], 2) for at in found] for found in map(key_frames, (*files, outcome.out / VIDEO))]
    assert keys == [[0.0, GOP_SECONDS, 2 * GOP_SECONDS]] * 3
    for file in files:
        assert [segment.seconds for segment in parse_media(file.read_text()).segments] == [4.0, 1.0]


async def test_an_uneven_film_has_an_even_rate(program: TranscoderProgram, tmp_path: Path) -> None:
    outcome = await program.transcode(clip(tmp_path, width=320, height=180, seconds=5.0, uneven=True))
    assert_whole(outcome, 5.0)
    (picture,) = streams(outcome.out / VIDEO, "video")
    assert picture["r_frame_rate"] == picture["avg_frame_rate"] == "25/1"


async def test_a_film_of_120_pictures_a_second_is_shown_at_60(program: TranscoderProgram, tmp_path: Path) -> None:
    outcome = await program.transcode(clip(tmp_path, width=320, height=180, seconds=1.0, fps=120))
    (picture,) = streams(outcome.out / VIDEO, "video")
    assert picture["r_frame_rate"] == "60/1"


async def test_a_turned_film_is_shown_upright(program: TranscoderProgram, tmp_path: Path) -> None:
    """The corner that is red as coded, the upper left one, is the upper right one after a quarter clockwise."""
    red = ("-vf", "drawbox=x=0:y=0:w=80:h=60:color=red:t=fill")
    outcome = await program.transcode(
        clip(tmp_path, width=320, height=240, seconds=1.0, audio=False, rotation=90, options=red)
    )
    assert outcome.film.shown == (240, 320)
    for made in (VIDEO, THUMBNAIL):
        red_part, _, blue_part = pixel(outcome.out / made, 225, 20)
        assert red_part > 200, made
        assert blue_part < 60, made


async def test_the_thumbnail_is_taken_from_the_third_second(program: TranscoderProgram, tmp_path: Path) -> None:
    late = ("-vf", "drawbox=color=red:t=fill:enable='gte(t,2.9)',drawbox=color=blue:t=fill:enable='lt(t,2.9)'")
    outcome = await program.transcode(clip(tmp_path, width=320, height=180, seconds=5.0, audio=False, options=late))
    assert pixel(outcome.out / THUMBNAIL, 100, 100)[0] > 200


async def test_a_cover_and_subtitles_are_not_the_film(program: TranscoderProgram, tmp_path: Path) -> None:
    film = clip(tmp_path, "film.mp4", width=320, height=180, seconds=1.0)
    ffmpeg("-i", str(film), "-frames:v", "1", "-vf", "scale=400:400", str(tmp_path / "cover.png"))
    covered = tmp_path / "covered.mp4"
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n")
    parts = [word for name in ("cover.png", "film.mp4", "words.srt") for word in ("-i", str(tmp_path / name))]
    mapped = ("-map", "0", "-map", "1", "-map", "2", "-c", "copy", "-c:s", "mov_text")
    ffmpeg(*parts, *mapped, "-disposition:v:0", "attached_pic", str(covered))
    outcome = await program.transcode(covered)
    assert outcome.film.shown == (320, 180)
    assert_whole(outcome, 1.0)


async def test_a_film_that_does_not_tell_its_length_is_made_whole(program: TranscoderProgram, tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.webm"
    film = clip(tmp_path, "film.webm", width=320, height=180, seconds=2.0)
    ffmpeg("-i", str(film), "-c", "copy", "-f", "webm", "-live", "1", str(recorded))
    outcome = await program.transcode(recorded)
    assert outcome.film.duration_seconds == 0
    assert_whole(outcome, 2.0)
    assert outcome.percents == []


async def test_sound_that_begins_late_stays_with_its_picture(program: TranscoderProgram, tmp_path: Path) -> None:
    film, late = clip(tmp_path, "film.mp4", width=320, height=180, seconds=3.0), tmp_path / "late.mp4"
    ffmpeg(
        *("-i", str(film), "-itsoffset", "1", "-t", "1", "-i", str(film)), *("-map", "0:v", "-map", "1:a"), str(late)
    )
    outcome = await program.transcode(late)
    assert_whole(outcome, 3.0)
    (sound,) = streams(outcome.out / VIDEO, "audio")
    assert float(sound["start_time"]) == pytest.approx(0.0, abs=0.05)
    assert float(sound["duration"]) == pytest.approx(2.0, abs=0.1), "silence comes first"


async def test_of_a_film_that_breaks_off_what_is_there_is_made(program: TranscoderProgram, tmp_path: Path) -> None:
    """A player would show it up to there. Its head, which came first, promises four seconds."""
    film = clip(tmp_path, width=320, height=180, seconds=4.0, options=("-movflags", "+faststart"))
    outcome = await program.transcode(truncated(film, 0.6))
    assert outcome.film.duration_seconds == pytest.approx(4.0, abs=0.1)
    made = float(probed(outcome.out / VIDEO)["format"]["duration"])
    assert 1.0 < made < 3.5
    assert_whole(outcome, made)


async def test_a_film_of_high_dynamic_range_is_made_for_any_screen(program: TranscoderProgram, tmp_path: Path) -> None:
    tags = ("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc")
    coded = ("-c:v", "libx264", "-pix_fmt", "yuv420p10le", *tags)
    outcome = await program.transcode(clip(tmp_path, width=320, height=180, seconds=1.0, options=coded))
    assert_whole(outcome, 1.0)
    (picture,) = streams(outcome.out / VIDEO, "video")
    assert (picture["color_transfer"], picture["color_primaries"], picture["color_space"]) == ("bt709",) * 3

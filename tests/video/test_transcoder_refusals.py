"""Films that the transcoder does not make, and why: what they are, and what they would cost."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from media_core.reasons import Reason
from media_worker.transcoder.protocol import Request
from support.clips import clip, ffmpeg, truncated
from support.transcoder_program import TranscoderProgram, size_of, transcoder

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10.0,\n{}\n#EXT-X-ENDLIST\n"


@pytest.fixture(scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TranscoderProgram]:
    """One for all films here."""
    async with transcoder(tmp_path_factory.mktemp("transcoder")) as running:
        yield running


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def looped(folder: Path, seconds: int = 300, name: str = "long.mp4") -> Path:
    """A film that takes long to make, at next to no cost: one second of it again and again."""
    short = clip(folder, f"short-{name}", width=640, height=360, seconds=1.0)
    ffmpeg("-stream_loop", str(seconds - 1), "-i", str(short), "-c", "copy", str(folder / name))
    return folder / name


def damaged(path: Path) -> Path:
    """The same file with none of its pictures left, and its head as it was."""
    data = bytearray(path.read_bytes())
    at = data.index(b"mdat") + 4
    end = data.index(b"moov", at) - 4
    data[at:end] = b"\xff" * (end - at)
    path.write_bytes(data)
    return path


def referring(folder: Path) -> Path:
    """A playlist and, beside it, a film it names: neither may be looked at."""
    clip(folder, "other.mp4", width=320, height=180, seconds=1.0)
    return written(folder / "clip.mp4", PLAYLIST.format(f"file://{folder}/other.mp4"))


@pytest.mark.parametrize(
    ("made", "reason", "said"),
    [
        pytest.param(
            lambda f: truncated(clip(f, width=320, height=180, seconds=2.0)),
            "Undecodable",
            "moov atom not found",
            id="without its head, which comes last",
        ),
        pytest.param(
            lambda f: damaged(clip(f, width=320, height=180, seconds=2.0, audio=False)),
            "Undecodable",
            "No picture of the video can be decoded",
            id="with nothing but its head",
        ),
        pytest.param(lambda f: written(f / "clip.mp4", b""), "Undecodable", "empty", id="empty"),
        pytest.param(lambda f: clip(f, video=False), "UnsupportedFormat", "sound and no picture", id="only sound"),
        pytest.param(
            lambda f: clip(f, "clip.mp3", video=False, options=("-c:a", "libmp3lame")),
            "UnsupportedFormat",
            "no video that can be read",
            id="a song",
        ),
        pytest.param(referring, "UnsupportedFormat", "is a playlist", id="a playlist that calls itself a film"),
        pytest.param(
            lambda f: written(f / "clip.mp4", PLAYLIST.format("/etc/passwd")),
            "UnsupportedFormat",
            "is a playlist",
            id="a playlist of the system's files",
        ),
        pytest.param(
            lambda f: written(f / "clip.mp4", "ffconcat version 1.0\nfile /etc/passwd\n"),
            "UnsupportedFormat",
            "is a playlist",
            id="a list of files to join",
        ),
        pytest.param(
            lambda f: written(f / "clip.mp4", "file '/etc/passwd'\n"),
            "UnsupportedFormat",
            "no video that can be read",
            id="a list of files without its mark",
        ),
        pytest.param(
            lambda f: written(f / "clip.mp4", "plain words\n" * 1000),
            "UnsupportedFormat",
            "no video that can be read",
            id="a text",
        ),
        pytest.param(
            lambda f: clip(f, "clip.avi", width=320, height=180, seconds=1.0, options=("-c:v", "wmv2")),
            "UnsupportedFormat",
            "coded as wmv2",
            id="of a codec that is not read",
        ),
        pytest.param(
            lambda f: clip(f, width=16, height=16, seconds=1.0), "UnsupportedFormat", "at least 32", id="too small"
        ),
        pytest.param(
            lambda f: clip(f, width=2048, height=64, seconds=1.0), "UnsupportedFormat", "20 times", id="too slim"
        ),
        pytest.param(
            lambda f: clip(f, "clip.mkv", width=8256, height=416, seconds=0.2, options=("-c:v", "mjpeg")),
            "TooManyPixels",
            "8192",
            id="too large",
        ),
    ],
)
async def test_what_is_no_film_is_refused_with_a_reason(
    program: TranscoderProgram, tmp_path: Path, made: Callable[[Path], Path], reason: str, said: str
) -> None:
    outcome = await program.transcode(made(tmp_path))
    assert outcome.refusal[0] == reason
    assert said in outcome.refusal[1]
    assert outcome.refusal[1].endswith(".")
    assert not (outcome.out / "hls/master.m3u8").exists()


async def test_a_film_that_is_too_long_is_not_begun(program: TranscoderProgram, tmp_path: Path) -> None:
    outcome = await program.transcode(clip(tmp_path, width=320, height=180, seconds=4.0), max_seconds=3)
    assert outcome.refusal == (Reason.TOO_LONG, "The video is 4 s long; the limit is 3 s.")
    assert size_of(outcome.out) == 0


async def test_a_film_that_does_not_tell_that_it_is_too_long_is_stopped_there(
    program: TranscoderProgram, tmp_path: Path
) -> None:
    film = clip(tmp_path, "film.webm", width=320, height=180, seconds=4.0)
    ffmpeg("-i", str(film), "-c", "copy", "-f", "webm", "-live", "1", str(tmp_path / "recorded.webm"))
    outcome = await program.transcode(tmp_path / "recorded.webm", max_seconds=2)
    assert outcome.refusal == (Reason.TOO_LONG, "The video is longer than the 2 s that are allowed.")


async def test_a_film_that_takes_too_long_is_stopped(program: TranscoderProgram, tmp_path: Path) -> None:
    outcome = await program.transcode(looped(tmp_path), timeout_seconds=2)
    assert outcome.refusal == (Reason.DEADLINE_EXCEEDED, "The video took longer than the 2 s that are allowed.")
    assert program.children() == []


async def test_a_film_that_becomes_too_large_is_stopped(program: TranscoderProgram, tmp_path: Path) -> None:
    outcome = await program.transcode(looped(tmp_path), max_output_bytes=1 << 20)
    assert outcome.refusal[0] == Reason.TOO_LARGE
    assert str(1 << 20) in outcome.refusal[1]
    assert size_of(outcome.out) < 4 << 20
    assert program.children() == []


async def test_a_film_that_takes_too_much_memory_is_charged_for_it(tmp_path: Path) -> None:
    film = clip(tmp_path, width=3840, height=2160, seconds=1.0, fps=10)
    async with transcoder(tmp_path / "small", memory_bytes=640 << 20) as program:
        outcome = await program.transcode(film)
        assert outcome.refusal == (
            Reason.DECODER_OUT_OF_MEMORY,
            "The video takes more memory than the 640 MiB that are allowed.",
        )


async def test_an_ffmpeg_that_crashes_is_charged_to_its_film(program: TranscoderProgram, tmp_path: Path) -> None:
    asking = asyncio.create_task(program.transcode(looped(tmp_path)))
    os.kill(await program.at_work(), signal.SIGSEGV)
    assert (await asking).refusal == (
        Reason.DECODER_CRASHED,
        "The transcoder was ended by signal 11 (SIGSEGV) on the video.",
    )


async def test_a_folder_that_is_not_there_is_nobodys_fault(program: TranscoderProgram) -> None:
    outcome = await program.ask(Request("0" * 36, Request.read(_ASKED).limits))
    assert outcome.refusal[0] == Reason.INTERNAL_ERROR


async def test_an_original_that_is_a_link_is_not_followed(program: TranscoderProgram, tmp_path: Path) -> None:
    film = clip(tmp_path, width=320, height=180, seconds=1.0)
    request = program.place(film)
    original = program.folder / request.film / "original"
    original.unlink()
    original.symlink_to(film)
    assert (await program.ask(request)).refusal[0] == Reason.INTERNAL_ERROR


@pytest.mark.parametrize("film", ["../../../../../../../../../../etc/cron", "x", "A" * 36, 7])
async def test_a_film_is_named_by_nothing_but_its_folder(program: TranscoderProgram, film: object) -> None:
    said = await program.say({**_ASKED, "film": film})
    assert (said["ok"], said["reason"]) == (False, "InternalError")


_ASKED = {"film": "0" * 36, "limits": {"maxSeconds": 10, "timeoutSeconds": 10, "maxOutputBytes": 1000}}

"""`media-transcoder` as a program: its socket, its signals, who hangs up, and what its children are denied."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from pathlib import Path

import pytest

from media_core.ladder import Film
from media_core.reasons import Reason
from media_worker.decoder.frames import pack
from media_worker.decoder.wire import read_header
from media_worker.transcoder.confinement import Bounds
from media_worker.transcoder.process import run
from media_worker.transcoder.protocol import read_answer
from support.clips import clip, ffmpeg
from support.deadlines import eventually
from support.transcoder_program import PROGRAM, TranscoderProgram, running, transcoder

BOUNDS = Bounds(memory_bytes=1 << 30, file_bytes=1 << 20, cpu_seconds=20)


@pytest.fixture
def looped(tmp_path: Path) -> Path:
    """A film that takes long to make."""
    short = clip(tmp_path, "short.mp4", width=640, height=360, seconds=1.0)
    ffmpeg("-stream_loop", "299", "-i", str(short), "-c", "copy", str(tmp_path / "long.mp4"))
    return tmp_path / "long.mp4"


async def confined(folder: Path, *command: str) -> tuple[int, bytes, str]:
    """Exit code, output and complaints of a program that runs as ffmpeg does."""
    said = bytearray()
    async with asyncio.timeout(30):
        ended = await run(command, folder, BOUNDS, said.extend)
    return ended.code, bytes(said), ended.complaints


async def test_ffmpeg_reaches_no_network(tmp_path: Path) -> None:
    """Not even where it is asked to by its own command, as here."""
    met = asyncio.Event()
    server = await asyncio.start_server(lambda _reader, _writer: met.set(), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for address in (f"tcp://127.0.0.1:{port}", f"http://127.0.0.1:{port}/film.mp4"):
            code, _, complaints = await confined(tmp_path, "ffmpeg", "-hide_banner", "-i", address)
            assert code != 0
            assert "Operation not permitted" in complaints
    assert not met.is_set()


async def test_a_file_that_grows_too_large_ends_its_program(tmp_path: Path) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=640x360:duration=20", "-c:v", "rawvideo", "-f", "rawvideo", "film")
    code, _, _ = await confined(tmp_path, "ffmpeg", "-nostdin", "-loglevel", "error", *source)
    assert code == -signal.SIGXFSZ
    assert (tmp_path / "film").stat().st_size <= 1 << 20


async def test_a_client_that_hangs_up_ends_ffmpeg_and_then_the_next_is_served(tmp_path: Path, looped: Path) -> None:
    async with transcoder(tmp_path / "program") as program:
        reader, writer = await begun(program, looped)
        pid = await program.at_work()
        writer.write_eof()
        async with asyncio.timeout(10):
            while await reader.read(1024):
                pass
        assert not running(pid), "the connection was closed before ffmpeg had ended"
        writer.close()
        assert (await program.transcode(clip(tmp_path, width=320, height=180, seconds=1.0))).film.width == 320


async def test_a_second_film_is_refused_at_once_while_one_is_made(tmp_path: Path, looped: Path) -> None:
    async with transcoder(tmp_path / "program") as program:
        _, writer = await begun(program, looped)
        pid = await program.at_work()
        outcome = await program.transcode(looped)
        assert outcome.refusal == (Reason.INTERNAL_ERROR, "The transcoder is busy with another film.")
        assert running(pid)
        writer.close()


async def test_progress_is_told_while_the_film_is_made(tmp_path: Path, looped: Path) -> None:
    async with transcoder(tmp_path / "program") as program:
        reader, writer = await begun(program, looped)
        async with asyncio.timeout(60):
            probed, first, second = [await read_header(reader) for _ in range(3)]
        film = read_answer(probed)
        assert isinstance(film, Film)
        assert (film.shown, film.has_audio) == ((640, 360), True)
        assert film.duration_seconds == pytest.approx(300, abs=1)
        assert 0 < first["percent"] < second["percent"] < 100
        writer.close()


async def test_a_segment_is_whole_as_soon_as_it_has_its_name(tmp_path: Path, looped: Path) -> None:
    """So that it can be uploaded at once."""
    seen: dict[Path, int] = {}

    def look() -> bool:
        for path in program.folder.glob("*/out/hls/*.ts"):
            seen.setdefault(path, path.stat().st_size)
        return len(seen) >= 4

    async with transcoder(tmp_path / "program") as program:
        _connection = await begun(program, looped)
        await eventually(look, seconds=60.0, pause=0.001)
        assert {path: path.stat().st_size for path in seen} == seen


async def test_sigterm_ends_the_program_and_ffmpeg(tmp_path: Path, looped: Path) -> None:
    async with transcoder(tmp_path / "program") as program:
        _connection = await begun(program, looped)
        pid = await program.at_work()
        program.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await program.process.wait() == 0
        assert not running(pid)
        assert not program.path.exists()


async def test_nothing_is_left_of_a_program_that_was_killed(tmp_path: Path, looped: Path) -> None:
    async with transcoder(tmp_path / "program") as program:
        _connection = await begun(program, looped)
        pid = await program.at_work()
        program.process.kill()
        await eventually(lambda: not running(pid))


async def test_only_owner_and_group_can_reach_the_socket(tmp_path: Path) -> None:
    async with transcoder(tmp_path / "program") as program:
        assert stat.S_IMODE(os.stat(program.path).st_mode) == 0o660


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(("--folder", ".", "--memory-bytes", "1000"), id="no memory to run in"),
        pytest.param(("--folder", "nowhere"), id="no folder"),
    ],
)
async def test_a_setting_with_which_nothing_can_run_is_a_configuration_error(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "--socket", "decoder.sock", *arguments, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(30):
        _, said = await process.communicate()
    assert process.returncode == 78
    assert b"media-transcoder: " in said


async def begun(program: TranscoderProgram, original: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection on which a film was asked for."""
    reader, writer = await asyncio.open_unix_connection(str(program.path))
    writer.write(pack(program.place(original).to_header()))
    return reader, writer

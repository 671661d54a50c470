"""`media-decoder` as a program: its socket, its signals, its arguments, and every format through the whole of it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from media_core.renditions import DEFAULT_RENDITIONS
from media_worker.decoder.client import Decoded, DecoderClient, DecodeRefused, DecoderUnavailable
from media_worker.decoder.formats import CONTENT_TYPES
from media_worker.decoder.protocol import Limits
from media_worker.original import Original
from support.deadlines import eventually
from support.images import encoded, gradient, opened

PIXELS_IN_HAND = 80 << 20
"""Resident bytes from which on a decoder has begun with a picture of 72 MB; processor time goes into starting, too."""

PROGRAM = (sys.executable, "-m", "media_worker.decoder.server")
SAMPLES = Path(__file__).parents[2] / "samples"


@asynccontextmanager
async def program(path: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program, once it is there to be connected to."""
    process = await asyncio.create_subprocess_exec(
        *PROGRAM, "--socket", str(path), *arguments, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        await eventually(lambda: process.returncode is not None or _answers(path))
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def decode(path: Path, data: bytes, content_type: str) -> Decoded:
    with Original.of(data) as original:
        return await DecoderClient(str(path)).decode(
            original, content_type=content_type, renditions=DEFAULT_RENDITIONS, limits=Limits()
        )


async def test_every_format_comes_through_the_whole_program(tmp_path: Path) -> None:
    path = tmp_path / "decoder.sock"
    async with program(path):
        for content_type, format_ in CONTENT_TYPES.items():
            made = await decode(path, encoded(gradient(800, 600), format_.value), content_type)
            assert [(v.name, *opened(v.data).size) for v in made.variants] == [
                ("thumbnail", 150, 113),
                ("medium", 600, 450),
                ("large", 800, 600),
            ]


async def test_the_sample_photographs_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "decoder.sock"
    photographs = {
        "dandelion.jpg": ("image/jpeg", (5312, 2988)),
        "mountains.jpg": ("image/jpeg", (3264, 2448)),
        "sunset.jpg": ("image/jpeg", (4272, 2848)),
        "dogs.heic": ("image/heic", (2056, 3088)),
        "coffee.png": ("image/png", (600, 400)),
    }
    async with program(path):
        for name, (content_type, size) in photographs.items():
            made = await decode(path, (SAMPLES / name).read_bytes(), content_type)
            assert (made.width, made.height) == size
            assert max(made.variants[-1].width, made.variants[-1].height) == min(1200, max(size))


async def test_only_owner_and_group_can_reach_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "decoder.sock"
    async with program(path, "--children", "1"):
        assert stat.S_IMODE(_mode(path)) == 0o660


async def test_a_socket_that_was_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "decoder.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with program(path, "--children", "1"):
        assert (await decode(path, encoded(gradient(20, 10), "PNG"), "image/png")).width == 20


async def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "decoder.sock"
    path.write_text("precious")
    async with program(path, "--children", "1") as process:
        assert process.returncode == 1
        assert path.read_text() == "precious"


async def test_sigterm_lets_running_images_end_and_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "decoder.sock"
    data = encoded(gradient(6000, 4000), "PNG", compress_level=1)
    async with program(path, "--children", "1") as process:
        running = asyncio.create_task(decode(path, data, "image/png"))
        await eventually(lambda: any(_resident(pid) > PIXELS_IN_HAND for pid in _descendants(process.pid)))
        process.send_signal(signal.SIGTERM)
        assert (await running).width == 6000
        async with asyncio.timeout(10):
            assert await process.wait() == 0
        with pytest.raises(DecoderUnavailable):
            await decode(path, data, "image/png")
        assert not path.exists()


async def test_nothing_is_left_of_a_decoder_that_was_killed(tmp_path: Path) -> None:
    async with program(tmp_path / "decoder.sock", "--children", "3") as process:
        family = _descendants(process.pid)
        assert len(family) == 4, "the zygote and three children"
        process.kill()
        await eventually(lambda: not any(_exists(pid) for pid in family))


@pytest.mark.parametrize(
    ("argument", "value"),
    [("--children", "0"), ("--images-per-child", "-1"), ("--child-memory-bytes", str(100 << 20))],
)
async def test_a_setting_with_which_nothing_can_run_is_a_configuration_error(
    tmp_path: Path, argument: str, value: str
) -> None:
    async with program(tmp_path / "decoder.sock", argument, value) as process:
        assert process.returncode == 78


async def test_images_from_many_callers_go_to_all_children(tmp_path: Path) -> None:
    path = tmp_path / "decoder.sock"
    good, bad = encoded(gradient(900, 700), "JPEG"), b"\xff\xd8\xff and no more"
    async with program(path, "--children", "3"):
        answers = await asyncio.gather(
            *(decode(path, bad if number % 3 == 0 else good, "image/jpeg") for number in range(30)),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers] == [DecodeRefused, Decoded, Decoded] * 10


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _mode(path: Path) -> int:
    return path.stat().st_mode


def _exists(pid: int) -> bool:
    """Whether it runs; a zombie that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _descendants(pid: int) -> list[int]:
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return children + [below for child in children for below in _descendants(child)]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return 0

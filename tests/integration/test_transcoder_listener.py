"""The transcoder's socket, with films that are only said to be made. Needs no ffmpeg."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from media_core.reasons import Reason
from media_worker.decoder.frames import pack
from media_worker.decoder.wire import read_header
from media_worker.transcoder.listener import Listener
from media_worker.transcoder.protocol import Limits, Request, TranscodeRefused, percent_frame
from media_worker.transcoder.transcoding import Tell, Transcoder

REQUEST = Request("0" * 36, Limits())
PERCENT = {"percent": 7}


@dataclass
class Scripted:
    """Makes films as the test says: each tells a percent, waits to be let go, and then ends with an error, if any."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    ended: int = 0

    async def transcode(self, request: Request, tell: Tell) -> None:
        tell(percent_frame(7))
        try:
            await self.go.wait()
        finally:
            await asyncio.sleep(0)
            self.ended += 1
        if self.error is not None:
            raise self.error


@asynccontextmanager
async def listening(folder: Path, scripted: Scripted) -> AsyncIterator[Path]:
    path = folder / "decoder.sock"
    listener = Listener(path, cast(Transcoder, scripted))
    await listener.start()
    try:
        yield path
    finally:
        await listener.stop()


async def asked(path: Path, raw: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(raw)
    return reader, writer


async def frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[dict[str, Any]]:
    """Everything up to the last word, after which the connection ends."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(10):
        while not found or "ok" not in found[-1]:
            found.append(await read_header(reader))
        assert await reader.read() == b""
    writer.close()
    return found


async def test_a_film_is_answered_by_its_progress_and_a_last_word(tmp_path: Path) -> None:
    scripted = Scripted()
    scripted.go.set()
    async with listening(tmp_path, scripted) as path:
        assert await frames(*await asked(path, pack(REQUEST.to_header()))) == [PERCENT, {"ok": True}]


@pytest.mark.parametrize(
    ("error", "reason", "said"),
    [
        (TranscodeRefused(Reason.TOO_LONG, "It is too long."), "TooLong", "It is too long."),
        (OSError(28, "No space left on device"), "InternalError", "No space left on device"),
    ],
)
async def test_a_film_that_is_not_made_has_a_reason(tmp_path: Path, error: Exception, reason: str, said: str) -> None:
    scripted = Scripted(error=error)
    scripted.go.set()
    async with listening(tmp_path, scripted) as path:
        last = (await frames(*await asked(path, pack(REQUEST.to_header()))))[-1]
        assert (last["ok"], last["reason"]) == (False, reason)
        assert said in last["message"]


async def test_an_error_that_nobody_foresaw_is_the_transcoders_own(tmp_path: Path) -> None:
    scripted = Scripted(error=RuntimeError("oh"))
    scripted.go.set()
    async with listening(tmp_path, scripted) as path:
        last = (await frames(*await asked(path, pack(REQUEST.to_header()))))[-1]
        assert (last["ok"], last["reason"]) == (False, "InternalError")
        scripted.error = None
        assert (await frames(*await asked(path, pack(REQUEST.to_header()))))[-1] == {"ok": True}


@pytest.mark.parametrize(
    "raw", [pack({}), pack({**REQUEST.to_header(), "film": "../x"}), b"\xff\xff\xff\xff", b"\0\0\0\2[]"]
)
async def test_a_request_that_makes_no_sense_is_said_to_make_none(tmp_path: Path, raw: bytes) -> None:
    async with listening(tmp_path, Scripted()) as path:
        (said,) = await frames(*await asked(path, raw))
        assert (said["ok"], said["reason"]) == (False, "InternalError")


async def test_while_one_film_is_made_another_is_refused_at_once(tmp_path: Path) -> None:
    scripted = Scripted()
    async with listening(tmp_path, scripted) as path:
        first = await asked(path, pack(REQUEST.to_header()))
        assert await read_header(first[0]) == PERCENT
        (said,) = await frames(*await asked(path, pack(REQUEST.to_header())))
        assert (said["reason"], "busy" in said["message"]) == ("InternalError", True)
        scripted.go.set()
        assert await frames(*first) == [{"ok": True}]


async def test_a_client_that_hangs_up_ends_its_film_before_its_connection(tmp_path: Path) -> None:
    scripted = Scripted()
    async with listening(tmp_path, scripted) as path:
        reader, writer = await asked(path, pack(REQUEST.to_header()))
        assert await read_header(reader) == PERCENT
        writer.write_eof()
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        assert scripted.ended == 1
        writer.close()


async def test_whoever_stops_the_program_ends_its_film(tmp_path: Path) -> None:
    scripted = Scripted()
    async with listening(tmp_path, scripted) as path:
        reader, writer = await asked(path, pack(REQUEST.to_header()))
        assert await read_header(reader) == PERCENT
    assert scripted.ended == 1
    assert not path.exists()
    writer.close()

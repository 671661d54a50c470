"""`media-transcoder` as a program of its own, and a client that asks it for films over its socket."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media_core.ladder import Film
from media_worker.decoder.frames import WireBroken, pack
from media_worker.decoder.wire import read_header
from media_worker.transcoder.protocol import Done, Limits, Request, TranscodeRefused, read_answer
from support.deadlines import eventually

PROGRAM = (sys.executable, "-m", "media_worker.transcoder.server")
ANSWER_SECONDS = 60.0


@dataclass
class Outcome:
    """What the transcoder said of a film. `ended_first` is whether it hung up without a last word."""

    folder: Path
    probed: Film | None = None
    percents: list[int] = field(default_factory=list)
    refused: TranscodeRefused | None = None
    ended_first: bool = False

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def film(self) -> Film:
        """Of a film that was made."""
        assert self.refused is None, self.refused
        assert not self.ended_first
        assert self.probed is not None
        return self.probed

    @property
    def refusal(self) -> tuple[str, str]:
        """Reason and message of one that was not."""
        assert self.refused is not None, "the film was made"
        return str(self.refused.reason), self.refused.message


@dataclass(frozen=True)
class TranscoderProgram:
    """A running program."""

    path: Path
    folder: Path
    process: asyncio.subprocess.Process

    def place(self, original: Path) -> Request:
        """Put a film where the worker puts it."""
        request = Request(str(uuid.uuid4()), Limits())
        folder = self.folder / request.film
        (folder / "out").mkdir(parents=True)
        shutil.copyfile(original, folder / "original")
        return request

    async def transcode(self, original: Path, **limits: int) -> Outcome:
        """Have a film made."""
        request = self.place(original)
        return await self.ask(Request(request.film, Limits(**limits)))

    async def ask(self, request: Request) -> Outcome:
        """Have a film made that is in its place."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        try:
            return await heard(reader, writer, request, Outcome(self.folder / request.film))
        finally:
            writer.close()

    async def say(self, header: dict[str, Any]) -> dict[str, Any]:
        """The first frame of the answer to a frame as it is."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        try:
            writer.write(pack(header))
            async with asyncio.timeout(ANSWER_SECONDS):
                return await read_header(reader)
        finally:
            writer.close()

    def children(self) -> list[int]:
        """Process ids of the programs it runs."""
        return [pid for pid in _children(self.process.pid) if _name(pid) in ("ffmpeg", "ffprobe")]

    async def at_work(self) -> int:
        """Process id of its ffmpeg, once that has begun a segment."""
        return await eventually(lambda: next((pid for pid in self.children() if _has_begun(pid)), 0))


async def heard(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request, outcome: Outcome
) -> Outcome:
    """All that is answered to a request."""
    writer.write(pack(request.to_header()))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while not isinstance(said := read_answer(await read_header(reader)), Done):
                if isinstance(said, Film):
                    outcome.probed = said
                else:
                    outcome.percents.append(said)
            assert await reader.read() == b"", "it says something after its last word"
    except TranscodeRefused as refused:
        outcome.refused = refused
    except WireBroken:
        outcome.ended_first = True
    return outcome


@asynccontextmanager
async def transcoder(folder: Path, memory_bytes: int = 2 << 30) -> AsyncIterator[TranscoderProgram]:
    """A program whose socket and films are in that folder."""
    path, films = folder / "decoder.sock", folder / "film"
    films.mkdir(parents=True, exist_ok=True)
    arguments = ("--socket", str(path), "--folder", str(films), "--memory-bytes", str(memory_bytes))
    process = await asyncio.create_subprocess_exec(*PROGRAM, *arguments, stderr=asyncio.subprocess.DEVNULL)
    try:
        await eventually(lambda: process.returncode is not None or _answers(path))
        yield TranscoderProgram(path, films, process)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(30):
            await process.wait()


def running(pid: int) -> bool:
    """Whether a process is there; one that has ended and was not yet asked after is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _children(pid: int) -> list[int]:
    """Of any of its threads, some of which end as they are looked at."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""


def _has_begun(pid: int) -> bool:
    return _name(pid) == "ffmpeg" and any(Path(f"/proc/{pid}/cwd/out/hls").glob("*.ts*"))


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(os.lstat(path).st_size for path in folder.rglob("*") if path.is_file())

"""Runs ffmpeg and ffprobe: confined, in a session of their own, and ended by SIGKILL when nobody wants the outcome."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from media_worker.transcoder.confinement import Bounds
from media_worker.transcoder.launch import SEARCHED

log = structlog.get_logger()

LAUNCH = (sys.executable, "-I", "-m", "media_worker.transcoder.launch")
LOOK_SECONDS = 0.5
END_SECONDS = 10.0
CHUNK_BYTES = 64 << 10
KEPT_BYTES = 4000
"""Of what a program complains about, from its beginning and from its end; a damaged film makes it say much."""
OUT_OF_MEMORY = (b"Cannot allocate memory", b"malloc of size", b"bad_alloc", b"Resource temporarily unavailable")
"""What libraries say when they get no more; the last is the C library's for a thread without room for its stack."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A program that ended by itself. `code` is negative for a signal, as in Python's own `returncode`."""

    code: int
    complaints: str
    out_of_memory: bool


Hear = Callable[[bytes], None]
Look = Callable[[], None]


def ignore() -> None:
    """A look that sees nothing."""


async def run(command: Sequence[str], folder: Path, bounds: Bounds, hear: Hear, look: Look = ignore) -> Ended:
    """Run it in that folder to its end.

    `hear` is given what it prints, and `look` is called now and then; what either raises ends the program. However
    this is left, the program has ended.
    """
    process = await asyncio.create_subprocess_exec(
        *LAUNCH,
        str(os.getpid()),
        *bounds.to_arguments(),
        *command,
        cwd=folder,
        env={"PATH": SEARCHED},
        start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    complaints = Complaints()
    ending = asyncio.create_task(process.wait())
    tasks = {
        ending,
        asyncio.create_task(_all(process.stdout, hear)),
        asyncio.create_task(_all(process.stderr, complaints.add)),
    }
    try:
        pending = tasks
        while pending:
            done, pending = await asyncio.wait(pending, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
            look()
    finally:
        await _end(process)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return Ended(ending.result(), complaints.text, complaints.of_memory)


class Complaints:
    """The beginning and the end of what a program writes to its standard error, and whether memory was missing."""

    def __init__(self) -> None:
        self._first = b""
        self._last = b""
        self.of_memory = False

    def add(self, chunk: bytes) -> None:
        """It writes more."""
        seen = self._last + chunk
        self.of_memory = self.of_memory or any(mark in seen for mark in OUT_OF_MEMORY)
        room = KEPT_BYTES - len(self._first)
        self._first += chunk[:room]
        self._last = seen[-KEPT_BYTES:]

    @property
    def text(self) -> str:
        """What is kept of it."""
        kept = self._first if self._last in self._first else self._first + b"\n" + self._last
        return kept.decode(errors="replace").strip()


async def _all(stream: asyncio.StreamReader, hear: Hear) -> None:
    while chunk := await stream.read(CHUNK_BYTES):
        hear(chunk)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its whole session, though none of its members can start another."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        log.error("program outlived its end", process=process.pid)

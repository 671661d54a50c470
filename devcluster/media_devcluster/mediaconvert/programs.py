"""Running ffmpeg and ffprobe: at low priority, until a deadline, and ended by pid when nobody wants the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

PRIORITY = "10"
ASK_SECONDS = 3.0
ERROR_BYTES = 4000
PASSED = ("PATH", "TMPDIR")


class Overdue(Exception):
    """It ran into its deadline and was ended."""


@dataclass(frozen=True)
class Ended:
    """A program that ended by itself."""

    code: int
    out: bytes
    errors: str


async def run(command: Sequence[str], *, seconds: float, line: Callable[[str], None] | None = None) -> Ended:
    """Run it to its end; `line` is told each line it prints. Raises Overdue, and what `line` raises.

    However this is left, the program has ended.
    """
    process = await asyncio.create_subprocess_exec(
        "nice",
        "-n",
        PRIORITY,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: os.environ[name] for name in PASSED if name in os.environ},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(seconds):
            said, complained = await asyncio.gather(_lines(process.stdout, line), process.stderr.read())
            code = await process.wait()
    except TimeoutError:
        raise Overdue(f"{command[0]} did not end within {seconds:.0f} s") from None
    finally:
        await _end(process)
    return Ended(code, said, complained.decode(errors="replace").strip()[-ERROR_BYTES:])


async def _lines(stream: asyncio.StreamReader, line: Callable[[str], None] | None) -> bytes:
    if line is None:
        return await stream.read()
    while said := await stream.readline():
        line(said.decode(errors="replace").strip())
    return b""


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    for signal in (process.terminate, process.kill):
        with contextlib.suppress(ProcessLookupError):
            signal()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                await process.wait()
                return

"""What ffmpeg could do that a film has taken over: any program, started as it is. Needs no ffmpeg."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from media_worker.transcoder.confinement import Bounds
from media_worker.transcoder.process import Ended, run

BOUNDS = Bounds(memory_bytes=1 << 30, file_bytes=1 << 20, cpu_seconds=20)
DENIED = (
    "a socket",
    "a unix socket",
    "a process",
    "a signal",
    "a link",
    "another limit",
    "another session",
    "a trace",
)
ATTEMPTS = """
import ctypes, json, os, resource, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def traced():
    if libc.ptrace(16, os.getppid(), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "")
def outcome(attempt):
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    except ValueError:
        return "PermissionError"
    return "done"
attempts = {
    "a socket": lambda: socket.socket(),
    "a unix socket": lambda: socket.socketpair(),
    "a process": lambda: os.fork() or os._exit(0),
    "a signal": lambda: os.kill(os.getppid(), 0),
    "a link": lambda: os.symlink("/etc/passwd", "link"),
    "another limit": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_CORE, (0, 0)),
    "another session": lambda: os.setsid(),
    "a trace": traced,
}
limits = ("AS", "CORE", "FSIZE", "CPU")
print(json.dumps({
    "outcomes": {name: outcome(attempt) for name, attempt in attempts.items()},
    "environment": sorted(os.environ),
    "limits": {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in limits},
    "alone": os.getpgid(0) == os.getsid(0) == os.getpid(),
    "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd"))[:4],
    "niceness": os.nice(0),
}))
"""


class Enough(Exception):
    """The test has seen what it waited for."""


async def python(folder: Path, code: str, bounds: Bounds = BOUNDS) -> tuple[Ended, bytes]:
    """How the interpreter ended that was given that, and what it printed."""
    said = bytearray()
    async with asyncio.timeout(30):
        ended = await run((sys.executable, "-I", "-c", code), folder, bounds, said.extend)
    return ended, bytes(said)


async def test_from_inside_there_is_no_way_out(tmp_path: Path) -> None:
    ended, said = await python(tmp_path, ATTEMPTS)
    assert ended.code == 0, ended.complaints
    seen: dict[str, Any] = json.loads(said)
    assert seen["outcomes"] == dict.fromkeys(DENIED, "PermissionError")
    assert set(seen["environment"]) - {"LC_CTYPE"} == {"PATH", "MALLOC_ARENA_MAX"}, "the interpreter adds a locale"
    bounded = {"AS": [1 << 30] * 2, "CORE": [0, 0], "FSIZE": [1 << 20] * 2, "CPU": [20, 25]}
    assert seen["limits"] == bounded
    assert seen["alone"]
    assert seen["descriptors"][:3] == [0, 1, 2]
    assert seen["niceness"] == min(os.nice(0) + 10, 19)


async def test_threads_are_allowed(tmp_path: Path) -> None:
    ended, said = await python(tmp_path, "import threading; threading.Thread(target=print, args=('hello',)).start()")
    assert (ended.code, said) == (0, b"hello\n")


@pytest.mark.parametrize(
    ("code", "end"),
    [
        pytest.param(
            "import signal; signal.signal(25, signal.SIG_DFL); open('f', 'wb').write(bytes(2 << 20))", 25, id="a file"
        ),
        pytest.param("while True: pass", 24, id="processor time"),
        pytest.param("import os; os.abort()", 6, id="a library that gives up"),
    ],
)
async def test_a_bound_that_is_met_ends_the_program(tmp_path: Path, code: str, end: int) -> None:
    ended, _ = await python(tmp_path, code, Bounds(1 << 30, 1 << 20, cpu_seconds=1))
    assert ended.code == -end


async def test_missing_memory_is_seen(tmp_path: Path) -> None:
    ended, _ = await python(tmp_path, "import mmap; mmap.mmap(-1, 2 << 30)")
    assert (ended.code, ended.out_of_memory) == (1, True)


async def test_a_program_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    ended = await run(("no-such-program",), tmp_path, BOUNDS, lambda _said: None)
    assert (ended.code, ended.complaints) == (127, "no-such-program: No such file or directory")


ENDLESS = "import time\nwhile True: print('here', flush=True); time.sleep(0.05)"
SILENT = "import os, time\nprint(os.getpid(), flush=True)\nos.close(1); os.close(2)\ntime.sleep(600)"


async def test_whoever_hears_enough_ends_the_program(tmp_path: Path) -> None:
    def hear(said: bytes) -> None:
        raise Enough

    with pytest.raises(Enough):
        async with asyncio.timeout(30):
            await run((sys.executable, "-I", "-c", ENDLESS), tmp_path, BOUNDS, hear)


async def test_a_program_that_closes_its_streams_is_still_looked_at_and_ended(tmp_path: Path) -> None:
    said = bytearray()

    def look() -> None:
        if said:
            raise Enough

    with pytest.raises(Enough):
        async with asyncio.timeout(30):
            await run((sys.executable, "-I", "-c", SILENT), tmp_path, BOUNDS, said.extend, look)
    with pytest.raises(ProcessLookupError):
        os.kill(int(said), 0)


async def test_a_run_that_is_cancelled_ends_its_program(tmp_path: Path) -> None:
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    command = (sys.executable, "-I", "-c", SILENT)
    running = asyncio.create_task(run(command, tmp_path, BOUNDS, lambda said: begun.set_result(int(said))))
    async with asyncio.timeout(30):
        pid = await begun
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

"""Containers as local processes: each in a session and process group of its own, none outliving the cluster."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

REAPER = Path(__file__).with_name("reaper.py")
GONE_SECONDS = 5.0


class Reaper:
    """The process that outlives a cluster that is killed, just long enough to clean up behind it."""

    def __init__(self, scratch: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(REAPER)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            env={},
            text=True,
        )
        self._say(str(scratch))

    def watch(self, group: int) -> None:
        """This group lives from now on."""
        self._say(f"+{group}")

    def forget(self, group: int) -> None:
        """This group has ended."""
        self._say(f"-{group}")

    def close(self) -> None:
        """Lets it end; it kills what is left."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(timeout=GONE_SECONDS)

    def _say(self, entry: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{entry}\n")
            self._process.stdin.flush()


class ContainerProcess:
    """A process group that stands for a running container."""

    def __init__(self, process: asyncio.subprocess.Process, reaper: Reaper) -> None:
        self._process = process
        self._reaper = reaper
        reaper.watch(process.pid)

    @classmethod
    async def start(
        cls, command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path, reaper: Reaper
    ) -> ContainerProcess:
        """Starts it; FileNotFoundError when there is no such command."""
        program = shutil.which(command[0], path=env.get("PATH"))
        if program is None:
            raise FileNotFoundError(f'exec: "{command[0]}": executable file not found in $PATH')
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                program,
                *command[1:],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd=folder,
                start_new_session=True,
            )
        return cls(process, reaper)

    @property
    def pid(self) -> int:
        """Of its first process, which leads the group."""
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code, 128 + n for a signal; what it leaves behind in its group is killed, as in a container."""
        code = await self._process.wait()
        self._signal(signal.SIGKILL)
        self._reaper.forget(self.pid)
        return 128 - code if code < 0 else code

    def terminate(self) -> None:
        """Asks the first process to end, as a kubelet does."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Ends the whole group."""
        if self._process.returncode is None:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

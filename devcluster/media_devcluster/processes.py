"""A part of the stack as a process of its own: started in its own session, known again by pid and start time.

It stands apart from the parts because all of them are stopped the same way, also by a later command that did not
start them: ask, wait until a deadline, kill, and kill what they leave behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

POLL_SECONDS = 0.03
KILL_SECONDS = 5.0
TAIL_BYTES = 64 * 1024
PORTS = range(20_000, 30_000)
"""Below the range from which Linux takes the ports of outgoing connections, so that none of those gets in between."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class StartFailed(Exception):
    """A part did not come up. `log` holds its last lines, `advice` what a person can do."""

    def __init__(self, part: str, why: str, log: tuple[str, ...] = (), advice: str = "") -> None:
        super().__init__(f"{part} {why}")
        self.part, self.why, self.log, self.advice = part, why, log, advice


@dataclass(frozen=True)
class Command:
    """What to execute, and how it likes to be asked to stop."""

    name: str
    argv: tuple[str, ...]
    log: Path
    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    patience_seconds: float = 10.0
    stop_seconds: float = 10.0
    advice: str = ""


class Child:
    """A started process. Made by `start`, or by `known` from what an earlier command wrote down."""

    def __init__(
        self, command: Command, process: psutil.Process, popen: subprocess.Popen[bytes] | None = None
    ) -> None:
        self.command = command
        self.pid = process.pid
        self._process = process
        self._popen = popen

    @classmethod
    def start(cls, command: Command) -> Child:
        """Start it in a session of its own, both outputs to its log. Raises StartFailed."""
        command.log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with command.log.open("ab") as output:
                popen = subprocess.Popen(
                    command.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**inherited_environment(), **command.env},
                    cwd=command.folder,
                    user=command.user,
                    start_new_session=True,
                )
        except OSError as error:
            raise StartFailed(command.name, f"cannot be started: {error}", advice=command.advice) from error
        return cls(command, psutil.Process(popen.pid), popen)

    @classmethod
    def known(cls, command: Command, pid: int, started: float) -> Child | None:
        """The process of that pid if it is still the one that was started then; None once it is gone."""
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - started) > 0.5 or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return cls(command, process)

    @property
    def name(self) -> str:
        """Name of the part."""
        return self.command.name

    @property
    def started(self) -> float:
        """When it was started, in seconds of the epoch; with the pid, its identity."""
        return self._process.create_time()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        if self._popen is not None:
            return self._popen.poll() is None
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    @property
    def exit_code(self) -> int | None:
        """Its exit code (negative for a signal); None while it runs or where another process started it."""
        return self._popen.poll() if self._popen else None

    def rss_bytes(self, *, alone: bool = False) -> int:
        """Resident memory of it and of everything it started (`alone`: of it only); 0 once it is gone."""
        total = 0
        for process in [self._process] if alone else self._family():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.send_signal(number)

    async def ready(self, probe: Callable[[], Awaitable[bool]]) -> None:
        """Wait until the probe says yes. Raises StartFailed where it ends first or is not ready in time."""
        command = self.command
        deadline = time.monotonic() + command.patience_seconds
        while True:
            if not self.alive:
                code = "" if self.exit_code is None else f" with code {self.exit_code}"
                raise StartFailed(self.name, f"ended{code} before it was ready", self.tail(), command.advice)
            if await probe():
                return
            if time.monotonic() >= deadline:
                why = f"was not ready after {command.patience_seconds:.0f} s"
                raise StartFailed(self.name, why, self.tail(), command.advice)
            await asyncio.sleep(POLL_SECONDS)

    async def wait(self, seconds: float) -> bool:
        """Wait for its end; False where it still runs after that time."""
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def stop(self) -> bool:
        """Ask, wait, kill; then kill what it left behind. False where asking was not enough."""
        family = self._family()
        self.send(self.command.stop_signal)
        willing = await self.wait(self.command.stop_seconds)
        if not willing:
            self.send(signal.SIGKILL)
            await self.wait(KILL_SECONDS)
        await _kill_all([process for process in family if process.pid != self.pid])
        return willing

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        self.send(signal.SIGKILL)
        await self.wait(KILL_SECONDS)

    def tail(self, lines: int = 12) -> tuple[str, ...]:
        """The last lines of its log."""
        return tail(self.command.log, lines)

    def _family(self) -> list[psutil.Process]:
        try:
            return [self._process, *self._process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


async def _kill_all(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + KILL_SECONDS
    for process in processes:
        while _runs(process) and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells of its end
            await asyncio.sleep(POLL_SECONDS)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def tail(log: Path, lines: int) -> tuple[str, ...]:
    """The last lines of a log, without colours; none where there is no log."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    return tuple(_COLOUR.sub("", line) for line in text.splitlines() if line.strip())[-lines:]


def inherited_environment() -> dict[str, str]:
    """This process's environment without what would lead a part to another cluster, database or account."""
    foreign = ("AWS_", "MEDIA_", "S3_", "KUBE", "PG", "DECODER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "NO_PROXY": "127.0.0.1,localhost", "PYTHONUNBUFFERED": "1"}


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    for _ in range(100):
        port = random.choice(PORTS)  # noqa: S311 - it only has to differ from the neighbours'
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StartFailed("media-dev", "found no free port between 20000 and 29999")

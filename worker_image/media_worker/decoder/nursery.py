"""The zygote as the server sees it: started anew when it dies, asked for children, and told to end them."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

import structlog

from media_worker.decoder.confinement import Confinement
from media_worker.decoder.zygote import ORDER_BYTES

log = structlog.get_logger()

ZYGOTE = (sys.executable, "-I", "-m", "media_worker.decoder.zygote")
END_SECONDS = 5.0


class Gone(OSError):
    """There is no zygote at the moment."""


class Birth:
    """A child that was asked for: this end of its socket, and how it ended once it has."""

    def __init__(self, number: int, sock: socket.socket) -> None:
        self.number = number
        self.sock = sock
        self.ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()


class Nursery:
    """One zygote at a time."""

    def __init__(self, bounds: Confinement, command: Sequence[str] = ZYGOTE) -> None:
        self._bounds = bounds
        self._command = command
        self._numbers = itertools.count(1)
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._listening: asyncio.Task[None] | None = None
        self._births: dict[int, Birth] = {}

    @property
    def pid(self) -> int | None:
        """Process id of the zygote."""
        return self._process.pid if self._process else None

    async def birth(self) -> Birth:
        """A new child; it is there when it has said so on its socket. Raises OSError."""
        async with self._starting:
            if self._control is None:
                await self._start()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        birth = Birth(next(self._numbers), ours)
        self._births[birth.number] = birth
        try:
            with theirs:
                self._order({"spawn": birth.number}, theirs)
        except OSError:
            ours.close()
            del self._births[birth.number]
            raise
        return birth

    def kill(self, birth: Birth) -> None:
        """End it at once. It is over when `birth.ended` is."""
        if not birth.ended.done():
            with suppress(OSError):  # without a zygote there is no child either
                self._order({"kill": birth.number})

    def give_up(self) -> None:
        """The zygote does not do as it is told: end it, and with it all its children. Another is started on demand."""
        if self._process is not None and self._process.returncode is None:
            log.error("zygote given up", pid=self._process.pid)
            self._process.kill()

    async def close(self) -> None:
        """End the zygote and all its children."""
        if self._control is not None:
            self._control.shutdown(socket.SHUT_RDWR)
        if self._listening is not None:
            await self._listening

    async def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            arguments = (theirs.fileno(), self._bounds.memory_bytes, self._bounds.cpu_seconds)
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                *(str(argument) for argument in arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                env={},
                pass_fds=[theirs.fileno()],
            )
        self._control = ours
        self._listening = asyncio.create_task(self._listen(ours, self._process))
        log.info("zygote started", pid=self._process.pid)

    def _order(self, order: dict[str, int], descriptor: socket.socket | None = None) -> None:
        if self._control is None:
            raise Gone("the zygote has ended")
        files = [descriptor.fileno()] if descriptor is not None else []
        try:
            socket.send_fds(self._control, [json.dumps(order).encode()], files)
        except BlockingIOError:
            self.give_up()  # hundreds of orders lie unread
            raise

    async def _listen(self, control: socket.socket, process: asyncio.subprocess.Process) -> None:
        """News of children that ended, until the zygote itself does."""
        loop = asyncio.get_running_loop()
        try:
            while text := await loop.sock_recv(control, ORDER_BYTES):
                news = json.loads(text)
                birth = self._births.pop(news["ended"], None)
                if birth is not None:
                    birth.ended.set_result(news["status"])
        except ConnectionError as error:
            log.warning("zygote lost", error=str(error))
        finally:
            self._control = None
            control.close()
            await self._bury(process)

    async def _bury(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(END_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        log.info("zygote ended", exit_code=process.returncode)
        for birth in self._births.values():
            birth.ended.set_result(None)
        self._births.clear()

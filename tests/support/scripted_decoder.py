"""A decoder that does as the test says, behind the real wire protocol on a real unix socket.

The worker's own decoder client talks to it, so what a test holds, crashes or refuses here is what a worker would meet.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket as sockets
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from media_worker.decoder.doorway import accept, door
from media_worker.decoder.frames import WireBroken
from media_worker.decoder.handover import taken

Answer = tuple[dict[str, Any], bytes]
Script = Callable[["Request"], Awaitable[Answer | None]]


@dataclass(frozen=True, slots=True)
class Request:
    """What the worker asked for."""

    header: dict[str, Any]
    payload: bytes


async def renders(request: Request) -> Answer:
    """A picture of 640 x 480 with every rendition asked for."""
    bodies = [f"webp {asked['name']} of {len(request.payload)}".encode() for asked in request.header["renditions"]]
    variants = [
        {"name": asked["name"], "width": 4, "height": 3, "bytes": len(body)}
        for asked, body in zip(request.header["renditions"], bodies, strict=True)
    ]
    header = {
        "ok": True,
        "width": 640,
        "height": 480,
        "frames": 1,
        "placeholder": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
        "dominantColor": "#336699",
        "recipeVersion": 1,
        "variants": variants,
    }
    return header, b"".join(bodies)


def refuses(reason: str, message: str) -> Script:
    """The same refusal for every picture."""

    async def script(request: Request) -> Answer:
        return {"ok": False, "reason": reason, "message": message}, b""

    return script


async def hangs_up(request: Request) -> None:
    """The connection ends without an answer, as when the decoder's container is killed."""


@dataclass(slots=True)
class ScriptedDecoder:
    """`async with ScriptedDecoder(socket) as decoder:`; set `script` at any time, `hold` to keep decodes waiting."""

    socket: Path
    script: Script = renders
    requests: list[Request] = field(default_factory=list)
    running: int = 0
    most_at_once: int = 0
    hung_up: int = 0
    """Requests that the worker cancelled by closing the connection."""
    _accepting: asyncio.Task[None] | None = None
    _serving: set[asyncio.Task[None]] = field(default_factory=set)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _go: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._go.set()
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        await self.stop()

    async def start(self) -> None:
        """Listen."""
        self._accepting = asyncio.create_task(accept(door(self.socket), self._begin))

    async def stop(self) -> None:
        """Stop listening, and remove the socket."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        self._accepting = None
        self.socket.unlink(missing_ok=True)

    def hold(self) -> None:
        """Keep every decode waiting until `release`."""
        self._go.clear()

    def release(self) -> None:
        """Let them go on."""
        self._go.set()

    async def asked(self, count: int, seconds: float = 20.0) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(seconds):
            while len(self.requests) < count:
                self._changed.clear()
                await self._changed.wait()

    async def idle(self, seconds: float = 10.0) -> None:
        """Wait until nothing runs here."""
        async with asyncio.timeout(seconds):
            while self.running:
                self._changed.clear()
                await self._changed.wait()

    def _begin(self, sock: sockets.socket) -> None:
        task = asyncio.create_task(self._serve(sock))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, sock: sockets.socket) -> None:
        try:
            header, file = await taken(sock)
            request = Request(header, os.pread(file, header["bytes"], 0))
            os.close(file)
            self.requests.append(request)
            self.running += 1
            self._changed.set()
            self.most_at_once = max(self.most_at_once, self.running)
            try:
                if await self._cancelled(sock):
                    self.hung_up += 1
                    return
                answer = await self.script(request)
            finally:
                self.running -= 1
                self._changed.set()
            if answer is not None:
                text = json.dumps(answer[0]).encode()
                frame = struct.pack(">I", len(text)) + text + answer[1]
                await asyncio.get_running_loop().sock_sendall(sock, frame)
        except (WireBroken, ConnectionError):
            self.hung_up += 1
        finally:
            sock.close()

    async def _cancelled(self, sock: sockets.socket) -> bool:
        """Wait to be released; whether the worker hung up before."""
        going = asyncio.create_task(self._go.wait())
        closed = asyncio.create_task(asyncio.get_running_loop().sock_recv(sock, 1))
        try:
            await asyncio.wait([going, closed], return_when=asyncio.FIRST_COMPLETED)
            return closed.done() and not going.done()
        finally:
            for task in (going, closed):
                task.cancel()
            await asyncio.wait([going, closed])

"""The socket: takes requests, one a connection, and has each done by a child. It never opens an image.

A client that closes its connection takes its request back, and the child that was at it is killed. Nothing a request
says or an image does can end this process.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from media_core.reasons import Reason
from media_worker.decoder.children import Children, Reply
from media_worker.decoder.doorway import HungUp, accept, door, unless_hung_up
from media_worker.decoder.fields import HeaderInvalid
from media_worker.decoder.frames import Malformed, WireBroken, pack
from media_worker.decoder.handover import check, taken
from media_worker.decoder.protocol import DecodeRefused, Request, refusal_header
from media_worker.decoder.wire import CHUNK_BYTES

log = structlog.get_logger()

HEADER_SECONDS = 10.0
ANSWER_SECONDS = 60.0
DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Offer:
    """What this decoder is willing to take on."""

    max_payload_bytes: int = 200 << 20
    max_connections: int = 64
    """Served at once, most of them waiting for a child; a connection beyond them waits to be read at all."""


class Listener:
    """One socket."""

    def __init__(self, path: Path, children: Children, offer: Offer) -> None:
        self._path = path
        self._children = children
        self._offer = offer
        self._room = asyncio.Semaphore(offer.max_connections)
        self._running: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """The children first, then the socket: whoever can connect is served."""
        await self._children.start()
        self._accepting = asyncio.create_task(accept(door(self._path), self._begin))

    async def stop(self) -> None:
        """Accept no more, let what runs end within five seconds, end the children."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            with suppress(FileNotFoundError):
                self._path.unlink()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._children.stop()

    def _begin(self, sock: socket.socket) -> None:
        task = asyncio.create_task(self._serve(sock))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, sock: socket.socket) -> None:
        """One connection, from its first byte to its last. Only cancellation leaves here."""
        loop = asyncio.get_running_loop()
        try:
            async with self._room:
                reply = await self._reply(sock)
                async with asyncio.timeout(ANSWER_SECONDS):
                    await loop.sock_sendall(sock, pack(reply.header))
                    await loop.sock_sendall(sock, reply.body)
                    await _drain_request(sock)
        except (HungUp, WireBroken, OSError, TimeoutError) as error:
            log.info("request abandoned", why=f"{type(error).__name__}: {error}")
        except Exception:
            log.exception("request broke")
        finally:
            sock.close()

    async def _reply(self, sock: socket.socket) -> Reply:
        began = time.monotonic()
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                header, file = await taken(sock)
            try:
                request = self._understood(header, file)
                reply = await self._decode(request, file, sock)
            finally:
                os.close(file)
        except (HeaderInvalid, Malformed) as error:
            return _refused(Reason.INTERNAL_ERROR, f"The decoder does not understand the request: {error}.")
        except DecodeRefused as refused:
            log.info("image refused", reason=refused.reason, message=refused.message, ms=_ms(began))
            return _refused(refused.reason, refused.message)
        width, height, frames = (reply.header[key] for key in ("width", "height", "frames"))
        log.info(
            "image decoded",
            content_type=request.content_type,
            bytes=request.size_bytes,
            width=width,
            height=height,
            frames=frames,
            ms=_ms(began),
        )
        return reply

    def _understood(self, header: Mapping[str, Any], file: int) -> Request:
        """Raises HeaderInvalid and DecodeRefused."""
        request = Request.read(header)
        if request.size_bytes > self._offer.max_payload_bytes:
            message = f"The file has {request.size_bytes} bytes; {self._offer.max_payload_bytes} are allowed."
            raise DecodeRefused(Reason.TOO_LARGE, message)
        check(file, request.size_bytes)
        return request

    async def _decode(self, request: Request, file: int, sock: socket.socket) -> Reply:
        """A child reads it from where the worker wrote it."""
        os.lseek(file, 0, os.SEEK_SET)  # how far an attempt before has read is the same for all who have the file
        leaving = asyncio.get_running_loop().sock_recv(sock, 1)
        return await unless_hung_up(leaving, self._by_a_child(request, file))

    async def _by_a_child(self, request: Request, file: int) -> Reply:
        async with self._children.one() as child:
            return await child.decode(request, file)


async def _drain_request(sock: socket.socket) -> None:
    """What made no sense was not read to its end: closing over unread bytes would tear the answer away."""
    sock.shutdown(socket.SHUT_WR)
    while await asyncio.get_running_loop().sock_recv(sock, CHUNK_BYTES):
        pass


def _refused(reason: Reason, message: str) -> Reply:
    return Reply(refusal_header(reason, message), b"")


def _ms(since: float) -> int:
    return round((time.monotonic() - since) * 1000)

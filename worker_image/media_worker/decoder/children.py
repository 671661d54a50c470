"""The children as the server sees them: started ahead, one image at a time each, replaced when they are spent.

Spent is a child that died, that was killed (deadline, or nobody waits for its answer any more), that ran out of
memory or failed in a way that is not the image's, or that has had its share of images.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from media_core.reasons import Reason
from media_worker.decoder.confinement import Confinement
from media_worker.decoder.fields import HeaderInvalid
from media_worker.decoder.frames import WireBroken, pack
from media_worker.decoder.nursery import Birth, Nursery
from media_worker.decoder.protocol import DecodeRefused, Request, read_answer
from media_worker.decoder.verdict import verdict
from media_worker.decoder.wire import CHUNK_BYTES, read_body, read_header

log = structlog.get_logger()

START_SECONDS = 30.0
END_SECONDS = 5.0
RETRY_SECONDS = 0.5

_WEBP = (b"RIFF", b"WEBP")


@dataclass(frozen=True, slots=True)
class Reply:
    """A child's answer, checked, as it goes on to the worker."""

    header: dict[str, Any]
    body: bytes


class Child:
    """One child process."""

    def __init__(self, birth: Birth, nursery: Nursery, bounds: Confinement) -> None:
        self._birth = birth
        self._nursery = nursery
        self._bounds = bounds
        self._images = 0
        self._spent = False

    @classmethod
    async def start(cls, nursery: Nursery, bounds: Confinement) -> Child:
        """A child that is ready. Raises WireBroken, OSError or TimeoutError where it does not come up."""
        child = cls(await nursery.birth(), nursery, bounds)
        try:
            async with asyncio.timeout(START_SECONDS):
                child._reader, child._writer = await asyncio.open_connection(sock=child._birth.sock, limit=CHUNK_BYTES)
                hello = await read_header(child._reader)
            if hello.get("restricted") is not True:
                log.warning("decoder child unrestricted", why="the kernel takes no seccomp filter for this machine")
        except BaseException as error:
            child.kill()
            if isinstance(error, TimeoutError):
                nursery.give_up()
            raise
        return child

    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter | None = None

    def fit(self, images: int) -> bool:
        """Whether it may have another image, if a child's share is so many."""
        return not self._spent and not self._birth.ended.done() and self._images < images

    async def decode(self, request: Request, file: int) -> Reply:
        """Its answer. Raises DecodeRefused. When this raises anything, or is cancelled, the child may be spent."""
        self._images += 1
        self._spent = True
        try:
            async with asyncio.timeout(request.limits.timeout_seconds):
                reply = await self._ask(request, file)
        except TimeoutError:
            message = f"The image was not decoded within {request.limits.timeout_seconds} s."
            raise DecodeRefused(Reason.DEADLINE_EXCEEDED, message) from None
        except (WireBroken, OSError):
            raise verdict(await self._death(), self._bounds) from None
        except HeaderInvalid as error:
            raise DecodeRefused(Reason.DECODER_CRASHED, f"The decoder's answer makes no sense: {error}.") from None
        except DecodeRefused as refused:
            self._spent = refused.reason in (Reason.DECODER_OUT_OF_MEMORY, Reason.DECODER_CRASHED)
            raise
        self._spent = False
        return reply

    def kill(self) -> None:
        """End it at once. It is over when `over` says so."""
        self._spent = True
        self._nursery.kill(self._birth)
        if self._writer is not None:
            self._writer.transport.abort()
        else:
            self._birth.sock.close()

    async def over(self) -> int | None:
        """How it ended, as wait(2) says it; None where nobody could tell. Raises TimeoutError."""
        async with asyncio.timeout(END_SECONDS):
            return await asyncio.shield(self._birth.ended)

    async def _ask(self, request: Request, file: int) -> Reply:
        assert self._writer is not None
        # asyncio's transports cannot carry descriptors; the header fits into the empty buffer of an idle child.
        sock = self._writer.get_extra_info("socket")
        with socket.socket(fileno=socket.dup(sock.fileno())) as raw:
            socket.send_fds(raw, [pack(request.to_header())], [file])
        header = await read_header(self._reader)
        if (detail := header.pop("detail", None)) is not None:
            log.error("decoder child failed", detail=str(detail))
        expected = read_answer(header, request.renditions)
        body = await read_body(self._reader, expected.total)
        for variant in expected.with_bodies(body).variants:
            if (variant.data[:4], variant.data[8:12]) != _WEBP:
                raise HeaderInvalid(f"the variant {variant.name} is not a WebP file")
        return Reply(expected.decoded.to_header() | {"variants": header["variants"]}, body)

    async def _death(self) -> int | None:
        """How it ended; its socket is closed, so it is about to."""
        try:
            return await self.over()
        except TimeoutError:
            return None


class Children:
    """A fixed number of children, each lent to one request at a time."""

    def __init__(self, nursery: Nursery, bounds: Confinement, count: int, images_per_child: int) -> None:
        self._nursery = nursery
        self._bounds = bounds
        self._count = count
        self._images = images_per_child
        self._idle: asyncio.Queue[Child] = asyncio.Queue()
        self._replacing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """All of them, ready. Raises WireBroken, OSError or TimeoutError where they do not come up."""
        for child in await asyncio.gather(*(Child.start(self._nursery, self._bounds) for _ in range(self._count))):
            self._idle.put_nowait(child)

    async def stop(self) -> None:
        """End all of them."""
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await self._nursery.close()
        while not self._idle.empty():
            self._idle.get_nowait().kill()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Child]:
        """A child of one's own for a while; waits until one is free."""
        child = await self._idle.get()
        while not child.fit(self._images):  # it died while it was idle
            self._replace(child)
            child = await self._idle.get()
        try:
            yield child
        finally:
            if child.fit(self._images):
                self._idle.put_nowait(child)
            else:
                self._replace(child)

    def _replace(self, child: Child) -> None:
        child.kill()
        task = asyncio.create_task(self._replaced(child))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replaced(self, child: Child) -> None:
        """Another in its place, tried again for as long as it takes: without children nothing is decoded."""
        try:
            await child.over()
        except TimeoutError:
            self._nursery.give_up()
        while True:
            try:
                self._idle.put_nowait(await Child.start(self._nursery, self._bounds))
                return
            except (WireBroken, OSError, TimeoutError) as error:
                log.error("decoder child did not start", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

"""A decoder to test against: the real server, in this process, with real children."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_core.renditions import DEFAULT_RENDITIONS, Rendition
from media_worker.decoder.children import Children
from media_worker.decoder.client import DecoderClient
from media_worker.decoder.confinement import Confinement
from media_worker.decoder.listener import Listener, Offer
from media_worker.decoder.nursery import ZYGOTE, Nursery
from media_worker.decoder.protocol import Decoded, Limits
from media_worker.original import Original
from support.probing_zygote import NOT_QUITE_A_WEBP, PREFIX

PROBING = (sys.executable, "-I", str(Path(__file__).with_name("probing_zygote.py")))


@dataclass(frozen=True, slots=True)
class Decoder:
    """A running decoder and a client of it."""

    path: Path
    nursery: Nursery

    @property
    def client(self) -> DecoderClient:
        """As the worker has it."""
        return DecoderClient(str(self.path))

    async def decode(
        self,
        payload: bytes,
        content_type: str = "image/jpeg",
        *,
        renditions: tuple[Rendition, ...] = DEFAULT_RENDITIONS,
        limits: Limits | None = None,
    ) -> Decoded:
        """One image."""
        with Original.of(payload) as original:
            return await self.client.decode(
                original, content_type=content_type, renditions=renditions, limits=limits or Limits()
            )

    async def order(self, word: str, *, seconds: int = 30) -> dict[str, Any]:
        """What a child reports that was told to do that."""
        decoded = await self.decode(PREFIX + word.encode(), limits=Limits(timeout_seconds=seconds))
        report: dict[str, Any] = json.loads(decoded.variants[0].data.removeprefix(NOT_QUITE_A_WEBP))
        return report

    async def called(self, raw: bytes, *files: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection by which those bytes and files were sent as they are."""
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(str(self.path))
        if raw:
            socket.send_fds(sock, [raw], files)
        return await asyncio.open_unix_connection(sock=sock)

    async def say(self, raw: bytes, *files: int) -> dict[str, Any]:
        """The header of the answer to bytes and files that are sent as they are."""
        reader, writer = await self.called(raw, *files)
        try:
            async with asyncio.timeout(30):
                (length,) = struct.unpack(">I", await reader.readexactly(4))
                answer: dict[str, Any] = json.loads(await reader.readexactly(length))
                return answer
        finally:
            writer.close()


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    probing: bool = False,
    children: int = 2,
    images_per_child: int = 300,
    bounds: Confinement | None = None,
    offer: Offer | None = None,
) -> AsyncIterator[Decoder]:
    """A decoder on a socket in that folder."""
    bounds = bounds or Confinement(memory_bytes=1 << 30, cpu_seconds=60)
    nursery = Nursery(bounds, PROBING if probing else ZYGOTE)
    path = folder / "decoder.sock"
    listener = Listener(path, Children(nursery, bounds, children, images_per_child), offer or Offer())
    await listener.start()
    try:
        yield Decoder(path, nursery)
    finally:
        await listener.stop()

"""Frames with asyncio, as the worker and the decoder's parent read and send them. What a frame is, `frames` says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from media_worker.decoder.frames import LENGTH, WireBroken, header_length, pack, unpack

CHUNK_BYTES = 1 << 20


async def read_header(reader: asyncio.StreamReader, start: bytes = b"") -> dict[str, Any]:
    """The next header; `start` is what was received of its length by other means. Raises WireBroken."""
    try:
        prefix = start + await reader.readexactly(LENGTH.size - len(start))
        return unpack(await reader.readexactly(header_length(prefix)))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise WireBroken(f"the connection ended before a header was whole: {error}") from None


async def read_body(reader: asyncio.StreamReader, length: int) -> bytes:
    """The next `length` bytes. Raises WireBroken."""
    try:
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise WireBroken(f"the connection ended before all bytes were there: {error}") from None


async def send(writer: asyncio.StreamWriter, header: Mapping[str, Any], body: memoryview) -> None:
    """A header and its bytes, in chunks: a transport would copy the whole of a large body to its own buffer."""
    writer.write(pack(header))
    for offset in range(0, len(body), CHUNK_BYTES):
        await writer.drain()
        writer.write(body[offset : offset + CHUNK_BYTES])
    await writer.drain()

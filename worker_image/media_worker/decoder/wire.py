"""Frames with asyncio, as the worker and the decoder's parent read them. What a frame is, `frames` says."""

from __future__ import annotations

import asyncio
from typing import Any

from media_worker.decoder.frames import LENGTH, WireBroken, header_length, unpack

CHUNK_BYTES = 1 << 20


async def read_header(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next header. Raises WireBroken."""
    try:
        return unpack(await reader.readexactly(header_length(await reader.readexactly(LENGTH.size))))
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise WireBroken(f"the connection ended before a header was whole: {error}") from None


async def read_body(reader: asyncio.StreamReader, length: int) -> bytes:
    """The next `length` bytes. Raises WireBroken."""
    try:
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        raise WireBroken(f"the connection ended before all bytes were there: {error}") from None

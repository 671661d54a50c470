"""The socket that requests come in by, and whether whoever came is still there."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from media_worker.decoder.wire import CHUNK_BYTES

T = TypeVar("T")

BACKLOG = 128


class HungUp(Exception):
    """The client closed its connection: nobody waits for the answer."""


async def opened(path: Path, accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]) -> asyncio.Server:
    """A socket for owner and group. One that was left behind is replaced; another file there is FileExistsError."""
    _make_way(path)
    mask = os.umask(0o117)
    try:
        return await asyncio.start_unix_server(accept, path, limit=CHUNK_BYTES, backlog=BACKLOG)
    finally:
        os.umask(mask)


async def unless_hung_up(reader: asyncio.StreamReader, work: Coroutine[Any, Any, T]) -> T:
    """The work's result, or HungUp and no work. Bytes after the request are no part of the protocol either."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise HungUp("the client closed the connection")
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


def _make_way(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(f"{path} is there and is no socket")
        path.unlink()

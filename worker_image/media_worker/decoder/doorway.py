"""The socket that requests come in by, and whether whoever came is still there."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import structlog

T = TypeVar("T")
log = structlog.get_logger()

BACKLOG = 128
AGAIN_SECONDS = 0.1


class HungUp(Exception):
    """The client closed its connection: nobody waits for the answer."""


def door(path: Path) -> socket.socket:
    """A socket for owner and group, listened on. One that was left behind is replaced.

    Another file there is FileExistsError.
    """
    _make_way(path)
    sock = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o117)
    try:
        sock.bind(str(path))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    finally:
        os.umask(mask)
    return sock


async def accept(door: socket.socket, begin: Callable[[socket.socket], None]) -> None:
    """Take whoever comes, as a socket of the loop's, and close the door when cancelled.

    No server of asyncio's: its transports read at once, and lose the descriptors that come with what they read.
    """
    with door:
        while True:
            try:
                sock, _address = await asyncio.get_running_loop().sock_accept(door)
            except OSError as error:  # a caller that has left again, or no descriptors to be had
                log.warning("connection not accepted", error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                begin(sock)


async def unless_hung_up(leaving: Coroutine[Any, Any, bytes], work: Coroutine[Any, Any, T]) -> T:
    """The work's result, or HungUp and no work. `leaving` reads what comes from the client after its request.

    That is its end, as bytes after the request are no part of the protocol either.
    """
    working, gone = asyncio.create_task(work), asyncio.create_task(leaving)
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise HungUp("the client closed the connection")
        return working.result()
    finally:
        for task in (working, gone):
            task.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)


def _make_way(path: Path) -> None:
    with suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise FileExistsError(f"{path} is there and is no socket")
        path.unlink()

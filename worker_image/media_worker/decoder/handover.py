"""A file on its way from the worker to the decoder: sent with a request's header, taken from the socket, looked at.

Only its descriptor travels (SCM_RIGHTS), so that what is in it is copied to no process but the one that decodes it.
Apart from `wire` because asyncio's transports neither send descriptors nor keep those that come: both ends pass them
by the socket itself, the worker before there is a transport, the decoder while its transport is held.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Mapping
from typing import Any, cast

from media_worker.decoder.fields import HeaderInvalid
from media_worker.decoder.frames import LENGTH, Malformed, pack
from media_worker.decoder.wire import CHUNK_BYTES, read_header

UNCHANGING = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
"""Seals of a file in memory that stays as it is, whoever holds it. They cannot be broken."""


async def connected(
    path: str, header: Mapping[str, Any], file: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection by which the header and the file were sent. Raises OSError."""
    frame = pack(header)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, path)
        # A header fits into the empty buffer of a new socket; where that is made too small nothing would go well.
        if socket.send_fds(sock, [frame], [file]) < len(frame):
            raise BlockingIOError(errno.EAGAIN, "its socket does not take a whole header")
        return await asyncio.open_unix_connection(sock=sock, limit=CHUNK_BYTES)
    except BaseException:
        sock.close()
        raise


def hold(writer: asyncio.StreamWriter) -> None:
    """Let nothing be read of a connection until `taken` does; in time only in the moment in which it is made."""
    _transport(writer).pause_reading()


async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[dict[str, Any], int]:
    """The first header of a connection that is held, and the file that came with its first byte. The caller closes it.

    Raises WireBroken, and Malformed where not exactly one file came.
    """
    with writer.get_extra_info("socket").dup() as sock:  # asyncio lets nobody watch the descriptor of a transport
        await _readable(sock)
        # There is room for one descriptor; of more the kernel closes the rest and says that something was cut off.
        start, files, flags, _address = socket.recv_fds(sock, LENGTH.size, 1)
    try:
        for file in files:
            os.set_inheritable(file, False)
        _transport(writer).resume_reading()
        header = await read_header(reader, start)
        if len(files) != 1 or flags & socket.MSG_CTRUNC:
            raise Malformed("one file must come with it")
    except BaseException:
        for file in files:
            os.close(file)
        raise
    return header, files[0]


def check(file: int, size: int) -> None:
    """Raises HeaderInvalid where it is another file than its header says, or could become another one."""
    try:
        seals = fcntl.fcntl(file, fcntl.F_GET_SEALS)
    except OSError:
        seals = 0  # only files in memory have any
    if seals & UNCHANGING != UNCHANGING:
        raise HeaderInvalid("its file is not sealed")
    if (found := os.fstat(file).st_size) != size:
        raise HeaderInvalid(f"its file has {found} bytes, not {size}")


async def _readable(sock: socket.socket) -> None:
    there = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sock, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(sock)


def _transport(writer: asyncio.StreamWriter) -> asyncio.Transport:
    """Of a socket, so it reads as well; typing knows a writer's transport for its writing only."""
    return cast(asyncio.Transport, writer.transport)

"""A file on its way from the worker to the decoder: sent with a request's header, taken from the socket, looked at.

Only its descriptor travels (SCM_RIGHTS), so that what is in it is copied to no process but the one that decodes it.
Apart from `wire` because asyncio's transports neither send descriptors nor keep those that come: both ends pass them
by the socket itself, before there is a transport.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Mapping
from typing import Any

from media_worker.decoder.fields import HeaderInvalid
from media_worker.decoder.frames import LENGTH, Malformed, WireBroken, header_length, pack, unpack
from media_worker.decoder.wire import CHUNK_BYTES

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


async def taken(sock: socket.socket) -> tuple[dict[str, Any], int]:
    """The first header of a new connection, and the file that came with its first byte. The caller closes it.

    Raises WireBroken, and Malformed where not exactly one file came.
    """
    await _readable(sock)
    # There is room for one descriptor; of more the kernel closes the rest and says that something was cut off.
    start, files, flags, _address = socket.recv_fds(sock, LENGTH.size, 1)
    try:
        prefix = start + await _exactly(sock, LENGTH.size - len(start))
        header = unpack(await _exactly(sock, header_length(prefix)))
        if len(files) != 1 or flags & socket.MSG_CTRUNC:
            raise Malformed("one file must come with it")
        os.set_inheritable(files[0], False)
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


async def _exactly(sock: socket.socket, length: int) -> bytes:
    loop, parts = asyncio.get_running_loop(), bytearray()
    while len(parts) < length:
        part = await loop.sock_recv(sock, length - len(parts))
        if not part:
            raise WireBroken("the connection ended before a header was whole")
        parts += part
    return bytes(parts)

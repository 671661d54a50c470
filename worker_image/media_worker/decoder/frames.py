"""How headers and bytes travel: the length of a JSON header as a big-endian u32, the header, then raw bytes.

The same frames go from worker to decoder, back, and between the decoder's parent and its children. What a child does
with them, which blocks on its socket, is here; `wire` reads and sends them with asyncio, which no child has in memory.
"""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

MAX_HEADER_BYTES = 64 << 10

LENGTH = struct.Struct(">I")


class WireBroken(Exception):
    """The other end sent something that is no frame, or left in the middle of one."""


class Malformed(WireBroken):
    """The other end is there, and what it sent is no frame."""


def pack(header: Mapping[str, Any]) -> bytes:
    """A header as it travels."""
    text = json.dumps(header, separators=(",", ":")).encode()
    if len(text) > MAX_HEADER_BYTES:
        raise WireBroken(f"a header of {len(text)} bytes; {MAX_HEADER_BYTES} are allowed")
    return LENGTH.pack(len(text)) + text


def header_length(prefix: bytes) -> int:
    """How long the header is that follows. Raises Malformed."""
    (length,) = LENGTH.unpack(prefix)
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise Malformed(f"the header is said to have {length} bytes; 2 to {MAX_HEADER_BYTES} are allowed")
    return int(length)


def unpack(text: bytes) -> dict[str, Any]:
    """A header from its JSON. Raises Malformed."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the header is not JSON: {str(error)[:100]}") from None
    if not isinstance(header, dict):
        raise Malformed("the header is not a JSON object")
    return header


def receive_header_and_file(sock: socket.socket) -> tuple[dict[str, Any], int] | None:
    """What the parent sends a child: a header and an open file. None when the parent has closed. Raises WireBroken."""
    prefix, files, _flags, _address = socket.recv_fds(sock, LENGTH.size, 1)
    if not prefix:
        return None
    if len(files) != 1:
        raise WireBroken("a job came without its file")
    return unpack(_exactly(sock, header_length(prefix + _exactly(sock, LENGTH.size - len(prefix))))), files[0]


def _exactly(sock: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = sock.recv(length - len(parts))
        if not part:
            raise WireBroken("the connection ended in the middle of a frame")
        parts += part
    return bytes(parts)

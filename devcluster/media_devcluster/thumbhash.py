"""A ThumbHash as a picture in a data: URL, so that the contact sheet needs no script to show it."""

from __future__ import annotations

import base64
import struct
import zlib

from fast_thumbhash import thumb_hash_to_rgba


def data_url(placeholder: str) -> str | None:
    """The blurred picture behind a base64 ThumbHash; None for one that is not valid."""
    try:
        width, height, rgba = thumb_hash_to_rgba(base64.b64decode(placeholder, validate=True))
    except ValueError:
        return None
    return "data:image/png;base64," + base64.b64encode(_png(width, height, bytes(rgba))).decode()


def _png(width: int, height: int, rgba: bytes) -> bytes:
    rows = (rgba[start : start + 4 * width] for start in range(0, len(rgba), 4 * width))
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, content) for kind, content in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

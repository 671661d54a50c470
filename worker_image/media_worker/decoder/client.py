"""The decoder as the worker calls it: one connection an image; closing it ends the work on the other side."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from media_core.renditions import Rendition
from media_worker.decoder.fields import HeaderInvalid
from media_worker.decoder.frames import WireBroken
from media_worker.decoder.handover import connected
from media_worker.decoder.protocol import (
    Decoded,
    DecodeRefused,
    EncodedVariant,
    Limits,
    RenditionSize,
    Request,
    read_answer,
)
from media_worker.decoder.wire import read_body, read_header
from media_worker.original import Original

__all__ = ["DecodeRefused", "Decoded", "DecoderClient", "DecoderUnavailable", "EncodedVariant", "Limits"]

CONNECT_SECONDS = 5.0
SLACK_SECONDS = 60.0
"""Beyond the image's own limit, for its turn and its way: within it the decoder itself says DeadlineExceeded."""


class DecoderUnavailable(Exception):
    """There is no decoder at the socket, it went away, or what it says makes no sense. Another try may go well."""


class DecoderClient:
    """Calls the decoder at one socket, any number of calls at once."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path

    async def decode(
        self,
        original: Original,
        *,
        content_type: str,
        renditions: Sequence[Rendition],
        limits: Limits,
    ) -> Decoded:
        """Raises DecodeRefused and DecoderUnavailable. When cancelled it closes the connection at once.

        An original can be decoded again, though not twice at a time: how far its file was read is the same for all.
        """
        sizes = tuple(RenditionSize(rendition.name, rendition.size) for rendition in renditions)
        request = Request(sizes, content_type, limits, original.size)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await connected(self._path, request.to_header(), original.file)
        except (OSError, TimeoutError) as error:
            raise DecoderUnavailable(f"No decoder answers at {self._path}: {error or 'timed out'}.") from error
        try:
            async with asyncio.timeout(limits.timeout_seconds + SLACK_SECONDS):
                return await _answer(reader, request)
        except (WireBroken, HeaderInvalid, OSError) as error:
            raise DecoderUnavailable(f"The decoder broke off: {error}.") from error
        except TimeoutError:
            raise DecoderUnavailable(f"The decoder said nothing for {limits.timeout_seconds} s and more.") from None
        finally:
            writer.transport.abort()


async def _answer(reader: asyncio.StreamReader, request: Request) -> Decoded:
    expected = read_answer(await read_header(reader), request.renditions)
    return expected.with_bodies(await read_body(reader, expected.total))

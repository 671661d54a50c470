"""The transcoder as the worker calls it: one connection a film; ending it ends the work on the other side.

A call returns only when the transcoder has closed its side as well, which it does when nothing of the film runs any
more: then its folder can be removed and the asset given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from media_core.ladder import Film
from media_worker.decoder.fields import HeaderInvalid
from media_worker.decoder.frames import WireBroken, pack
from media_worker.decoder.wire import CHUNK_BYTES, read_header
from media_worker.transcoder.protocol import Done, Limits, Request, read_answer

CONNECT_SECONDS = 5.0
FAREWELL_SECONDS = 10.0
"""For ffmpeg to be killed; far more than it takes."""

log = structlog.get_logger()


class TranscoderUnavailable(Exception):
    """There is no transcoder at the socket. Another try may go well."""


class TranscoderBroken(Exception):
    """The transcoder went away while it worked on the film, or what it says makes no sense."""


class TranscoderClient:
    """Calls the transcoder at one socket."""

    def __init__(self, socket_path: str, farewell_seconds: float = FAREWELL_SECONDS) -> None:
        self._path = socket_path
        self._farewell_seconds = farewell_seconds

    async def transcode(
        self, film: str, limits: Limits, *, probed: Callable[[Film], None], progressed: Callable[[int], None]
    ) -> None:
        """Returns when everything is there; meanwhile calls `probed` once and `progressed` as often as it rises.

        Raises TranscodeRefused, TranscoderUnavailable and TranscoderBroken.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=CHUNK_BYTES)
        except (OSError, TimeoutError) as error:
            raise TranscoderUnavailable(f"No transcoder answers at {self._path}: {error or 'timed out'}.") from error
        try:
            writer.write(pack(Request(film, limits).to_header()))
            await _listen(reader, probed, progressed)
        except (WireBroken, HeaderInvalid, OSError) as error:
            raise TranscoderBroken(f"The transcoder broke off: {error}.") from error
        finally:
            await _parted(reader, writer, self._farewell_seconds)


async def _listen(
    reader: asyncio.StreamReader, probed: Callable[[Film], None], progressed: Callable[[int], None]
) -> None:
    """Until the last frame."""
    known = False
    while True:
        match read_answer(await read_header(reader)):
            case Film() as film:
                if known:
                    raise HeaderInvalid("it found another film")
                known = True
                probed(film)
            case Done():
                if not known:
                    raise HeaderInvalid("it is done with a film that it has not looked at")
                return
            case percent:
                progressed(percent)


async def _parted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    """Hang up, and wait for the other side to do the same, even while this side is being cancelled."""
    parting = asyncio.create_task(_farewell(reader, writer, seconds))
    try:
        await asyncio.shield(parting)
    except asyncio.CancelledError:
        await asyncio.wait({parting})
        raise


async def _farewell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            if not writer.is_closing():
                writer.write_eof()
            while await reader.read(CHUNK_BYTES):
                pass
    except TimeoutError:
        log.error("transcoder_did_not_end", waited_seconds=seconds)
    except OSError as error:
        log.debug("transcoder_left", error=str(error))
    finally:
        writer.transport.abort()

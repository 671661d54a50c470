"""The socket: takes a request a connection, one film at a time. It never reads a film.

A client that closes its connection takes its request back: ffmpeg is ended, and only then the connection is closed
from this side, so whoever waits for that knows that nothing runs any more.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import structlog

from media_core.reasons import Reason
from media_worker.decoder.doorway import HungUp, door, unless_hung_up
from media_worker.decoder.fields import HeaderInvalid
from media_worker.decoder.frames import Malformed, WireBroken, pack
from media_worker.decoder.wire import CHUNK_BYTES, read_header
from media_worker.transcoder.protocol import Request, TranscodeRefused, done_frame, refusal_frame
from media_worker.transcoder.transcoding import Tell, Transcoder

log = structlog.get_logger()

HEADER_SECONDS = 10.0
ANSWER_SECONDS = 10.0
END_SECONDS = 20.0
BUSY = "The transcoder is busy with another film."


class Listener:
    """One socket."""

    def __init__(self, path: Path, transcoder: Transcoder) -> None:
        self._path = path
        self._transcoder = transcoder
        self._film: str | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """From now on films are taken. Raises OSError."""
        self._server = await asyncio.start_unix_server(self._accept, sock=door(self._path), limit=CHUNK_BYTES)

    async def stop(self) -> None:
        """Accept no more and end what runs: a film takes too long to be waited for."""
        if self._server is not None:
            self._server.close()
            with suppress(FileNotFoundError):
                self._path.unlink()
        if self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=END_SECONDS)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its last. Only cancellation leaves here."""
        try:
            last = await self._answered(reader, lambda frame: writer.write(pack(frame)))
            async with asyncio.timeout(ANSWER_SECONDS):
                writer.write(pack(last))
                writer.write_eof()
                await writer.drain()
                while await reader.read(1024):
                    pass
        except (HungUp, WireBroken, OSError, TimeoutError) as error:
            log.info("request abandoned", why=f"{type(error).__name__}: {error}")
        finally:
            writer.transport.abort()

    async def _answered(self, reader: asyncio.StreamReader, tell: Tell) -> dict[str, object]:
        """The last frame of an answer; those before it are told."""
        film = None
        try:
            async with asyncio.timeout(HEADER_SECONDS):
                request = Request.read(await read_header(reader))
            film = request.film
            await unless_hung_up(reader.read(1), self._alone(request, tell))
        except (HeaderInvalid, Malformed) as error:
            return refusal_frame(Reason.INTERNAL_ERROR, f"The transcoder does not understand the request: {error}.")
        except TranscodeRefused as refused:
            log.info("film refused", asset_id=film, reason=refused.reason, message=refused.message)
            return refusal_frame(refused.reason, refused.message)
        except (HungUp, WireBroken, TimeoutError):
            raise
        except Exception as error:
            log.exception("film broke", asset_id=film)
            return refusal_frame(Reason.INTERNAL_ERROR, f"The transcoder failed: {type(error).__name__}: {error}.")
        return done_frame()

    async def _alone(self, request: Request, tell: Tell) -> None:
        if self._film is not None:
            raise TranscodeRefused(Reason.INTERNAL_ERROR, BUSY)
        self._film = request.film
        try:
            await self._transcoder.transcode(request, tell)
        finally:
            self._film = None

"""The way of one film: what it is, what is made of it by one run of ffmpeg, and the playlist of playlists at last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from media_core.ladder import ladder
from media_core.reasons import Reason
from media_worker.transcoder import verdict
from media_worker.transcoder.command import transcode_command
from media_worker.transcoder.confinement import Bounds
from media_worker.transcoder.containers import Container, container
from media_worker.transcoder.master import master
from media_worker.transcoder.outputs import Outputs
from media_worker.transcoder.probing import PROBE_BYTES, Source, probe_command, source_of
from media_worker.transcoder.process import run
from media_worker.transcoder.progress import Progress
from media_worker.transcoder.protocol import Limits, Request, TranscodeRefused, percent_frame, probed_frame

log = structlog.get_logger()

Tell = Callable[[Mapping[str, Any]], None]
"""Sends a frame to whoever asked."""

SLACK_SECONDS = 0.5
"""Sound may outlast the picture by some frames; a film that is longer than it may be is so by more than this."""
LINE_CHARACTERS = 200
SPARE_CPU_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Transcoder:
    """Transcodes the films below a folder."""

    folder: Path
    memory_bytes: int
    threads: int

    async def transcode(self, request: Request, tell: Tell) -> None:
        """Everything that the ladder says of a film is there afterwards. Raises TranscodeRefused.

        When cancelled it ends what runs first.
        """
        began = time.monotonic()
        limits = request.limits
        outputs = Outputs(self.folder / request.film)
        try:
            async with asyncio.timeout(limits.timeout_seconds):
                source = await self._probe(outputs, limits)
                tell(probed_frame(source.film))
                await self._encode(outputs, source, limits, tell)
                rungs = [outputs.written(rung) for rung in ladder(source.film)]
                outputs.put_master(master(rungs, source.rate))
        except TimeoutError:
            message = f"The video took longer than the {limits.timeout_seconds} s that are allowed."
            raise TranscodeRefused(Reason.DEADLINE_EXCEEDED, message) from None
        log.info(
            "film transcoded",
            asset_id=request.film,
            width=source.film.shown[0],
            height=source.film.shown[1],
            rungs=len(rungs),
            seconds=source.film.duration_seconds,
            ms=round((time.monotonic() - began) * 1000),
        )

    async def _probe(self, outputs: Outputs, limits: Limits) -> Source:
        found: Container = container(outputs.prepare())
        bounds, answer = self._bounds(limits), bytearray()

        def hear(chunk: bytes) -> None:
            answer.extend(chunk)
            if len(answer) > PROBE_BYTES:
                raise TranscodeRefused(Reason.UNDECODABLE, f"The file tells more than {PROBE_BYTES} bytes of itself.")

        ended = await run(probe_command(found), outputs.folder, bounds, hear)
        if (refused := verdict.probed(ended, bounds)) is not None:
            raise refused
        return source_of(bytes(answer), found, limits.max_seconds)

    async def _encode(self, outputs: Outputs, source: Source, limits: Limits, tell: Tell) -> None:
        bounds, hearing = self._bounds(limits), Hearing(source.film.duration_seconds, limits.max_seconds, tell)
        command = transcode_command(source, max_seconds=limits.max_seconds, threads=self.threads)
        ended = await run(
            command, outputs.folder, bounds, hearing.hear, look=lambda: outputs.check(limits.max_output_bytes)
        )
        outputs.check(limits.max_output_bytes)
        if ended.complaints:
            log.info("film complained about", code=ended.code, complaints=ended.complaints[: LINE_CHARACTERS * 5])
        refused = verdict.encoded(ended, bounds, frames=hearing.progress.frames, room_bytes=outputs.room_bytes())
        if refused is not None:
            raise refused

    def _bounds(self, limits: Limits) -> Bounds:
        return Bounds(
            memory_bytes=self.memory_bytes,
            file_bytes=limits.max_output_bytes,
            cpu_seconds=limits.timeout_seconds * self.threads + SPARE_CPU_SECONDS,
        )


class Hearing:
    """Takes in what ffmpeg says of its progress, and tells each percent once."""

    def __init__(self, duration_seconds: float, max_seconds: int, tell: Tell) -> None:
        self.progress = Progress()
        self._duration_seconds = duration_seconds
        self._max_seconds = max_seconds
        self._tell = tell
        self._percent = 0
        self._begun = ""

    def hear(self, chunk: bytes) -> None:
        """It says more. Raises TranscodeRefused when the film turns out to be too long."""
        *lines, begun = (self._begun + chunk.decode(errors="replace")).split("\n")
        self._begun = begun[:LINE_CHARACTERS]
        for line in lines:
            self.progress = self.progress.after(line)
        if self.progress.seconds > self._max_seconds + SLACK_SECONDS:
            message = f"The video is longer than the {self._max_seconds} s that are allowed."
            raise TranscodeRefused(Reason.TOO_LONG, message)
        percent = self.progress.percent(self._duration_seconds)
        if percent > self._percent:
            self._percent = percent
            self._tell(percent_frame(percent))

"""The way of one video through a worker: fetch the original to disk, have it transcoded, upload what comes of it.

Segments go up as they appear, so that little is left to do when ffmpeg is through; the playlists that name them go
last, checked, so that nobody sees a film before it is whole. A second try writes the same keys.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Protocol

from media_core import ladder
from media_core.asset import AssetType, MediaAsset, Source
from media_core.ladder import GOP_SECONDS, Film
from media_core.reasons import Reason
from media_worker.calls import StorageUnavailable
from media_worker.carrying import Stopwatch, Turns, outcome_of, refused, unacceptable
from media_worker.film_client import TranscoderBroken, TranscoderUnavailable
from media_worker.film_folder import FilmFolder, film_folder
from media_worker.film_transfer import FileShrank
from media_worker.film_upload import FilmUpload, Store
from media_worker.patience import patiently
from media_worker.progress import Telling
from media_worker.report import Completed, Failed, GivenBack, Outcome, Progress
from media_worker.takings import Takings, TakingsRefused
from media_worker.transcoder.protocol import Limits, TranscodeRefused

SPARE_BYTES = 1 << 30
"""Of the disk, for what is on it beside the original and the outputs."""
SPARE_FILES = 64
RUNGS_AT_MOST = 3


class FilmStore(Store, Protocol):
    """Object storage: see `film_transfer.FilmStorage`."""

    async def fetch(self, source: Source, file: int) -> None: ...


class Transcoder(Protocol):
    """The other container: see `film_client.TranscoderClient`."""

    async def transcode(
        self, film: str, limits: Limits, *, probed: Callable[[Film], None], progressed: Callable[[int], None]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class FilmRecipe:
    """What films are made within, and where."""

    bucket: str
    folder: Path
    folder_bytes: int
    max_original_bytes: int
    max_seconds: int
    asset_timeout_seconds: float
    transcoder_patience_seconds: float
    tell_seconds: float = 5.0
    """Between two reports of progress."""
    look_seconds: float = 1.0
    """Between two looks for segments."""


class Filming:
    """Carries videos through, each by one call of `carry`, one at a time."""

    def __init__(self, recipe: FilmRecipe, storage: FilmStore, transcoder: Transcoder) -> None:
        self._recipe = recipe
        self._storage = storage
        self._transcoder = transcoder

    async def carry(self, asset: MediaAsset, turns: Turns, watch: Stopwatch) -> Outcome:
        """The outcome for one video. When it returns or is cancelled, nothing of it runs or lies on disk any more."""
        recipe = self._recipe
        problem = unacceptable(asset, AssetType.VIDEO, recipe.bucket, recipe.max_original_bytes)
        if problem is not None:
            return problem
        try:
            with film_folder(recipe.folder, asset.name) as folder:
                outcome = await outcome_of(self._made(asset, folder, turns, watch))
        except OSError as error:
            return GivenBack(Reason.INTERNAL_ERROR, _of_the_disk(error))
        turns.decoded()
        return outcome

    async def _made(self, asset: MediaAsset, folder: FilmFolder, turns: Turns, watch: Stopwatch) -> Outcome:
        await self._fetch(asset.spec.source, folder)
        watch.lap("fetched_ms")
        await turns.fetched()
        watch.restart()
        return await self._filmed(asset, folder, turns, watch)

    async def _fetch(self, source: Source, folder: FilmFolder) -> None:
        seconds = self._recipe.asset_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                await self._storage.fetch(source, folder.original)
        except TimeoutError:
            raise StorageUnavailable(f"Reading the original took longer than {seconds:.0f} s.") from None

    async def _filmed(self, asset: MediaAsset, folder: FilmFolder, turns: Turns, watch: Stopwatch) -> Outcome:
        recipe = self._recipe
        takings = Takings(
            folder.out,
            most_files=RUNGS_AT_MOST * recipe.max_seconds // GOP_SECONDS + SPARE_FILES,
            most_bytes=self._output_bytes(asset.spec.source),
        )
        upload = FilmUpload(asset, takings, self._storage, recipe.look_seconds)
        telling = Telling(turns.progressed, recipe.tell_seconds)
        try:
            await self._transcode_and_upload(asset, upload, telling)
            watch.lap("transcoded_ms")
            result = await upload.finish()
            watch.lap("uploaded_ms")
        except TranscodeRefused as refusal:
            return refused(refusal.reason, refusal.message)
        except TranscoderUnavailable as error:
            waited = recipe.transcoder_patience_seconds
            return GivenBack(Reason.INTERNAL_ERROR, f"The transcoder did not answer for {waited:.0f} s: {error}")
        except TranscoderBroken as error:
            return GivenBack(Reason.DECODER_CRASHED, f"The transcoder died while it worked on this video: {error}")
        except (TakingsRefused, FileShrank) as error:
            return GivenBack(Reason.DECODER_CRASHED, f"The transcoder left what is no film: {error}.")
        except TimeoutError:
            seconds = recipe.asset_timeout_seconds
            return Failed(Reason.DEADLINE_EXCEEDED, f"It was not transcoded within {seconds:.0f} s.")
        return Completed(result, Progress(100, upload.duration_seconds))

    async def _transcode_and_upload(self, asset: MediaAsset, upload: FilmUpload, telling: Telling) -> None:
        """All three side by side. The first that fails stops the others, and is what is raised."""
        try:
            async with asyncio.TaskGroup() as beside:
                told = beside.create_task(telling.run())
                fed = beside.create_task(upload.run())
                await self._transcode(asset, upload, telling)
                told.cancel()
                upload.no_more_come()
                await fed
        except BaseExceptionGroup as errors:
            raise _first(errors) from errors

    async def _transcode(self, asset: MediaAsset, upload: FilmUpload, telling: Telling) -> None:
        """Raises what `Transcoder` does, and TimeoutError."""
        recipe, loop = self._recipe, asyncio.get_running_loop()
        deadline = loop.time() + recipe.asset_timeout_seconds

        def probed(film: Film) -> None:
            if (problem := ladder.refusal(film, recipe.max_seconds)) is not None:
                raise TranscodeRefused(*problem)
            upload.expect(film)
            telling.tell(Progress(0, upload.duration_seconds))

        def progressed(percent: int) -> None:
            # Not all of it is there before its master playlist is.
            telling.tell(Progress(min(percent, 99), upload.duration_seconds))

        async def once() -> None:
            limits = Limits(
                max_seconds=recipe.max_seconds,
                timeout_seconds=max(1, ceil(deadline - loop.time())),
                max_output_bytes=self._output_bytes(asset.spec.source),
            )
            await self._transcoder.transcode(asset.name, limits, probed=probed, progressed=progressed)

        async with asyncio.timeout_at(deadline):
            await patiently(once, TranscoderUnavailable, recipe.transcoder_patience_seconds)

    def _output_bytes(self, source: Source) -> int:
        return max(1, self._recipe.folder_bytes - source.size_bytes - SPARE_BYTES)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """One of a group's errors; groups may be nested."""
    error = errors.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _of_the_disk(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "The worker's disk for films is full."
    return f"The worker's disk for films cannot be used: {error.strerror or error}."

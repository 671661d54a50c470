"""The videos that MediaConvert transcodes: one task that asks for all jobs of the queue, decides, and does.

The decision is `media_core.transcoding.transcode`. All that is remembered here may be lost: the intents are in the
assets' status, and the jobs carry the assets' ids, so that whoever leads next finds one by the other.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar, assert_never

import structlog

from media_core.asset import AssetStatus, MediaAsset
from media_core.conditions import Truth
from media_core.listing import Listing, ServiceJob
from media_core.playlist import PlaylistBroken
from media_core.reasons import Reason
from media_core.statuses import failed
from media_core.transcoding import (
    Adopt,
    Cancel,
    Fail,
    Prove,
    Report,
    Step,
    Submit,
    TakeBack,
    WriteIntent,
    in_vain,
    transcode,
)
from media_core.transcoding_status import completed, status_of, video_of
from media_operator import metrics, original
from media_operator.adapters.cluster import ClusterError
from media_operator.adapters.mediaconvert import MediaConvert, ServiceTrouble
from media_operator.adapters.objectstore import ObjectMissing, ObjectStore, StoreUnavailable
from media_operator.proving import prove
from media_operator.submission import Submission, limits
from media_operator.survey import Survey
from media_operator.world import World
from media_operator.writing import StatusWriting

log = structlog.get_logger()

WRITES_AT_ONCE = 16
PROOFS_AT_ONCE = 4
DOING_SECONDS = 600.0
"""Deadline of whatever is done, with all its calls; each of these has its own."""
T = TypeVar("T")


class Poller:
    """Sees to every video that MediaConvert has or is to have: at every change, and at least every `poll_seconds`."""

    def __init__(
        self,
        world: World,
        writing: StatusWriting,
        store: ObjectStore,
        service: MediaConvert,
        submission: Submission,
        *,
        clock: Callable[[], datetime],
        poll_seconds: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._world, self._writing, self._store, self._service = world, writing, store, service
        self._submission, self._clock, self._chance = submission, clock, chance
        self._poll_seconds = poll_seconds
        self._survey = Survey(service)
        self._listing: Listing | None = None
        self._tried: set[tuple[str, str]] = set()
        """Proofs and cancellations that were tried since the last listing: the next try follows the next."""
        self._wake = asyncio.Event()

    def mind(self, _name: str) -> None:
        """Something about such a video changed."""
        self._wake.set()

    async def run(self) -> None:
        """Poll and act until cancelled."""
        loop = asyncio.get_running_loop()
        due, pause = loop.time(), 0.0
        while True:
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            pause = self._poll_seconds
            if self._world.complete:
                if loop.time() >= due:
                    due = loop.time() + self._poll_seconds
                    await self._safely("listing", self.look())
                left = await self._safely("acting", self.act())
                turn = self._submission.wait() if left else self._poll_seconds
                pause = max(0.0, min(due - loop.time(), turn))

    async def look(self) -> None:
        """One listing; no call where nothing is at the service."""
        self._tried.clear()
        videos = self._videos()
        self._submission.keep(videos)
        metrics.TRANSCODING.set(len(videos))
        if not any(video_of(asset).submit_token for asset in videos):
            self._listing = None
            return
        self._listing = await self._survey.look(videos, self._clock())
        if (trouble := self._survey.trouble) is not None:
            metrics.TRANSCODER_TROUBLES.labels(type(trouble).__name__).inc()
            log.warning("jobs_not_listed", error=str(trouble), kind=type(trouble).__name__)

    async def act(self) -> bool:
        """All that is to be done by the last listing. True where submissions are left that have to wait their turn."""
        steps = transcode(
            self._videos(),
            self._listing,
            self._clock(),
            limits(self._world),
            unheard=self._submission.unheard,
            chance=self._chance(),
        )
        submissions = [step for step in steps if isinstance(step, Submit | WriteIntent)]
        others = [step for step in steps if not isinstance(step, Submit | WriteIntent)]
        gate, proofs = asyncio.Semaphore(WRITES_AT_ONCE), asyncio.Semaphore(PROOFS_AT_ONCE)
        await asyncio.gather(*(self._apply(step, proofs if isinstance(step, Prove) else gate) for step in others))
        taken = self._submission.take(submissions)
        await asyncio.gather(*(self._apply(step, gate) for step in taken))
        return len(taken) < len(submissions)

    async def _apply(self, step: Step, gate: asyncio.Semaphore) -> None:
        async with gate:
            await self._safely(step.asset.name, self._do(step))

    async def _do(self, step: Step) -> None:
        asset = step.asset
        match step:
            case WriteIntent():
                await self._submission.submit(asset, anew=True)
            case Submit():
                await self._submission.submit(asset, anew=False)
            case Adopt(_, job, status):
                log.info("job_adopted", asset_id=asset.name, job=job.id, state=job.state.value)
                await self._writing.replace(asset, status)
            case Report(_, status) | Fail(_, status):
                await self._writing.replace(asset, status)
            case TakeBack(_, status):
                log.warning("intent_taken_back", asset_id=asset.name, reason=status.reason, message=status.message)
                await self._writing.replace(asset, status)
            case Prove(_, job):
                if self._is_first(asset, job.id):
                    await self._prove(asset, job)
            case Cancel(_, job_id, status):
                if self._is_first(asset, job_id):
                    await self._cancel(asset, job_id, status)
            case _:
                assert_never(step)

    async def _prove(self, asset: MediaAsset, job: ServiceJob) -> None:
        """What the service made is believed once it was seen, and is of the original that was confirmed."""
        now = self._clock()
        try:
            wrong = await original.refusal(self._store, asset)
            if wrong is not None:
                status = failed(status_of(asset), *wrong, now)
            else:
                status = completed(asset, job, await prove(self._store, asset, job.shown), now)
        except StoreUnavailable as error:
            log.warning("proof_postponed", asset_id=asset.name, job=job.id, error=str(error))
            status = status_of(asset)
            if status.reason == Reason.STORAGE_UNAVAILABLE:
                return
            told = f"MediaConvert is done; what it made cannot be read yet: {error}"
            status = status.because(Truth.UNKNOWN, Reason.STORAGE_UNAVAILABLE, told, now)
        except (PlaylistBroken, ObjectMissing) as error:
            missing = f"{error} is missing." if isinstance(error, ObjectMissing) else str(error)
            told = f"MediaConvert says that job {job.id} is done, but what it made is not whole. {missing}"
            status = in_vain(asset, Reason.TRANSCODE_FAILED, told, now, limits(self._world), self._chance()).status
            log.warning("proof_failed", asset_id=asset.name, job=job.id, error=missing)
        await self._writing.replace(asset, status)

    async def _cancel(self, asset: MediaAsset, job_id: str, status: AssetStatus | None) -> None:
        await self._service.cancel(job_id)
        log.info("job_canceled", asset_id=asset.name, job=job_id)
        if status is not None:
            await self._writing.replace(asset, status)

    def _is_first(self, asset: MediaAsset, job_id: str) -> bool:
        """Whether it was not tried since the last listing."""
        was_tried = (asset.uid, job_id) in self._tried
        self._tried.add((asset.uid, job_id))
        return not was_tried

    async def _safely(self, what: str, doing: Awaitable[T]) -> T | None:
        """One video's trouble must not stop the others; what was not done is decided anew."""
        try:
            async with asyncio.timeout(DOING_SECONDS):
                return await doing
        except ServiceTrouble as error:
            metrics.TRANSCODER_TROUBLES.labels(type(error).__name__).inc()
            log.warning("transcoder_troubled", what=what, kind=type(error).__name__, error=str(error))
        except (ClusterError, StoreUnavailable, TimeoutError) as error:
            log.warning("poll_postponed", what=what, error=str(error) or "timeout")
        except Exception:  # a surprise is loud, and tried again
            log.exception("poll_failed", what=what)
        return None

    def _videos(self) -> list[MediaAsset]:
        names = sorted(self._world.index.transcoding)
        return [asset for name in names if (asset := self._world.assets.get(name)) is not None]

"""Looking for our jobs in the service's queue, in pages, with a bound on the calls of a round.

What is in flight is listed whole each round. What is missing there has ended, or is lost: it is looked for among the
jobs that are over, newest first, and where these are many, over several rounds. Nobody asks for one job alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from media_core.asset import MediaAsset
from media_core.listing import CLOCK_SKEW, JobState, Listing, ServiceJob, is_of_intent
from media_core.transcoding_status import video_of
from media_operator.adapters.mediaconvert import PAGE, MediaConvert, ServiceTrouble

IN_FLIGHT = (JobState.SUBMITTED, JobState.PROGRESSING)
"""In this order: a job that goes on while the pages are read is met again in the later state."""
NEWEST = (JobState.COMPLETE, JobState.ERROR)


@dataclass
class Sweep:
    """One way through the jobs that are over, begun at a time and gone on with in later rounds."""

    began: datetime
    entered: bool = False
    left: deque[tuple[JobState, str | None]] = field(default_factory=lambda: deque([(JobState.CANCELED, None)]))


class Survey:
    """What was found of our jobs, round by round."""

    def __init__(self, service: MediaConvert) -> None:
        self._service = service
        self._over: dict[str, ServiceJob] = {}
        self._missing_since: dict[str, datetime] = {}
        self._sweep: Sweep | None = None
        self.trouble: ServiceTrouble | None = None
        """What cut the last round short, if anything did."""

    async def look(self, assets: Iterable[MediaAsset], now: datetime) -> Listing:
        """One round. Where the service does not answer, what was found until then."""
        ours = {asset.uid: asset for asset in assets}
        wanted = {uid: asset for uid, asset in ours.items() if video_of(asset).submit_token is not None}
        self._over = {uid: job for uid, job in self._over.items() if uid in wanted and self._is_over(wanted[uid])}
        looked = _Round(ours, {uid: asset for uid, asset in wanted.items() if not self._is_over(asset)})
        self.trouble, complete, taken = None, False, now
        try:
            await self._in_flight(looked)
            self._note_missing(looked, now)
            self._sweep = self._sweep or Sweep(now)
            complete, taken = await self._ended(looked, self._sweep), self._sweep.began
        except ServiceTrouble as trouble:
            self.trouble = trouble
        if complete or self.trouble or not looked.wanted:
            self._sweep = None
        for job in looked.jobs:
            if job.state.over and is_of_intent(job, ours[job.uid]):
                self._over[job.uid] = job
        jobs: dict[str, list[ServiceJob]] = {uid: [job] for uid, job in self._over.items()}
        for job in looked.jobs:
            if job not in jobs.get(job.uid, ()):
                jobs.setdefault(job.uid, []).append(job)
        return Listing(taken, complete, jobs, dict(self._missing_since))

    async def _in_flight(self, looked: _Round) -> None:
        for state in IN_FLIGHT:
            following: str | None = None
            while looked.wanted:
                page = await self._service.page(state, following)
                looked.take(page.jobs)
                following = page.following
                if following is None or looked.is_past(page.oldest):
                    break

    async def _ended(self, looked: _Round, sweep: Sweep) -> bool:
        """Whether all there is was looked through, so that what is still missing is not there."""
        calls = 1 + len(looked.wanted) // PAGE
        for state in NEWEST:
            if looked.wanted:
                await self._read(looked, state, None, None if sweep.entered else sweep)
        sweep.entered = True
        while looked.wanted and sweep.left and calls > 0:
            calls -= 1
            await self._read(looked, *sweep.left.popleft(), sweep)
        return not sweep.left

    async def _read(self, looked: _Round, state: JobState, following: str | None, sweep: Sweep | None) -> None:
        page = await self._service.page(state, following)
        looked.take(page.jobs)
        if sweep is not None and page.following is not None and not looked.is_past(page.oldest):
            sweep.left.append((state, page.following))

    def _note_missing(self, looked: _Round, now: datetime) -> None:
        tokens = {video_of(asset).submit_token or "" for asset in looked.wanted.values()}
        self._missing_since = {token: self._missing_since.get(token, now) for token in tokens}

    def _is_over(self, asset: MediaAsset) -> bool:
        job = self._over.get(asset.uid)
        return job is not None and is_of_intent(job, asset)


class _Round:
    """What is looked for, and what was found so far. `horizon`: no job of it is older."""

    def __init__(self, ours: dict[str, MediaAsset], wanted: dict[str, MediaAsset]) -> None:
        self.ours, self.wanted = ours, wanted
        self.jobs: list[ServiceJob] = []
        times = [time for asset in wanted.values() if (time := video_of(asset).submit_time) is not None]
        self.horizon = min(times) - CLOCK_SKEW if times else None

    def take(self, jobs: Iterable[ServiceJob]) -> None:
        for job in jobs:
            asset = self.ours.get(job.uid)
            if asset is None:
                continue
            self.jobs.append(job)
            if is_of_intent(job, asset):
                self.wanted.pop(job.uid, None)

    def is_past(self, oldest: datetime | None) -> bool:
        """Whether everything that follows is too old."""
        return self.horizon is not None and oldest is not None and oldest < self.horizon

"""Submitting videos to MediaConvert, at the pace that it allows: probe, intent, job, and the job's id.

Each of the four may be the last thing this process does. Only between the intent and the id does it matter, and then
the next listing tells.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from media_core.asset import AssetStatus, MediaAsset
from media_core.conditions import Truth
from media_core.ladder import Film
from media_core.mediaconvert import NotAFilm, film_of, job_request
from media_core.names import VIDEO_POOL
from media_core.pool import PoolSpec
from media_core.reasons import Reason
from media_core.statuses import failed
from media_core.transcoding import MISCONFIGURED_WAIT, SUBMIT_WITHIN, Limits, Submit, WriteIntent, in_vain
from media_core.transcoding_status import accepted, intended, status_of, taken_back, video_of
from media_operator import original
from media_operator.adapters.mediaconvert import (
    MediaConvert,
    Misconfigured,
    Refused,
    Throttled,
    Unanswered,
    Unreadable,
)
from media_operator.adapters.objectstore import ObjectStore, StoreUnavailable
from media_operator.bucket import TokenBucket
from media_operator.world import World
from media_operator.writing import StatusWriting

log = structlog.get_logger()

A_SECOND = 2.0
BURST = 10
AT_ONCE = 4
WAITS_FOR: Mapping[type[Exception], str] = {
    Throttled: "MediaConvert takes no more for now; it is submitted later.",
    Unanswered: "MediaConvert does not answer; it is tried again. Check MEDIACONVERT_ENDPOINT if that stays so.",
    StoreUnavailable: "Object storage does not answer; it is tried again.",
}
WHAT_TO_CHECK = "Check MEDIACONVERT_ROLE_ARN, MEDIACONVERT_QUEUE, and what the operator's credentials allow."


class Submission:
    """Submits one video after the other, a few at once."""

    def __init__(
        self,
        world: World,
        writing: StatusWriting,
        store: ObjectStore,
        service: MediaConvert,
        *,
        role: str,
        max_seconds: int,
        clock: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`seconds` is a clock that only goes forward, for the pace."""
        self._world, self._writing, self._store, self._service = world, writing, store, service
        self._role, self._max_seconds = role, max_seconds
        self._clock, self._seconds, self._chance = clock, seconds, chance
        self._bucket = TokenBucket(A_SECOND, BURST)
        self._films: dict[str, Film] = {}
        self._tries: Counter[str] = Counter()
        """By uid, how often it was tried since the service took a job of it."""
        self.unheard: set[str] = set()
        """Tokens of intents that were written here, and that the service has certainly taken no job for."""

    def take(self, submissions: Sequence[Submit | WriteIntent]) -> list[Submit | WriteIntent]:
        """Those whose turn it is: intents first, while they are young, then what was tried least.

        What the service never answers about would else hold up all the others.
        """
        now = self._seconds()
        order = sorted(submissions, key=lambda each: (isinstance(each, WriteIntent), self._tries[each.asset.uid]))
        return [each for each in order[:AT_ONCE] if self._bucket.take(now)]

    def wait(self) -> float:
        """Seconds until the next one's turn."""
        return self._bucket.wait(self._seconds())

    def keep(self, assets: Sequence[MediaAsset]) -> None:
        """Forget what is settled."""
        uids, tokens = {asset.uid for asset in assets}, {video_of(asset).submit_token for asset in assets}
        self._films = {uid: film for uid, film in self._films.items() if uid in uids}
        self._tries = Counter({uid: count for uid, count in self._tries.items() if uid in uids})
        self.unheard &= tokens

    async def _film(self, asset: MediaAsset) -> Film:
        """What the original is, by the service's own probe. Raises NotAFilm, ServiceTrouble, StoreUnavailable."""
        if (known := self._films.get(asset.uid)) is not None:
            return known
        if (wrong := await original.refusal(self._store, asset)) is not None:
            raise NotAFilm(*wrong)
        source = asset.spec.source
        film = film_of(await self._service.probe(f"s3://{source.bucket}/{source.key}"), self._max_seconds)
        self._films[asset.uid] = film
        return film

    async def submit(self, asset: MediaAsset, *, anew: bool) -> None:
        """Submit it, `anew` with an intent of its own. Raises ServiceTrouble where it is to be tried again."""
        self._tries[asset.uid] += 1
        try:
            film = await self._film(asset)
        except (Throttled, Unanswered, StoreUnavailable) as trouble:
            if not isinstance(trouble, StoreUnavailable):
                self._bucket.refused(self._seconds())
            await self._tell(asset, WAITS_FOR[type(trouble)])
            raise
        except (NotAFilm, Unreadable, Misconfigured, Refused) as error:
            if not anew and video_of(asset).submit_token not in self.unheard:
                raise Unanswered(f"probed again: {error}") from error  # there may be a job
            await self._writing.replace(asset, self._refusal(asset, error))
            return
        if anew:
            meant = await self._with_intent(asset, film)
            if meant is None:
                return
            asset = meant
        await self._create(asset, film)

    async def _tell(self, asset: MediaAsset, message: str) -> None:
        """Say why it waits, once: the words are ours, as the service's would be others each time."""
        status = status_of(asset)
        if status.message != message:
            await self._writing.replace(asset, status.because(Truth.UNKNOWN, Reason.QUEUED, message, self._clock()))

    def _refusal(self, asset: MediaAsset, error: NotAFilm | Unreadable | Misconfigured | Refused) -> AssetStatus:
        """The status of a video that the service has no job of."""
        now = self._clock()
        match error:
            case NotAFilm():
                return failed(status_of(asset), error.reason, error.message, now)
            case Unreadable():
                return failed(
                    status_of(asset), Reason.UNSUPPORTED_FORMAT, f"MediaConvert cannot read it: {error}", now
                )
            case Refused():
                told = f"MediaConvert refused it: {error}"
                return in_vain(asset, Reason.TRANSCODE_FAILED, told, now, limits(self._world), self._chance()).status
            case Misconfigured():
                told = f"MediaConvert refuses this service: {error} {WHAT_TO_CHECK}"
                return taken_back(asset, Reason.TRANSCODER_MISCONFIGURED, told, now, now + MISCONFIGURED_WAIT)
            case _:
                assert_never(error)

    async def _with_intent(self, asset: MediaAsset, film: Film) -> MediaAsset | None:
        """The asset with its intent as it is stored; None where somebody else wrote first."""
        status = intended(asset, film.duration_seconds, self._clock())
        token = status.video.submit_token if status.video else None
        if token is not None:
            self.unheard.add(token)
        if not await self._writing.replace(asset, status):
            return None
        stored = self._world.assets.get(asset.name)
        return stored if stored is not None and video_of(stored).submit_token == token else None

    async def _create(self, asset: MediaAsset, film: Film) -> None:
        video = video_of(asset)
        token, written = video.submit_token, video.submit_time
        if token is None or written is None or self._clock() - written > SUBMIT_WITHIN:
            return
        request = job_request(asset, film, role=self._role, queue=self._service.queue, token=token)
        unheard = token in self.unheard
        self.unheard.discard(token)
        try:
            job_id = await self._service.create(request)
        except Unanswered:
            self._bucket.refused(self._seconds())
            raise
        except (Throttled, Misconfigured, Refused, Unreadable) as error:
            self._bucket.refused(self._seconds())
            if unheard:
                self.unheard.add(token)
            if not unheard or isinstance(error, Throttled):
                raise
            await self._writing.replace(asset, self._refusal(asset, error))
            return
        self._bucket.granted()
        del self._tries[asset.uid]
        log.info("job_submitted", asset_id=asset.name, job=job_id)
        while not await self._writing.replace(asset, accepted(asset, job_id, self._clock())):
            fresh = self._world.assets.get(asset.name)
            if fresh is None or video_of(fresh).submit_token != token or video_of(fresh).job_id is not None:
                return
            asset = fresh


def limits(world: World) -> Limits:
    """What pool `video` says of attempts and time, for its workers and for the service alike."""
    pool = world.pools.get(VIDEO_POOL)
    spec = pool.spec if pool else PoolSpec()
    return Limits(spec.attempts, timedelta(seconds=spec.asset_timeout_seconds))

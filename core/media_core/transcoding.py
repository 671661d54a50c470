"""The next steps for the videos that MediaConvert transcodes: a pure function of them and of a listing of its jobs.

It stands beside `lifecycle`, because these videos have no worker: who has them in hand is a service that is asked for
all its jobs at once, forgets a token after a minute, and may have taken a job without our hearing of it. So the
intent is written before the job is submitted, and only a listing that is complete, and younger than the intent by
`SAFETY_MARGIN`, shows that there is none. Asking and doing are the operator's poller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import assert_never

from media_core.asset import AssetStatus, MediaAsset, Phase, VideoBackend
from media_core.charge import charged
from media_core.listing import JobState, Listing, ServiceJob, is_of_intent
from media_core.mediaconvert import reason_of
from media_core.pool import Attempts
from media_core.reasons import Reason
from media_core.scheduling import Waiting, fair_order
from media_core.statuses import failed
from media_core.transcoding_status import accepted, progressing, status_of, taken_back, video_of

SUBMIT_WITHIN = timedelta(seconds=20)
"""A job is submitted so soon after its intent or not at all; with the call's own deadline that is within a minute."""
SAFETY_MARGIN = timedelta(seconds=75)
"""A listing that is begun so long after the intent shows its job, if there is one."""
MISCONFIGURED_WAIT = timedelta(minutes=5)
INTENTS_AT_ONCE = 32
"""No more are decided on in one go, as each of them takes its time: the others are weighed anew."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a job may be at work, and how often a video is tried."""

    attempts: Attempts = field(default_factory=Attempts)
    timeout: timedelta = timedelta(minutes=30)
    """Counted from the moment the service begins with it: waiting in its queue is nobody's fault."""


@dataclass(frozen=True, slots=True)
class WriteIntent:
    """Probe it, write the intent with a token of its own, and submit it."""

    asset: MediaAsset


@dataclass(frozen=True, slots=True)
class Submit:
    """Submit it (again) with the token of its intent, which is young enough for the service to know it again."""

    asset: MediaAsset


@dataclass(frozen=True, slots=True)
class Adopt:
    """The job of its intent was found."""

    asset: MediaAsset
    job: ServiceJob
    status: AssetStatus


@dataclass(frozen=True, slots=True)
class Report:
    """Its phase, its progress, or why it waits, has changed."""

    asset: MediaAsset
    status: AssetStatus


@dataclass(frozen=True, slots=True)
class Prove:
    """The service says that it is done: prove what it made."""

    asset: MediaAsset
    job: ServiceJob


@dataclass(frozen=True, slots=True)
class Fail:
    """It failed for good."""

    asset: MediaAsset
    status: AssetStatus


@dataclass(frozen=True, slots=True)
class TakeBack:
    """There is no job of its intent, or no use in it: it is taken back. Another follows, unless it is deleted."""

    asset: MediaAsset
    status: AssetStatus


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the job at the service, and then write the status; None where it does not change."""

    asset: MediaAsset
    job_id: str
    status: AssetStatus | None


Step = WriteIntent | Submit | Adopt | Report | Prove | Fail | TakeBack | Cancel


def transcode(
    assets: Iterable[MediaAsset],
    listing: Listing | None,
    now: datetime,
    limits: Limits,
    *,
    unheard: Collection[str] = (),
    chance: float = 0.5,
) -> tuple[Step, ...]:
    """All that is to be done now: first for what is at the service, then the submissions, one of each owner in turn.

    `unheard` are the tokens of intents that the service has certainly taken no job for.
    """
    steps: list[Step] = []
    waiting: dict[str, MediaAsset] = {}
    at_service: Counter[str] = Counter()
    for asset in assets:
        if not _is_ours(asset):
            continue
        steps += strays(asset, listing)
        if video_of(asset).submit_token is None:
            if not asset.deleting and _is_due(asset, now):
                waiting[asset.name] = asset
            continue
        at_service[asset.spec.owner] += 1
        step = next_step(asset, listing, now, limits, unheard=unheard, chance=chance)
        if step is not None:
            steps.append(step)
    steps.sort(key=lambda step: isinstance(step, Submit | WriteIntent))
    order = fair_order([_waiting(asset, now) for asset in waiting.values()], at_service)
    return (*steps, *(WriteIntent(waiting[each.name]) for each in islice(order, INTENTS_AT_ONCE)))


def next_step(
    asset: MediaAsset,
    listing: Listing | None,
    now: datetime,
    limits: Limits,
    *,
    unheard: Collection[str] = (),
    chance: float = 0.5,
) -> Step | None:
    """The step for one video whose intent is written; None where it is to wait."""
    job = listing.job_of(asset) if listing else None
    if asset.deleting:
        return _given_up(asset, job, listing, now, unheard)
    if job is not None:
        return _found(asset, job, now, limits)
    if video_of(asset).job_id is not None:
        if not _is_gone(asset, listing):
            return None
        told = f"MediaConvert does not know its job {video_of(asset).job_id} any more."
        return in_vain(asset, Reason.RELEASED, told, now, limits, chance)
    if video_of(asset).submit_token in unheard:
        return Submit(asset) if _is_young(asset, now) else WriteIntent(asset)
    if _is_young(asset, now):
        return Submit(asset)
    if not _is_gone(asset, listing):
        return None
    told = "MediaConvert has no job of it; it is submitted again."
    return TakeBack(asset, taken_back(asset, Reason.RELEASED, told, now))


def strays(asset: MediaAsset, listing: Listing | None) -> Iterator[Cancel]:
    """Jobs of earlier intents that were taken for gone and are at work all the same: they would be paid for too."""
    for job in listing.jobs.get(asset.uid, ()) if listing else ():
        if job.asset_id == asset.name and not job.state.over and not is_of_intent(job, asset):
            yield Cancel(asset, job.id, None)


def _found(asset: MediaAsset, job: ServiceJob, now: datetime, limits: Limits) -> Step | None:
    status = status_of(asset)
    if video_of(asset).job_id is None:
        return Adopt(asset, job, accepted(asset, job.id, now))
    match job.state:
        case JobState.SUBMITTED:
            queued = accepted(asset, job.id, now)
            return Report(asset, queued) if status.phase is not Phase.PROCESSING and queued != status else None
        case JobState.PROGRESSING:
            begun = progressing(asset, job, now)
            if _is_overdue(begun, now, limits):
                return Cancel(asset, job.id, failed(status, Reason.DEADLINE_EXCEEDED, _late(limits), now))
            return Report(asset, begun) if begun != status else None
        case JobState.COMPLETE:
            return Prove(asset, job)
        case JobState.CANCELED:
            if _is_overdue(status, now, limits):
                return Fail(asset, failed(status, Reason.DEADLINE_EXCEEDED, _late(limits), now))
            told = f"Its MediaConvert job {job.id} was canceled. Retry it to submit another."
            return Fail(asset, failed(status, Reason.TRANSCODE_FAILED, told, now))
        case JobState.ERROR:
            reason, told = reason_of(job.error_code, job.error_message)
            if reason is Reason.TRANSCODER_MISCONFIGURED:
                return TakeBack(asset, taken_back(asset, reason, told, now, now + MISCONFIGURED_WAIT))
            return Fail(asset, failed(status, reason, told, now))
        case _:
            assert_never(job.state)


def _given_up(
    asset: MediaAsset, job: ServiceJob | None, listing: Listing | None, now: datetime, unheard: Collection[str]
) -> Step | None:
    """It is being deleted: its job is canceled, and found for that where its id was never heard.

    Only when the job is seen to be over, or not there, is it let go: as long as it runs it may write files.
    """
    is_over = job is not None and job.state.over
    if is_over or video_of(asset).submit_token in unheard or _is_gone(asset, listing):
        told = "Deleted; it has no job at MediaConvert any more."
        return TakeBack(asset, taken_back(asset, Reason.DELETED, told, now))
    job_id = job.id if job else video_of(asset).job_id
    return Cancel(asset, job_id, None) if job_id is not None else None


def _is_gone(asset: MediaAsset, listing: Listing | None) -> bool:
    """Whether the listing shows that there is no job of its intent.

    What was found while the listing was being made is there, though later pages did not show it. And a job that was
    heard of is believed to be gone only after it was missing for a while.
    """
    video = video_of(asset)
    if listing is None or not listing.complete or video.submit_time is None:
        return False
    missing_since = listing.missing_since.get(video.submit_token or "", listing.taken)
    wait = SAFETY_MARGIN if video.job_id is not None else timedelta()
    return listing.taken >= max(video.submit_time + SAFETY_MARGIN, missing_since + wait)


def _is_ours(asset: MediaAsset) -> bool:
    status = asset.status
    if status is None or status.phase.settled or status.video is None:
        return False
    return status.video.backend is VideoBackend.MEDIACONVERT


def _is_due(asset: MediaAsset, now: datetime) -> bool:
    not_before = status_of(asset).not_before
    return not_before is None or not_before <= now


def _is_young(asset: MediaAsset, now: datetime) -> bool:
    submit_time = video_of(asset).submit_time
    return submit_time is not None and abs(now - submit_time) <= SUBMIT_WITHIN


def _is_overdue(status: AssetStatus, now: datetime, limits: Limits) -> bool:
    return status.start_time is not None and now - status.start_time >= limits.timeout


def _late(limits: Limits) -> str:
    return f"MediaConvert was not done with it {limits.timeout.total_seconds():.0f} s after it had begun."


def _waiting(asset: MediaAsset, now: datetime) -> Waiting:
    created = asset.metadata.creation_timestamp or now
    return Waiting(asset.name, asset.spec.owner, asset.spec.priority, created)


def in_vain(
    asset: MediaAsset, reason: Reason, message: str, now: datetime, limits: Limits, chance: float
) -> TakeBack | Fail:
    """One attempt was in vain: another after a while, as long as there are any."""
    charge = charged(status_of(asset), limits.attempts, message, now, chance)
    if charge.due is None:
        return Fail(asset, failed(charge.status, Reason.ATTEMPTS_EXHAUSTED, charge.message, now))
    counted = asset.model_copy(update={"status": charge.status})
    return TakeBack(asset, taken_back(counted, reason, charge.message, now, charge.due))

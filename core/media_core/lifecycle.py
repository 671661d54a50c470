"""The next step for one asset: a pure function of everything observed about it.

The checks below are the specification, in order; the first that applies decides. Binding is not here, because it
weighs assets against each other: see `scheduling`. Gathering what is `observed` and carrying out the `plan` are the
operator's reconciler.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import assert_never

from media_core.asset import AssetStatus, AssetType, DeletionPolicy, MediaAsset, Phase, VideoBackend, VideoStatus
from media_core.backoff import backoff
from media_core.charge import charged
from media_core.conditions import ConditionType, Truth, with_condition, without_condition
from media_core.jobs import Outcome
from media_core.keys import OriginalKey, parse
from media_core.names import PURGE_FINALIZER, RETRY_ANNOTATION
from media_core.observed import Observed
from media_core.plan import (
    AddFinalizer,
    Admit,
    DeleteObject,
    DropRetryAnnotation,
    Expire,
    LookAgain,
    Nothing,
    Plan,
    Purge,
    WriteStatus,
)
from media_core.reasons import CHARGED, UNTROUBLED, Reason
from media_core.statuses import failed, released

GIVE_BACK_DEADLINE = timedelta(seconds=60)
"""How long a deletion waits for the worker to let go before it goes ahead behind the fence."""

CANCEL_DEADLINE = timedelta(minutes=5)
"""How long a deletion waits for MediaConvert to cancel its job, which has to be found first after a crash."""

UNCHARGED_WAIT_SECONDS = 5.0
"""Wait after a give-back that was nobody's fault but would likely happen again at once."""


Check = Callable[[Observed], Plan | None]


def decide(seen: Observed) -> Plan:
    """The next step for one asset: the first check that applies decides."""
    return next((plan for check in CHECKS if (plan := check(seen)) is not None), Nothing())


def being_deleted(seen: Observed) -> Plan | None:
    """Once the worker has let go (or its Job is over, or a minute has passed): fence, purge, drop the finalizer."""
    asset, status = seen.asset, seen.asset.status
    if asset.metadata.deletion_timestamp is None:
        return None
    if PURGE_FINALIZER not in asset.metadata.finalizers:
        return Nothing()
    if status is not None and seen.transcoder and submitted(status):
        deadline = asset.metadata.deletion_timestamp + CANCEL_DEADLINE
        if seen.now < deadline:
            return LookAgain(deadline)
    if status is not None and _in_hand(seen, status):
        deadline = asset.metadata.deletion_timestamp + GIVE_BACK_DEADLINE
        if seen.now < deadline:
            return LookAgain(deadline)
        return WriteStatus(released(status, Reason.RELEASED, "Deleted while its worker did not answer.", seen.now))
    return Purge(keep_media=asset.spec.deletion_policy is DeletionPolicy.RETAIN)


def _in_hand(seen: Observed, status: AssetStatus) -> bool:
    """Whether a worker may still be writing renditions of it."""
    if status.phase.settled or status.given_back or status.assigned_job is None:
        return False
    return seen.job is not None and seen.job.outcome is None


def deleted_in_the_ledger(seen: Observed) -> Plan | None:
    """The row was deleted while the object was away (F17): the object goes on sight."""
    if seen.row is not None and seen.row.state in ("deleting", "deleted"):
        return DeleteObject()
    return None


def without_finalizer(seen: Observed) -> Plan | None:
    """Every object that is not on its way out has our finalizer."""
    return AddFinalizer() if PURGE_FINALIZER not in seen.asset.metadata.finalizers else None


def without_status(seen: Observed) -> Plan | None:
    """New, or restored without its status: settled work gets its status from the row and is not run again."""
    if seen.asset.status is not None:
        return None
    if (problem := _foreign(seen.asset, seen.bucket)) is not None:
        return _failed(AssetStatus(), seen, Reason.FOREIGN_SOURCE, problem)
    row = seen.row
    if row and row.state == "settled" and row.etag == seen.asset.spec.source.etag and row.status:
        return WriteStatus(row.status.model_copy(update={"observed_generation": seen.asset.metadata.generation}))
    accepted = _accepted(AssetStatus(observed_generation=seen.asset.metadata.generation), seen)
    return Admit(accepted.status) if seen.asset.spec.asset_type is AssetType.IMAGE else accepted


def _foreign(asset: MediaAsset, bucket: str) -> str | None:
    source = asset.spec.source
    if source.bucket != bucket:
        return f"The original is in bucket {source.bucket}, but this service only reads {bucket}."
    if not isinstance(parse(source.key), OriginalKey):
        return f"The key {source.key} is not one that this service gives to originals."
    return None


def _accepted(status: AssetStatus, seen: Observed) -> WriteStatus:
    match seen.asset.spec.asset_type:
        case AssetType.PDF | AssetType.SCORM:
            done = status.model_copy(update={"phase": Phase.COMPLETED, "completion_time": seen.now})
            message = "Checked; it is served as an attachment."
            return WriteStatus(done.because(Truth.TRUE, Reason.COMPLETED, message, seen.now), event=Reason.COMPLETED)
        case AssetType.VIDEO:
            return WriteStatus(_awaiting_backend(status, seen))
        case AssetType.IMAGE:
            return WriteStatus(status.because(Truth.UNKNOWN, Reason.QUEUED, "Waits for a worker.", seen.now))
        case _:
            assert_never(seen.asset.spec.asset_type)


def _awaiting_backend(status: AssetStatus, seen: Observed) -> AssetStatus:
    match seen.video_backend:
        case None:
            message = "No video backend is configured; it waits for one, and its original can be played meanwhile."
            unserved = status.model_copy(update={"video": None})
            return unserved.because(Truth.UNKNOWN, Reason.NO_BACKEND, message, seen.now)
        case VideoBackend.FFMPEG:
            message = "Waits for a worker."
        case VideoBackend.MEDIACONVERT:
            message = "Waits to be submitted to MediaConvert."
        case _:
            assert_never(seen.video_backend)
    served = status.model_copy(update={"video": VideoStatus(backend=seen.video_backend)})
    return served.because(Truth.UNKNOWN, Reason.QUEUED, message, seen.now)


def submitted(status: AssetStatus) -> bool:
    """Whether MediaConvert has a job of it, or may have: the intent is there."""
    video = status.video
    return not status.phase.settled and video is not None and video.submit_token is not None


def asked_to_retry(seen: Observed) -> Plan | None:
    """The retry annotation re-arms what failed; anywhere else, or from a foreign source, there is nothing to retry.

    The reset comes first and the annotation goes after it: between the two a crash loses nothing.
    """
    status = seen.asset.status
    if status is None or RETRY_ANNOTATION not in seen.asset.metadata.annotations:
        return None
    if status.phase is not Phase.FAILED or _foreign(seen.asset, seen.bucket) is not None:
        return DropRetryAnnotation()
    rearmed = AssetStatus(
        binding=status.binding + 1,
        observed_generation=seen.asset.metadata.generation,
        conditions=without_condition(status.conditions, ConditionType.ISOLATED),
    )
    return WriteStatus(_accepted(rearmed, seen).status, event=Reason.RETRIED)


def backend_changed(seen: Observed) -> Plan | None:
    """A video that nobody has begun with goes to the backend that is configured by now."""
    asset, status = seen.asset, seen.asset.status
    if asset.spec.asset_type is not AssetType.VIDEO or status is None or status.phase is not Phase.PENDING:
        return None
    known = status.video.backend if status.video else None
    if status.assigned_job is not None or submitted(status) or known is seen.video_backend:
        return None
    # What it was to wait for was the other backend's trouble.
    return _accepted(status.model_copy(update={"not_before": None}), seen)


def left_at_mediaconvert(seen: Observed) -> Plan | None:
    """A video that was submitted, and that nobody here can ask for: it is told what it waits for."""
    status = seen.asset.status
    if status is None or seen.transcoder or not submitted(status) or status.reason == Reason.NO_BACKEND:
        return None
    message = "It was submitted to MediaConvert; set MEDIACONVERT_ROLE_ARN, and what became of it is looked for."
    return WriteStatus(status.because(Truth.UNKNOWN, Reason.NO_BACKEND, message, seen.now))


def settled(seen: Observed) -> Plan | None:
    """Completed or Failed: it stays until its TTL is over and the ledger has its status."""
    asset, status = seen.asset, seen.asset.status
    if status is None or not status.phase.settled:
        return None
    ended = status.completion_time or seen.now
    due = ended + timedelta(seconds=asset.spec.ttl_seconds_after_finished)
    if seen.now < due and not seen.crowded:
        return LookAgain(due)
    return Expire() if seen.archived else LookAgain(seen.now + timedelta(seconds=1))


def given_back(seen: Observed) -> Plan | None:
    """Its worker let go of it: charged if it proved harmful, else back to the queue."""
    status = seen.asset.status
    if status is None or not status.given_back:
        return None
    reason = Reason(status.reason) if status.reason in set(Reason) else Reason.RELEASED
    message = status.message or ""
    if reason in CHARGED:
        return _charged(status, seen, reason, message)
    wait = None if reason in UNTROUBLED else seen.now + backoff(UNCHARGED_WAIT_SECONDS, 1, seen.chance)
    return WriteStatus(released(status, reason, message, seen.now, wait), event=Reason.RELEASED)


def worker_gone(seen: Observed) -> Plan | None:
    """Its Job is over and it is not settled: back to the queue (F3 to F9).

    A crash makes what had been started a suspect, which runs alone from then on; a crash while running alone is proof.
    """
    status, job = seen.asset.status, seen.job
    if status is None or status.assigned_job is None or job is None or job.outcome is None:
        return None
    started = status.phase is Phase.PROCESSING
    if job.outcome is Outcome.CRASHED and started:
        if job.isolated_for == seen.asset.name:
            return _charged(status, seen, Reason.WORKER_CRASHED, f"Its worker crashed while it ran alone. {job.why}")
        message = "Its worker crashed while it and others ran; it is run alone to see whether it is to blame."
        suspect = status.model_copy(
            update={
                "conditions": with_condition(
                    status.conditions,
                    ConditionType.ISOLATED,
                    Truth.TRUE,
                    Reason.WORKER_CRASHED,
                    message,
                    seen.now,
                    seen.asset.metadata.generation,
                )
            }
        )
        return WriteStatus(released(suspect, Reason.ISOLATED, message, seen.now), event=Reason.RELEASED)
    message = f"Worker {status.assigned_job} {_ENDED[job.outcome]} before it was done with it; it waits for another."
    again = job.isolated_for is not None and job.outcome in (Outcome.CRASHED, Outcome.MISCONFIGURED)
    wait = seen.now + backoff(UNCHARGED_WAIT_SECONDS, 1, seen.chance) if again else None
    return WriteStatus(released(status, Reason.RELEASED, message, seen.now, wait), event=Reason.RELEASED)


_ENDED: dict[Outcome, str] = {
    Outcome.COMPLETED: "left idle",
    Outcome.CRASHED: "crashed",
    Outcome.DISRUPTED: "was disrupted",
    Outcome.MISCONFIGURED: "refused its configuration",
    Outcome.GONE: "is gone",
}


CHECKS: tuple[Check, ...] = (
    being_deleted,
    deleted_in_the_ledger,
    without_finalizer,
    without_status,
    asked_to_retry,
    backend_changed,
    left_at_mediaconvert,
    settled,
    given_back,
    worker_gone,
)


def _charged(status: AssetStatus, seen: Observed, reason: Reason, message: str) -> WriteStatus:
    charge = charged(status, seen.attempts, message, seen.now, seen.chance)
    if charge.due is None:
        return _failed(charge.status, seen, Reason.ATTEMPTS_EXHAUSTED, charge.message)
    return WriteStatus(released(charge.status, reason, charge.message, seen.now, charge.due), event=reason)


def _failed(status: AssetStatus, seen: Observed, reason: Reason, message: str) -> WriteStatus:
    known = status.model_copy(update={"observed_generation": seen.asset.metadata.generation})
    return WriteStatus(failed(known, reason, message, seen.now), event=reason)

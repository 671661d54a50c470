"""Conditions in the form of metav1.Condition, and every reason this service gives.

A reason is stable and for programs; the message beside it is a sentence for people.
The shape is fixed by KEP-1623 (standardised conditions).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime

from media_core.shape import Shape


class ConditionType(StrEnum):
    """Aspects of an asset or a pool that a condition speaks of."""

    SUCCEEDED = "Succeeded"
    ISOLATED = "Isolated"
    READY = "Ready"
    DEGRADED = "Degraded"
    WORKERS_STUCK = "WorkersStuck"


class Truth(StrEnum):
    """The three values of a condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Reason(StrEnum):
    """Why something is as it is. The groups below decide what follows from a reason."""

    # It waits.
    QUEUED = "Queued"
    BOUND = "Bound"
    PROCESSING = "Processing"
    NO_BACKEND = "NoBackend"
    POOL_MISSING = "PoolMissing"
    POOL_PAUSED = "PoolPaused"
    POOL_DEGRADED = "PoolDegraded"
    WORKERS_STUCK = "WorkersStuck"
    NO_FREE_WORKER = "NoFreeWorker"
    ISOLATED = "Isolated"
    RELEASED = "Released"
    RETRIED = "Retried"
    SUBMITTED = "Submitted"
    TRANSCODING = "Transcoding"
    TRANSCODER_MISCONFIGURED = "TranscoderMisconfigured"

    # A worker gave it back; nobody is to blame.
    DRAINING = "Draining"
    STORAGE_UNAVAILABLE = "StorageUnavailable"
    DELETED = "Deleted"
    INTERNAL_ERROR = "InternalError"

    # A worker gave it back; the asset is to blame.
    DECODER_CRASHED = "DecoderCrashed"
    DECODER_OUT_OF_MEMORY = "DecoderOutOfMemory"
    WORKER_CRASHED = "WorkerCrashed"

    # It failed for good.
    UNDECODABLE = "Undecodable"
    UNSUPPORTED_FORMAT = "UnsupportedFormat"
    TOO_MANY_PIXELS = "TooManyPixels"
    TOO_MANY_FRAMES = "TooManyFrames"
    TOO_LARGE = "TooLarge"
    TOO_LONG = "TooLong"
    SOURCE_CHANGED = "SourceChanged"
    SOURCE_MISSING = "SourceMissing"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    ATTEMPTS_EXHAUSTED = "AttemptsExhausted"
    FOREIGN_SOURCE = "ForeignSource"
    TRANSCODE_FAILED = "TranscodeFailed"

    # It is done.
    COMPLETED = "Completed"

    # Pools.
    WORKING = "Working"
    IDLE = "Idle"


CHARGED: frozenset[Reason] = frozenset({Reason.DECODER_CRASHED, Reason.DECODER_OUT_OF_MEMORY, Reason.WORKER_CRASHED})
"""Reasons that prove the asset guilty: each costs it one attempt."""

UNTROUBLED: frozenset[Reason] = frozenset({Reason.DRAINING, Reason.DELETED})
"""Give-backs after which the asset may be bound again at once."""


class Condition(Shape):
    """One aspect of an object's state. `last_transition_time` moves only when `status` does."""

    type: str
    status: Truth
    reason: str
    message: str = ""
    last_transition_time: AwareDatetime
    observed_generation: int | None = None


def find(conditions: Iterable[Condition], type_: ConditionType) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((c for c in conditions if c.type == type_), None)


def holds(conditions: Iterable[Condition], type_: ConditionType) -> bool:
    """Whether the condition of that type is there and True."""
    found = find(conditions, type_)
    return found is not None and found.status is Truth.TRUE


class Refusal(Exception):
    """Nothing comes of an asset, for a reason that is known; the message is a sentence for its owner."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason, self.message = reason, message


def with_condition(
    conditions: Iterable[Condition],
    type_: ConditionType,
    status: Truth,
    reason: Reason,
    message: str,
    now: datetime,
    generation: int | None = None,
) -> tuple[Condition, ...]:
    """All conditions, the one of that type replaced or added. Messages are cut at 1,024 characters."""
    kept = tuple(conditions)
    old = find(kept, type_)
    new = Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message[:1024],
        last_transition_time=old.last_transition_time if old and old.status is status else now,
        observed_generation=generation,
    )
    if old is None:
        return (*kept, new)
    return tuple(new if c.type == type_ else c for c in kept)


def without_condition(conditions: Iterable[Condition], type_: ConditionType) -> tuple[Condition, ...]:
    """All conditions but the one of that type."""
    return tuple(c for c in conditions if c.type != type_)

"""Every reason this service gives: stable and for programs, beside a message that is a sentence for people.

Apart from `conditions`, which carry them, because the decoder's processes give reasons too: they read no object of
Kubernetes, and each has the memory of what it imports.
"""

from __future__ import annotations

from enum import StrEnum


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


class Refusal(Exception):
    """Nothing comes of an asset, for a reason that is known; the message is a sentence for its owner."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason, self.message = reason, message

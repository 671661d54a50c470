"""MediaAsset as a value: what was uploaded (spec) and where it stands (status).

The schema of crds/mediaasset.yaml, read tolerantly. Two programs write the status, each its part: see `AssetStatus`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from pydantic import AwareDatetime, Field

from media_core.conditions import Condition, ConditionType, Truth, find, holds, with_condition
from media_core.names import API_VERSION, ASSET_KIND, DEFAULT_POOL, PURGE_FINALIZER
from media_core.reasons import Reason
from media_core.shape import Shape


class AssetType(StrEnum):
    """What kind of media an asset is."""

    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    PDF = "PDF"
    SCORM = "SCORM"


class Phase(StrEnum):
    """Where an asset is on its way; a summary for people."""

    PENDING = "Pending"
    SCHEDULED = "Scheduled"
    PROCESSING = "Processing"
    COMPLETED = "Completed"
    FAILED = "Failed"

    @property
    def settled(self) -> bool:
        """Whether nothing more happens by itself."""
        return self in (Phase.COMPLETED, Phase.FAILED)


class TranscodeStatus(StrEnum):
    """The phase as the REST API names it."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


TRANSCODE_STATUS: Mapping[Phase, TranscodeStatus] = {
    Phase.PENDING: TranscodeStatus.PENDING,
    Phase.SCHEDULED: TranscodeStatus.PENDING,
    Phase.PROCESSING: TranscodeStatus.PROCESSING,
    Phase.COMPLETED: TranscodeStatus.COMPLETED,
    Phase.FAILED: TranscodeStatus.FAILED,
}


class DeletionPolicy(StrEnum):
    """What becomes of the media when the object is deleted (TTL never deletes media)."""

    DELETE = "Delete"
    RETAIN = "Retain"


class Source(Shape):
    """The original in object storage, pinned to the bytes that were checked at confirm."""

    bucket: str
    key: str
    etag: str
    version_id: str | None = None
    size_bytes: int
    content_type: str


class AssetSpec(Shape):
    """What was uploaded. Immutable, but for `ttl_seconds_after_finished` and `deletion_policy`."""

    asset_type: AssetType
    source: Source
    owner: str
    pool: str = DEFAULT_POOL
    priority: int = 0
    ttl_seconds_after_finished: int = 86400
    deletion_policy: DeletionPolicy = DeletionPolicy.DELETE


class Variant(Shape):
    """One rendition: its name, size in pixels, and length in bytes."""

    name: str
    width: int
    height: int
    bytes: int


class Result(Shape):
    """What the worker found (size as shown, frames, colours) and made (variants)."""

    width: int
    height: int
    frames: int = 1
    placeholder: str | None = None
    dominant_color: str | None = None
    recipe_version: int | None = None
    variants: tuple[Variant, ...] = ()


class VideoBackend(StrEnum):
    """Who transcodes a video."""

    MEDIACONVERT = "mediaconvert"
    FFMPEG = "ffmpeg"


class VideoStatus(Shape):
    """State of a video's transcoding.

    `submit_token` and `submit_time` are the intent: they are stored before the backend hears of the job, so that
    whoever finds them without a `job_id` looks for the job before submitting another.
    """

    backend: VideoBackend | None = None
    submit_token: str | None = None
    submit_time: AwareDatetime | None = None
    job_id: str | None = None
    progress_percent: int | None = None
    duration_seconds: int | None = None


class AssetStatus(Shape):
    """Where an asset stands.

    The operator writes `assigned_job`, `binding`, `attempts`, `not_before` and the condition Isolated; the worker it
    is bound to writes `phase`, `start_time`, `completion_time`, `result` and the condition Succeeded.
    """

    phase: Phase = Phase.PENDING
    observed_generation: int | None = None
    assigned_job: str | None = None
    binding: int = 0
    attempts: int = 0
    not_before: AwareDatetime | None = None
    start_time: AwareDatetime | None = None
    completion_time: AwareDatetime | None = None
    result: Result | None = None
    video: VideoStatus | None = None
    conditions: tuple[Condition, ...] = ()

    @property
    def succeeded(self) -> Condition | None:
        """The summary condition."""
        return find(self.conditions, ConditionType.SUCCEEDED)

    @property
    def reason(self) -> str | None:
        """Reason of the summary condition."""
        return self.succeeded.reason if self.succeeded else None

    @property
    def message(self) -> str | None:
        """Message of the summary condition."""
        return self.succeeded.message if self.succeeded else None

    @property
    def isolated(self) -> bool:
        """Whether it runs alone since a worker crashed on it."""
        return holds(self.conditions, ConditionType.ISOLATED)

    @property
    def given_back(self) -> bool:
        """Whether the worker it is bound to has let go of it."""
        return self.phase is Phase.PENDING and self.assigned_job is not None

    def because(self, truth: Truth, reason: Reason, message: str, now: datetime) -> Self:
        """The same status with another summary condition."""
        conditions = with_condition(
            self.conditions, ConditionType.SUCCEEDED, truth, reason, message, now, self.observed_generation
        )
        return self.model_copy(update={"conditions": conditions})


class AssetMeta(Shape):
    """The part of ObjectMeta that decisions look at."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = "0"
    generation: int = 0
    creation_timestamp: AwareDatetime | None = None
    deletion_timestamp: AwareDatetime | None = None
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)


UNWRITTEN: tuple[dict[str, str], ...] = ({}, {"phase": Phase.PENDING.value})
"""A status that nobody wrote: none, or the CRD's default."""


class MediaAsset(Shape):
    """One object as the API server holds it. `status` is None where none was ever written (or a restore lost it)."""

    metadata: AssetMeta
    spec: AssetSpec
    status: AssetStatus | None = None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """From the API server's JSON; the CRD's default status counts as none. Raises pydantic.ValidationError."""
        status = body.get("status") or {}
        return cls.model_validate({**body, "status": None if status in UNWRITTEN else status})

    @property
    def name(self) -> str:
        """The asset's id."""
        return self.metadata.name

    @property
    def uid(self) -> str:
        """Identity of this very object; another of the same name has another."""
        return self.metadata.uid

    @property
    def version(self) -> int:
        """The resource version as a number, for comparing two sights of the same object."""
        return int(self.metadata.resource_version or 0)

    @property
    def deleting(self) -> bool:
        """Whether somebody asked for its deletion."""
        return self.metadata.deletion_timestamp is not None


def asset_manifest(name: str, namespace: str, spec: AssetSpec) -> dict[str, Any]:
    """The object as it is created: our finalizer is there from the first moment, so no deletion can miss the purge."""
    return {
        "apiVersion": API_VERSION,
        "kind": ASSET_KIND,
        "metadata": {"name": name, "namespace": namespace, "finalizers": [PURGE_FINALIZER]},
        "spec": spec.to_json(),
    }

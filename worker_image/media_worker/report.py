"""What a worker may say of an asset, and how it is said: JSON patches on its status, each behind the fence.

The fence: every patch first tests that the asset is still bound to this Job at this binding, so a worker that was
given up for lost can write nothing. Pure; `delivery` sends what is built here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, assert_never

from media_core.asset import AssetStatus, MediaAsset, Phase, Result, VideoBackend, VideoStatus
from media_core.conditions import ConditionType, Truth, with_condition
from media_core.reasons import Reason
from media_core.shape import timestamp
from media_worker.hand import Claim

Patch = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Started:
    """Decoding begins. From here on a crash of the worker makes the asset a suspect."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the film is; its length as soon as it is known."""

    percent: int
    duration_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Completed:
    """Everything that is made of it is in object storage. Of a film, how long it is as well."""

    result: Result
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """No worker could do better: it fails for good."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class GivenBack:
    """This worker lets go of it; nothing it does for it runs any more."""

    reason: Reason
    message: str


Outcome = Completed | Failed | GivenBack
Report = Started | Outcome
"""What a report has to arrive of; `Progress` may be lost."""


class Verdict(Enum):
    """What a refused report means, judged on a fresh sight of the asset."""

    NOT_OURS = auto()
    ARRIVED = auto()
    """An earlier try of the same report had got through; only its answer was lost."""
    REFUSED = auto()


def patch(claim: Claim, job: str, seen: MediaAsset, report: Report, now: datetime) -> Patch:
    """The report as a JSON patch on the status subresource, computed from the freshest sight of the asset.

    Members are set with `add`, which replaces what is there and does not need it to be there.
    """
    match report:
        case Started():
            said = Truth.UNKNOWN, Reason.PROCESSING, f"Worker {job} is working on it."
            changes = [*_phase(Phase.PROCESSING), _add("startTime", timestamp(now))]
        case Completed(result, progress):
            said = Truth.TRUE, Reason.COMPLETED, _praise(result) if progress is None else "Transcoded by ffmpeg."
            ended = _add("completionTime", timestamp(now))
            changes = [*_phase(Phase.COMPLETED), ended, _add("result", result.to_json()), *_video(seen, progress)]
        case Failed(reason, message):
            said = Truth.FALSE, reason, message
            changes = [*_phase(Phase.FAILED), _add("completionTime", timestamp(now))]
        case GivenBack(reason, message):
            said = Truth.UNKNOWN, reason, message
            changes = [*_phase(Phase.PENDING), *_without("startTime")]
        case _:
            assert_never(report)
    status = seen.status or AssetStatus()
    conditions = with_condition(status.conditions, ConditionType.SUCCEEDED, *said, now, status.observed_generation)
    return [*_fence(claim, job), *changes, _add("conditions", [condition.to_json() for condition in conditions])]


def mention(claim: Claim, job: str, seen: MediaAsset, progress: Progress) -> Patch:
    """The progress of a film, and nothing else. Nothing is said of one that is not being worked on any more."""
    working = {"op": "test", "path": "/status/phase", "value": str(Phase.PROCESSING)}
    return [*_fence(claim, job), working, *_video(seen, progress)]


def _video(seen: MediaAsset, progress: Progress | None) -> Patch:
    """The whole member, since it may not be there; what the operator wrote of it stays."""
    if progress is None:
        return []
    told: dict[str, Any] = {"backend": VideoBackend.FFMPEG, "progress_percent": progress.percent}
    if progress.duration_seconds is not None:
        told["duration_seconds"] = progress.duration_seconds
    known = (seen.status and seen.status.video) or VideoStatus()
    return [_add("video", known.model_copy(update=told).to_json())]


def _fence(claim: Claim, job: str) -> Patch:
    return [
        {"op": "test", "path": "/status/assignedJob", "value": job},
        {"op": "test", "path": "/status/binding", "value": claim.binding},
    ]


def _phase(phase: Phase) -> Patch:
    return [_add("phase", str(phase))]


def _add(member: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": f"/status/{member}", "value": value}


def _without(member: str) -> Patch:
    """Remove a member whether it is there or not: `remove` alone is refused where it is not."""
    return [_add(member, "1970-01-01T00:00:00Z"), {"op": "remove", "path": f"/status/{member}"}]


def _praise(result: Result) -> str:
    count = len(result.variants)
    return f"{count} {'rendition is' if count == 1 else 'renditions are'} ready."


def judge(claim: Claim, job: str, fresh: MediaAsset | None, report: Report) -> Verdict:
    """Why the API server refused a report, as far as the asset itself can tell."""
    status = fresh.status if fresh is not None else None
    if status is None or status.assigned_job != job or status.binding != claim.binding:
        return Verdict.NOT_OURS
    match report:
        case Started():
            arrived = status.phase is Phase.PROCESSING
        case Completed() | Failed():
            arrived = status.phase.settled
        case GivenBack():
            arrived = status.given_back
        case _:
            assert_never(report)
    if arrived:
        return Verdict.ARRIVED
    return Verdict.NOT_OURS if status.phase.settled or status.given_back else Verdict.REFUSED

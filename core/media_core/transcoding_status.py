"""The statuses of a video on its way through MediaConvert, one function for each that is written."""

from __future__ import annotations

import hashlib
from datetime import datetime

from media_core.asset import AssetStatus, MediaAsset, Phase, Result, VideoBackend, VideoStatus
from media_core.conditions import Truth
from media_core.listing import ServiceJob
from media_core.reasons import Reason


def status_of(asset: MediaAsset) -> AssetStatus:
    """Its status; an empty one where there is none."""
    return asset.status or AssetStatus()


def video_of(asset: MediaAsset) -> VideoStatus:
    """Where its transcoding stands; empty where it has not begun."""
    return status_of(asset).video or VideoStatus()


def intended(asset: MediaAsset, duration_seconds: float, now: datetime) -> AssetStatus:
    """The intent: it is written before the service hears of the job. The binding makes every token another."""
    status = status_of(asset)
    binding = status.binding + 1
    video = VideoStatus(
        backend=VideoBackend.MEDIACONVERT,
        submit_token=token(asset.uid, binding),
        submit_time=now,
        duration_seconds=max(0, round(duration_seconds)),
    )
    update = {"phase": Phase.PENDING, "binding": binding, "not_before": None, "start_time": None, "video": video}
    return status.model_copy(update=update).because(
        Truth.UNKNOWN, Reason.QUEUED, "It is being submitted to MediaConvert.", now
    )


def token(uid: str, binding: int) -> str:
    """The ClientRequestToken of an intent: 64 hex digits, the most there may be."""
    return hashlib.sha256(f"{uid}/{binding}".encode()).hexdigest()


def accepted(asset: MediaAsset, job_id: str, now: datetime) -> AssetStatus:
    """The service has taken the job."""
    update = {"phase": Phase.SCHEDULED, "video": video_of(asset).model_copy(update={"job_id": job_id})}
    told = f"Submitted to MediaConvert as job {job_id}."
    return status_of(asset).model_copy(update=update).because(Truth.UNKNOWN, Reason.SUBMITTED, told, now)


def progressing(asset: MediaAsset, job: ServiceJob, now: datetime) -> AssetStatus:
    """The service is at work; the same status where it has nothing new to tell."""
    status, video = status_of(asset), video_of(asset)
    percent = max(job.percent or 0, video.progress_percent or 0)
    update = {
        "phase": Phase.PROCESSING,
        "start_time": status.start_time or job.started or now,
        "video": video.model_copy(update={"progress_percent": min(percent, 100)}),
    }
    told = f"MediaConvert transcodes it in job {job.id}."
    return status.model_copy(update=update).because(Truth.UNKNOWN, Reason.TRANSCODING, told, now)


def completed(asset: MediaAsset, job: ServiceJob, result: Result, now: datetime) -> AssetStatus:
    """What the service made was proven."""
    status = status_of(asset)
    update = {
        "phase": Phase.COMPLETED,
        "start_time": status.start_time or job.started or job.created,
        "completion_time": now,
        "not_before": None,
        "result": result,
        "video": video_of(asset).model_copy(update={"progress_percent": 100}),
    }
    return status.model_copy(update=update).because(Truth.TRUE, Reason.COMPLETED, "Transcoded by MediaConvert.", now)


def taken_back(
    asset: MediaAsset, reason: Reason, message: str, now: datetime, not_before: datetime | None = None
) -> AssetStatus:
    """The status without the intent: nothing of it is at the service, and it waits for its turn."""
    update = {
        "phase": Phase.PENDING,
        "start_time": None,
        "not_before": not_before,
        "video": VideoStatus(backend=VideoBackend.MEDIACONVERT, duration_seconds=video_of(asset).duration_seconds),
    }
    return status_of(asset).model_copy(update=update).because(Truth.UNKNOWN, reason, message, now)

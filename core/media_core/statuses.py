"""The statuses that the operator gives an asset on its way, one function for each; `transcoding_status` has more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from media_core.asset import AssetStatus, Phase, VideoStatus
from media_core.conditions import Truth
from media_core.reasons import Reason


def bound(status: AssetStatus, job: str, now: datetime) -> AssetStatus:
    """Bound to that Job: the binding rises, so that every earlier writer is refused."""
    scheduled = status.model_copy(update={"phase": Phase.SCHEDULED, "assigned_job": job, **_anew(status)})
    return scheduled.because(Truth.UNKNOWN, Reason.BOUND, f"Bound to worker {job}.", now)


def released(
    status: AssetStatus, reason: Reason, message: str, now: datetime, not_before: datetime | None = None
) -> AssetStatus:
    """Taken from its Job: it waits again, for another worker or until that time. The binding rises as well."""
    free = {"phase": Phase.PENDING, "assigned_job": None, **_anew(status), "not_before": not_before}
    return status.model_copy(update=free).because(Truth.UNKNOWN, reason, message, now)


def failed(status: AssetStatus, reason: Reason, message: str, now: datetime) -> AssetStatus:
    """Failed for good."""
    ended = status.model_copy(update={"phase": Phase.FAILED, "completion_time": now, "not_before": None})
    return ended.because(Truth.FALSE, reason, message, now)


def _anew(status: AssetStatus) -> dict[str, Any]:
    """What an earlier worker had made of it is not gone on with."""
    return {
        "binding": status.binding + 1,
        "not_before": None,
        "start_time": None,
        "video": _at_its_beginning(status.video),
    }


def _at_its_beginning(video: VideoStatus | None) -> VideoStatus | None:
    return video and video.model_copy(update={"progress_percent": None})

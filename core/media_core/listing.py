"""What MediaConvert tells of its jobs: one job, and a listing of them with what it shows and what it does not.

The service has no question "is there a job of this asset?": there are only pages of jobs, newest first, which may be
cut short. So it is a listing's own matter since when it was made, and whether what is missing there is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from media_core.asset import MediaAsset

CLOCK_SKEW = timedelta(minutes=1)
"""How far the service's clock and ours may differ."""


class JobState(StrEnum):
    """What the service says of a job."""

    SUBMITTED = "SUBMITTED"
    PROGRESSING = "PROGRESSING"
    COMPLETE = "COMPLETE"
    CANCELED = "CANCELED"
    ERROR = "ERROR"

    @property
    def over(self) -> bool:
        """Whether nothing more happens to it."""
        return self not in (JobState.SUBMITTED, JobState.PROGRESSING)


@dataclass(frozen=True, slots=True)
class ServiceJob:
    """One job of the service that carries an asset's id and uid. Times are of the service's clock.

    `shown` is the size of its film as a viewer sees it.
    """

    id: str
    asset_id: str
    uid: str
    state: JobState
    created: datetime
    shown: tuple[int, int]
    token: str | None = None
    percent: int | None = None
    started: datetime | None = None
    error_code: int = 0
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """What the service told of its jobs. Jobs that are over may be of an earlier listing: they do not change.

    `taken` is when the first of its calls was made; `complete`: what is not in it is not there. `missing_since` is,
    by token, when a job was first not found that has not been found since.
    """

    taken: datetime
    complete: bool = False
    jobs: Mapping[str, Sequence[ServiceJob]] = field(default_factory=dict)
    """By the uid they carry."""
    missing_since: Mapping[str, datetime] = field(default_factory=dict)

    def job_of(self, asset: MediaAsset) -> ServiceJob | None:
        """The job of the asset's present intent."""
        return next((job for job in self.jobs.get(asset.uid, ()) if is_of_intent(job, asset)), None)


def is_of_intent(job: ServiceJob, asset: MediaAsset) -> bool:
    """Whether it is the job of the asset's present intent, and not of an earlier one or of somebody else."""
    video = asset.status.video if asset.status else None
    if video is None or video.submit_token is None or (job.uid, job.asset_id) != (asset.uid, asset.name):
        return False
    if video.job_id is not None:
        return job.id == video.job_id
    if job.token is not None:
        return job.token == video.submit_token
    return video.submit_time is None or job.created >= video.submit_time - CLOCK_SKEW

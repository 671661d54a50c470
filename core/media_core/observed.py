"""What the next step for one asset is decided on: the asset, and what Kubernetes, ledger and settings say of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from media_core.asset import AssetStatus, MediaAsset, VideoBackend
from media_core.jobs import Outcome
from media_core.pool import Attempts


@dataclass(frozen=True, slots=True)
class JobSight:
    """What is known of the Job an asset is bound to. `outcome` None: it is still at work."""

    outcome: Outcome | None
    isolated_for: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class RowSight:
    """What the ledger says of the asset: its state, the ETag it is about, and the status it last mirrored."""

    state: str
    etag: str | None
    status: AssetStatus | None


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything one decision may look at.

    `job` is about `asset.status.assigned_job` and None where there is none. `row` is asked for only where the
    object has no status yet, and then None means that the ledger has no such row. `chance` is uniform in [0, 1).
    """

    asset: MediaAsset
    now: datetime
    bucket: str
    attempts: Attempts
    job: JobSight | None = None
    row: RowSight | None = None
    archived: bool = False
    """Whether the ledger has this settled status, so that the object may go."""
    crowded: bool = False
    """Whether uploads wait because the cluster holds as many objects as it may: then the settled ones make room."""
    video_backend: VideoBackend | None = None
    """Who transcodes videos that nobody has begun with."""
    transcoder: bool = False
    """Whether somebody here talks to MediaConvert, and can cancel a job there."""
    chance: float = 0.5

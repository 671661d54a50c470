"""MediaWorkerPool as a value: how many workers, how each works, and what they are doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import AwareDatetime

from media_core.asset import AssetMeta, AssetSpec, AssetType
from media_core.conditions import Condition
from media_core.names import DEFAULT_POOL, VIDEO_POOL
from media_core.renditions import DEFAULT_RENDITIONS, Rendition
from media_core.shape import Shape


def pool_for(asset_type: AssetType) -> str:
    """Name of the pool whose workers know the type: films need other programs, more room and more time."""
    return VIDEO_POOL if asset_type is AssetType.VIDEO else DEFAULT_POOL


def pool_of(spec: AssetSpec) -> str:
    """The pool that works on it: the one it names, where that one's workers can.

    What a film takes, only the workers of pool `video` have, and these have nothing else.
    """
    return pool_for(spec.asset_type) if VIDEO_POOL in (spec.pool, pool_for(spec.asset_type)) else spec.pool


class Attempts(Shape):
    """How often an asset that proves harmful is run again. `limit` counts charged runs, not retries."""

    limit: int = 3
    backoff_seconds: int = 10


class PodTemplate(Shape):
    """Where and with what a worker runs. What it runs is not for a pool's editor to choose."""

    resources: dict[str, dict[str, dict[str, str | int]]] | None = None
    node_selector: dict[str, str] | None = None
    tolerations: tuple[dict[str, Any], ...] | None = None
    affinity: dict[str, Any] | None = None
    priority_class_name: str | None = None


class PoolSpec(Shape):
    """Slots (`replicas`) and how each worker Job works. Defaults are those of crds/mediaworkerpool.yaml."""

    replicas: int = 1
    paused: bool = False
    concurrency: int = 2
    prefetch: int = 4
    idle_seconds: int = 30
    max_lifetime_seconds: int = 3600
    asset_timeout_seconds: int = 1800
    attempts: Attempts = Attempts()
    renditions: tuple[Rendition, ...] = DEFAULT_RENDITIONS
    template: PodTemplate = PodTemplate()

    @property
    def room(self) -> int:
        """Assets that may be bound to one worker at once."""
        return self.concurrency + self.prefetch


class PoolStatus(Shape):
    """What the pool is doing. `last_job_number` is raised before the Job of that number is created."""

    observed_generation: int | None = None
    replicas: int = 0
    jobs: int = 0
    busy: int = 0
    queued: int = 0
    backlog_seconds: int = 0
    backlog_time: AwareDatetime | None = None
    selector: str | None = None
    last_job_number: int = 0
    conditions: tuple[Condition, ...] = ()


class MediaWorkerPool(Shape):
    """One object as the API server holds it."""

    metadata: AssetMeta
    spec: PoolSpec
    status: PoolStatus = PoolStatus()

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """From the API server's JSON. Raises pydantic.ValidationError."""
        return cls.model_validate({**body, "status": body.get("status") or {}})

    @property
    def name(self) -> str:
        """Name of the pool."""
        return self.metadata.name

    @property
    def uid(self) -> str:
        """Identity of this very object; another of the same name has another."""
        return self.metadata.uid

    @property
    def version(self) -> int:
        """The resource version as a number."""
        return int(self.metadata.resource_version or 0)

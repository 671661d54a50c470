"""What the operator knows: the three caches, the index over assets, and who is told when one of them changes.

Every sight comes in here, whether from a watch, from a LIST, or as the answer to one of our own writes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from media_core.asset import AssetStatus, MediaAsset
from media_core.jobs import WorkerJob
from media_core.pool import MediaWorkerPool, pool_of
from media_operator import metrics
from media_operator.adapters.cluster import Cluster, Kind
from media_operator.cache import AssetIndex, Cache, in_transcoding

log = structlog.get_logger()


class World:
    """The operator's picture of its namespace. `complete` is False until the first LIST of all three kinds is in."""

    def __init__(self) -> None:
        self.index = AssetIndex()
        self.assets: Cache[MediaAsset] = Cache(self._asset_changed)
        self.pools: Cache[MediaWorkerPool] = Cache(self._pool_changed)
        self.jobs: Cache[WorkerJob] = Cache(self._job_changed)
        self.complete = False
        self.making_room: frozenset[str] = frozenset()
        """Settled assets that go before their TTL, because uploads wait for their place."""
        self.look: Callable[[str], None] = _nobody
        """Called with an asset's name: look at it."""
        self.mind: Callable[[str], None] = _nobody
        """Called with a pool's name: schedule it."""
        self.film: Callable[[str], None] = _nobody
        """Called with the name of a video that MediaConvert is to transcode, or transcodes."""
        self.mirror: Callable[[MediaAsset | None, str], None] = lambda _asset, _name: None
        """Called with the newest sight of an asset (None: it is gone) and its name."""
        self.settled: Callable[[MediaAsset], None] = lambda _asset: None
        """Called once for an asset that was seen under way and is settled now, whoever wrote that."""

    def take(self, kind: Kind, event: str | None, body: Mapping[str, Any]) -> None:
        """One sight from a watch. An object that cannot be read is left alone, loudly.

        Half of all sights are echoes of our own writes, and to read one costs more than all else that is done with it.
        """
        metadata, cache = body.get("metadata") or {}, self._cache(kind)
        try:
            if event == "DELETED":
                cache.lose(metadata["name"], metadata["uid"])
            elif not cache.knows(metadata["name"], metadata["uid"], int(metadata["resourceVersion"])):
                cache.see(self.read(kind, body))
        except (ValidationError, KeyError, ValueError) as error:
            log.error("object_unreadable", kind=kind.plural, name=metadata.get("name"), error=str(error))

    def wrote(self, kind: Kind, body: Mapping[str, Any]) -> None:
        """The answer to one of our own writes: as good as an event, and sooner."""
        self.take(kind, None, body)

    def admit(self, asset: MediaAsset, status: AssetStatus) -> None:
        """Take it that its status is that, which is written with the next that is; unless there is news of it."""
        self.assets.amend(asset, asset.model_copy(update={"status": status}))

    def read(self, kind: Kind, body: Mapping[str, Any]) -> Any:
        """The value of a body of that kind."""
        match kind:
            case Kind.ASSET:
                return _asset(body)
            case Kind.POOL:
                return MediaWorkerPool.read(body)
            case Kind.JOB:
                return WorkerJob.read(body)
            case Kind.EVENT:
                raise ValueError("events are written, never read")

    def make_room(self, count: int) -> None:
        """Let the `count` assets that were settled first go, whatever their TTL."""
        settled = [asset for asset in self.assets if _is_settled(asset)] if count > 0 else []
        settled.sort(key=lambda asset: str(asset.status and asset.status.completion_time))
        self.making_room = frozenset(asset.name for asset in settled[: max(count, 0)])
        for name in self.making_room:
            self.look(name)

    async def list_all(self, cluster: Cluster) -> None:
        """Align the caches with full LISTs: pools, then Jobs, then assets. Nothing is decided before the first."""
        for kind in (Kind.POOL, Kind.JOB, Kind.ASSET):
            listed, present, version = [], [], 0
            async for page, made_at in cluster.pages(kind):
                version = version or made_at
                for body in page:
                    if (value := self._news(kind, body)) is not None:
                        listed.append(value)
                    else:
                        present.append(body["metadata"]["uid"])
            missing = self._cache(kind).align(listed, version, present)
            if missing and self.complete:
                log.warning("gone_unheard", kind=kind.plural, names=missing[:20], count=len(missing))
        self.complete = True
        for asset in self.assets:
            self.look(asset.name)
        for name in sorted(self.index.transcoding):
            self.film(name)
        for pool in self.pools:
            self.mind(pool.name)

    def _news(self, kind: Kind, body: Mapping[str, Any]) -> Any:
        """The value of a listed body; None for one that is known as it is, as nearly all are, or cannot be read."""
        metadata = body["metadata"]
        try:
            if self._cache(kind).knows(metadata["name"], metadata["uid"], int(metadata["resourceVersion"])):
                return None
            return self.read(kind, body)
        except (ValidationError, KeyError, ValueError) as error:
            log.error("object_unreadable", kind=kind.plural, name=metadata.get("name"), error=str(error))
            return None

    def _cache(self, kind: Kind) -> Cache[Any]:
        caches: dict[Kind, Cache[Any]] = {Kind.ASSET: self.assets, Kind.POOL: self.pools, Kind.JOB: self.jobs}
        return caches[kind]

    def _asset_changed(self, name: str, before: MediaAsset | None, after: MediaAsset | None) -> None:
        self.index.changed(name, before, after)
        metrics.LIVE.set(len(self.assets))
        if after is None or before is None or after.version != before.version:  # else admitted, and written nowhere
            self.mirror(after, name)
        if before is not None and not _is_settled(before) and after is not None and _is_settled(after):
            self.settled(after)
        self.look(name)
        self.mind(pool_of((after or before or _absent()).spec))
        if after is not None and in_transcoding(after):
            self.film(name)

    def _pool_changed(self, name: str, before: MediaWorkerPool | None, after: MediaWorkerPool | None) -> None:
        self.mind(name)

    def _job_changed(self, name: str, before: WorkerJob | None, after: WorkerJob | None) -> None:
        if after is None or after.over:
            for asset in list(self.index.bound.get(name, ())):
                self.look(asset)
        self.mind((after or before or _absent()).pool)


def _is_settled(asset: MediaAsset) -> bool:
    return asset.status is not None and asset.status.phase.settled


def _asset(body: Mapping[str, Any]) -> MediaAsset:
    """Its name is its row's key, so an object of any other name is none of ours. Raises ValueError."""
    asset = MediaAsset.read(body)
    if str(UUID(asset.name)) != asset.name:
        raise ValueError(f"{asset.name} is not written as an asset id")
    return asset


def _nobody(_name: str) -> None:
    """Nobody is told yet."""


def _absent() -> Any:
    raise AssertionError("a change is from something or to something")

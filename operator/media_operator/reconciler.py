"""One look at one asset: gather what is to be observed, let the core decide, carry it out.

The decision is `media_core.lifecycle.decide`. Here is only what it takes to ask it, and to do what it says.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime
from typing import assert_never

import structlog

from media_core import lifecycle
from media_core.asset import AssetStatus, MediaAsset, Phase, VideoBackend
from media_core.jobs import Outcome, WorkerJob
from media_core.leavings import folders, leavings
from media_core.names import PURGE_FINALIZER, RETRY_ANNOTATION
from media_core.observed import JobSight, Observed
from media_core.plan import (
    AddFinalizer,
    Admit,
    DeleteObject,
    DropRetryAnnotation,
    Expire,
    LookAgain,
    Nothing,
    Plan,
    Purge,
    WriteStatus,
)
from media_core.pool import Attempts, pool_of
from media_core.reasons import Reason
from media_operator import metrics
from media_operator.adapters.cluster import Cluster, ClusterError, Conflict, Kind, NotFound, Unavailable
from media_operator.adapters.objectstore import ObjectStore, StoreUnavailable
from media_operator.events import Events
from media_operator.ledger import Ledger, LedgerUnavailable
from media_operator.mirror import Mirror
from media_operator.workqueue import WorkQueue
from media_operator.world import World
from media_operator.writing import status_body

log = structlog.get_logger()

LOOK_SECONDS = 60.0
"""Deadline of one look, whatever it waits for."""


class Reconciler:
    """Looks at assets, one at a time per asset, several assets at once."""

    def __init__(
        self,
        world: World,
        cluster: Cluster,
        ledger: Ledger,
        mirror: Mirror,
        store: ObjectStore,
        events: Events,
        queue: WorkQueue,
        *,
        clock: Callable[[], datetime],
        video_backend: VideoBackend | None = None,
        transcoder: bool = False,
        chance: Callable[[], float] = random.random,
        trouble: Callable[[str], None] = lambda _pool: None,
    ) -> None:
        """`transcoder`: a poller sees to MediaConvert's jobs.

        `trouble(pool)` is called when a worker of the pool gave an asset back because of object storage.
        """
        self._video_backend, self._transcoder = video_backend, transcoder
        self._world, self._cluster, self._ledger, self._mirror = world, cluster, ledger, mirror
        self._store, self._events, self._queue = store, events, queue
        self._clock, self._chance, self._trouble = clock, chance, trouble

    async def run(self) -> None:
        """Look at whatever is in line, until cancelled."""
        while True:
            name = await self._queue.get()
            try:
                with metrics.RECONCILE_SECONDS.time():
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self.look(name)
                self._queue.forget(name)
            except Conflict:
                metrics.CONFLICTS.inc()
                await self._refresh(name)
            except NotFound:
                await self._refresh(name)
            except (Unavailable, LedgerUnavailable, StoreUnavailable, TimeoutError) as error:
                seconds = self._queue.retry(name)
                metrics.RECONCILE_FAILURES.inc()
                log.warning("look_postponed", asset_id=name, error=str(error) or "timeout", seconds=seconds)
            except Exception:  # one asset's surprise must not stop the others; it is loud, and repeated
                metrics.RECONCILE_FAILURES.inc()
                log.exception("look_failed", asset_id=name, seconds=self._queue.retry(name, first=1.0))
            finally:
                self._queue.done(name)

    async def look(self, name: str) -> None:
        """One look: observe, decide, apply."""
        if not self._world.complete:
            return
        if (asset := self._world.assets.get(name)) is None:
            self._queue.drop(name)
            return
        seen = await self._observe(asset)
        await self._apply(asset, lifecycle.decide(seen))

    async def _observe(self, asset: MediaAsset) -> Observed:
        pool = self._world.pools.get(pool_of(asset.spec))
        return Observed(
            asset=asset,
            now=self._clock(),
            bucket=self._store.bucket,
            attempts=pool.spec.attempts if pool else Attempts(),
            job=await self._job(asset.status),
            row=await self._ledger.row(asset.name) if asset.status is None and not asset.deleting else None,
            archived=self._mirror.archived(asset),
            crowded=asset.name in self._world.making_room,
            video_backend=self._video_backend,
            transcoder=self._transcoder,
            chance=self._chance(),
        )

    async def _job(self, status: AssetStatus | None) -> JobSight | None:
        """The Job it is bound to. That a Job is over or gone is only believed after a live GET."""
        if status is None or status.assigned_job is None or status.phase.settled:
            return None
        known = self._world.jobs.get(status.assigned_job)
        if known is not None and not known.over:
            return JobSight(None, known.isolated_for)
        body = await self._cluster.get(Kind.JOB, status.assigned_job)
        if body is None:
            return JobSight(Outcome.GONE, known.isolated_for if known else None)
        self._world.wrote(Kind.JOB, body)
        job: WorkerJob = self._world.read(Kind.JOB, body)
        return JobSight(job.outcome, job.isolated_for, job.why)

    async def _apply(self, asset: MediaAsset, plan: Plan) -> None:
        match plan:
            case Nothing():
                pass
            case LookAgain(at):
                self._queue.add_after(asset.name, (at - self._clock()).total_seconds() + 0.01)
            case WriteStatus(status, event):
                await self._write_status(asset, status, event)
            case Admit(status):
                self._world.admit(asset, status)
            case Purge(keep_media):
                await self._purge(asset, keep_media=keep_media)
            case AddFinalizer():
                finalizers = [*asset.metadata.finalizers, PURGE_FINALIZER]
                await self._merge_metadata(asset, {"finalizers": finalizers})
            case DeleteObject():
                await self._delete(asset)
            case Expire():
                await self._expire(asset)
            case DropRetryAnnotation():
                await self._merge_metadata(asset, {"annotations": {RETRY_ANNOTATION: None}})
            case _:
                assert_never(plan)

    async def _merge_metadata(self, asset: MediaAsset, metadata: dict[str, object]) -> None:
        """Change some of its metadata, if nobody wrote since."""
        patch = {"metadata": {**metadata, "resourceVersion": str(asset.version)}}
        self._world.wrote(Kind.ASSET, await self._cluster.merge(Kind.ASSET, asset.name, patch))

    async def _write_status(self, asset: MediaAsset, status: AssetStatus, event: Reason | None) -> None:
        before = asset.status
        restored = before is None and status.phase.settled and event is None
        if restored:
            await self._ledger.adopt(asset.name, asset.uid)
        self._world.wrote(Kind.ASSET, await self._cluster.replace_status(Kind.ASSET, status_body(asset, status)))
        if before is not None and before.given_back and before.reason == Reason.STORAGE_UNAVAILABLE:
            self._trouble(pool_of(asset.spec))
        if before is not None and before.assigned_job and status.assigned_job is None:
            metrics.RELEASES.labels(status.reason).inc()
            log.info("asset_released", asset_id=asset.name, job=before.assigned_job, reason=status.reason)
        if event is not None and status.phase is not Phase.FAILED:
            self._events.tell(asset, event.value, status.message or "")

    async def _purge(self, asset: MediaAsset, *, keep_media: bool) -> None:
        if not keep_media:
            pool = self._world.pools.get(pool_of(asset.spec))
            keys = leavings(asset.name, asset.spec, asset.status, pool, self._store.bucket)
            await self._store.purge(keys, folders(asset.name, asset.spec))
        await self._ledger.tombstone(asset.name, asset.spec, asset.status, media_kept=keep_media)
        await self._drop_finalizer(asset)
        log.info("asset_purged", asset_id=asset.name, media_kept=keep_media)

    async def _drop_finalizer(self, asset: MediaAsset) -> int:
        """Returns the version after it. Raises Conflict where somebody wrote since."""
        kept = [name for name in asset.metadata.finalizers if name != PURGE_FINALIZER]
        patch = {"metadata": {"finalizers": kept, "resourceVersion": str(asset.version)}}
        body = await self._cluster.merge(Kind.ASSET, asset.name, patch)
        if asset.deleting and not kept:
            self._world.assets.lose(asset.name, asset.uid)
        else:
            self._world.wrote(Kind.ASSET, body)
        return int(body["metadata"]["resourceVersion"])

    async def _delete(self, asset: MediaAsset) -> None:
        await self._cluster.delete(Kind.ASSET, asset.name, asset.uid)
        await self._refresh(asset.name)

    async def _expire(self, asset: MediaAsset) -> None:
        """Under a resourceVersion test each: a DELETE that comes in between is not mistaken for the TTL."""
        version = asset.version
        if PURGE_FINALIZER in asset.metadata.finalizers:
            version = await self._drop_finalizer(asset)
        await self._cluster.delete(Kind.ASSET, asset.name, asset.uid, version)
        if len(asset.metadata.finalizers) <= 1:
            self._world.assets.lose(asset.name, asset.uid)
        log.info("asset_expired", asset_id=asset.name)

    async def _refresh(self, name: str) -> None:
        """Take in the object as it is now; its news puts it in line again."""
        try:
            body = await self._cluster.get(Kind.ASSET, name)
        except ClusterError as error:
            log.warning("look_postponed", asset_id=name, error=str(error), seconds=self._queue.retry(name))
            return
        known = self._world.assets.get(name)
        if body is not None:
            self._world.wrote(Kind.ASSET, body)
            self._queue.add(name)
        elif known is not None:
            self._world.assets.lose(name, known.uid)

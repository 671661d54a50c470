"""The pools' loop: a snapshot of a pool, the core's decision, its actions, and the pool's status.

One tick at a time, so that no decision is taken while the writes of the one before are under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, assert_never

import structlog

from media_core.asset import AssetType, MediaAsset, Phase
from media_core.backlog import backlog_seconds
from media_core.conditions import Condition, ConditionType, Reason, Truth, holds, with_condition
from media_core.jobs import Fruitless, WorkerJob, fruitless
from media_core.lifecycle import bound, released
from media_core.manifests import WorkerImage, template_hash, worker_job
from media_core.names import POOL_LABEL
from media_core.pool import MediaWorkerPool, PoolStatus
from media_core.scheduling import (
    STUCK_AFTER,
    Bind,
    CreateJob,
    Release,
    Retire,
    Seat,
    Snapshot,
    Waiting,
    is_stuck,
    schedule,
    waits_because,
)
from media_core.shape import timestamp
from media_operator import metrics
from media_operator.adapters.cluster import AlreadyExists, Cluster, ClusterError, Conflict, Kind, NotFound
from media_operator.events import Events
from media_operator.reconciler import status_body
from media_operator.world import World

log = structlog.get_logger()

TICK_SECONDS = 0.05
IDLE_TICK_SECONDS = 1.0
DEGRADED_FOR = timedelta(seconds=60)
FRUITLESS_IS_STUCK = 3
"""So many workers in a row that ended without finishing anything are the pool's trouble, not the assets'."""
EXPLAIN_EVERY = timedelta(seconds=5)
EXPLAINED_AT_ONCE = 20
"""Waiting assets told in one go: a pool's trouble must not become ten thousand writes."""


class SeatTimes:
    """Since when a Job is ready, unready or idle: the operator's own memory, as no object says it.

    A Job that was seen to start is idle from then on, because its worker counts from then as well. One first met idle
    is taken to be idle since its last completion. Work that was begun proves that an older Job was ready once; of a
    young one it proves nothing new, as its status only lags.
    """

    def __init__(self) -> None:
        self._ever_ready: set[str] = set()
        self._unready: dict[str, datetime] = {}
        self._idle: dict[str, datetime] = {}

    def seat(
        self,
        job: WorkerJob,
        bound_assets: Iterable[MediaAsset],
        current: str,
        last_completion: Callable[[str], datetime | None],
        now: datetime,
    ) -> Seat:
        """The Job as the scheduler sees it."""
        held = list(bound_assets)
        begun = any(asset.status is not None and asset.status.phase is Phase.PROCESSING for asset in held)
        if not held and job.name not in self._idle:
            completed = last_completion(job.name)
            self._idle[job.name] = completed or job.created
            begun = completed is not None
        if begun and now - job.created >= STUCK_AFTER:
            self._ever_ready.add(job.name)
        if job.ready > 0:
            if self._unready.pop(job.name, None) is not None and job.name not in self._ever_ready:
                self._idle[job.name] = now
            self._ever_ready.add(job.name)
        else:
            self._unready.setdefault(job.name, now)
        if held:
            self._idle[job.name] = now
        return Seat(
            job=job.name,
            created=job.created,
            bound=tuple(asset.name for asset in held),
            bound_owners=tuple(asset.spec.owner for asset in held),
            current=job.template_hash == current,
            deleting=job.deleting,
            isolated_for=job.isolated_for,
            ever_ready=job.name in self._ever_ready,
            unready_since=self._unready.get(job.name),
            idle_since=None if held else self._idle[job.name],
        )

    def born(self, job: str, now: datetime) -> None:
        """This operator has just created the Job: nothing of it can be older, whatever the API server's clock says."""
        self._unready[job] = self._idle[job] = now

    def keep(self, names: set[str]) -> None:
        """Forget Jobs that are no more."""
        self._ever_ready &= names
        for memory in (self._unready, self._idle):
            for name in memory.keys() - names:
                del memory[name]


class Scheduler:
    """Schedules every pool whenever something about it changed, at most every 50 ms, at least every second."""

    def __init__(
        self,
        world: World,
        cluster: Cluster,
        events: Events,
        image: WorkerImage,
        *,
        clock: Callable[[], datetime],
        unborn: Callable[[], list[tuple[AssetType, int]]] = list,
    ) -> None:
        """`unborn()` gives type and size of confirmed uploads that have no object yet."""
        self._world, self._cluster, self._events, self._image = world, cluster, events, image
        self._clock, self._unborn = clock, unborn
        self._times = SeatTimes()
        self._degraded_until: dict[str, datetime] = {}
        self._explained: dict[str, datetime] = {}
        self._pending_status: dict[str, datetime] = {}
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self.heartbeat: datetime | None = None

    def mind(self, pool: str) -> None:
        """Something about the pool changed."""
        self._dirty.add(pool)
        self._wake.set()

    def trouble(self, pool: str) -> None:
        """A worker of the pool could not reach object storage."""
        self._degraded_until[pool] = self._clock() + DEGRADED_FOR
        self.mind(pool)

    async def run(self) -> None:
        """Schedule until cancelled."""
        while True:
            try:
                async with asyncio.timeout(IDLE_TICK_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                self._dirty |= {pool.name for pool in self._world.pools}
            self._wake.clear()
            names, self._dirty = self._dirty, set()
            if self._world.complete:
                names |= {name for name in self._world.index.waiting if name not in self._world.pools}
                for name in sorted(names):
                    await self._tick_safely(name)
            self.heartbeat = self._clock()
            await asyncio.sleep(TICK_SECONDS)

    async def _tick_safely(self, name: str) -> None:
        try:
            await self.tick(name)
        except (Conflict, NotFound) as error:
            metrics.CONFLICTS.inc()
            log.info("tick_repeated", pool=name, error=str(error))
            await self._refresh_pool(name)
        except ClusterError as error:
            log.warning("tick_postponed", pool=name, error=str(error))
        except Exception:  # one pool's surprise must not stop the others; the next tick tries again, loudly
            log.exception("tick_failed", pool=name)

    async def tick(self, name: str) -> None:
        """One decision for one pool, and its doing."""
        now = self._clock()
        pool = self._world.pools.get(name)
        if pool is None:
            await self._without_pool(name, now)
            return
        seen = self.snapshot(pool, now)
        actions = schedule(seen, now)
        binds = [action for action in actions if isinstance(action, Bind)]
        for action in actions:
            match action:
                case Release(job, reason, message):
                    await self._release(job, reason, message)
                case Retire(job):
                    await self._retire(job)
                case CreateJob() | Bind():
                    pass
                case _:
                    assert_never(action)
        await asyncio.gather(*(self._bind(action) for action in binds))
        for action in actions:
            if isinstance(action, CreateJob):
                await self._create_job(name, action.isolated_for)
        await self._explain(pool, seen, {action.asset for action in binds}, now)
        await self._tell_status(name, seen, now)

    def snapshot(self, pool: MediaWorkerPool, now: datetime) -> Snapshot:
        """The pool as the caches have it."""
        world = self._world
        jobs = [job for job in world.jobs if job.pool == pool.name and not job.over]
        self._times.keep({job.name for job in world.jobs if not job.over})
        current = template_hash(pool, self._image)
        seats = [
            self._times.seat(
                job,
                (world.assets[asset] for asset in sorted(world.index.bound.get(job.name, ()))),
                current,
                self._last_completion,
                now,
            )
            for job in jobs
        ]
        waiting = [_waiting(world.assets[asset]) for asset in world.index.waiting.get(pool.name, ())]
        degraded = now < self._degraded_until.get(pool.name, now)
        vain = self._fruitless(pool.name)
        return Snapshot(pool.spec, waiting, seats, degraded, vain.until if vain else None)

    def _fruitless(self, pool: str) -> Fruitless | None:
        jobs = (job for job in self._world.jobs if job.pool == pool)
        return fruitless(jobs, lambda job: self._world.index.settled_by[job] > 0)

    def _last_completion(self, job: str) -> datetime | None:
        times = [
            asset.status.completion_time
            for asset in self._world.assets
            if asset.status and asset.status.assigned_job == job and asset.status.completion_time
        ]
        return max(times, default=None)

    async def _bind(self, action: Bind) -> None:
        asset = self._world.assets.get(action.asset)
        if asset is None or asset.status is None or asset.status.assigned_job or asset.deleting:
            return
        status = bound(asset.status, action.job, self._clock())
        if await self._write(asset, status):
            metrics.BINDS.labels(asset.spec.pool).inc()
            self._events.tell(asset, "Bound", f"Bound to worker {action.job}.")

    async def _release(self, job: str, reason: Reason, message: str) -> None:
        """Take back what is bound to a Job that does not work, after a live look at it."""
        body = await self._cluster.get(Kind.JOB, job)
        if body is not None:
            self._world.wrote(Kind.JOB, body)
            if WorkerJob.read(body).ready > 0:
                return
        log.warning("job_released", job=job, reason=reason.value, message=message)
        for name in list(self._world.index.bound.get(job, ())):
            asset = self._world.assets[name]
            if asset.status is not None and await self._write(
                asset, released(asset.status, reason, message, self._clock())
            ):
                metrics.RELEASES.labels(reason.value).inc()
                self._events.tell(asset, "Released", message)

    async def _write(self, asset: MediaAsset, status: Any) -> bool:
        """Whether the status was written; where somebody was first, their word is taken in instead."""
        try:
            body = await self._cluster.replace_status(Kind.ASSET, status_body(asset, status))
        except (Conflict, NotFound):
            metrics.CONFLICTS.inc()
            fresh = await self._cluster.get(Kind.ASSET, asset.name)
            if fresh is None:
                self._world.assets.lose(asset.name, asset.uid)
            else:
                self._world.wrote(Kind.ASSET, fresh)
            return False
        self._world.wrote(Kind.ASSET, body)
        return True

    async def _retire(self, name: str) -> None:
        job = self._world.jobs.get(name)
        if job is None or self._world.index.bound.get(name):
            return
        log.info("job_retired", job=name, pool=job.pool)
        await self._cluster.delete(Kind.JOB, name, job.uid)
        fresh = await self._cluster.get(Kind.JOB, name)
        if fresh is None:
            self._world.jobs.lose(name, job.uid)
        else:
            self._world.wrote(Kind.JOB, fresh)

    async def _create_job(self, pool_name: str, isolated_for: str | None) -> None:
        """The number is raised first: two operators, or one that crashed here, never make the same Job twice."""
        pool = self._world.pools[pool_name]
        number = pool.status.last_job_number + 1
        patch = {"metadata": {"resourceVersion": str(pool.version)}, "status": {"lastJobNumber": number}}
        self._world.wrote(Kind.POOL, await self._cluster.merge(Kind.POOL, pool.name, patch, subresource="status"))
        manifest = worker_job(pool, self._image, number, isolated_for)
        try:
            body = await self._cluster.create(Kind.JOB, manifest)
        except AlreadyExists:
            return
        self._times.born(body["metadata"]["name"], self._clock())
        self._world.wrote(Kind.JOB, body)
        log.info("job_created", job=manifest["metadata"]["name"], pool=pool.name, isolated_for=isolated_for)

    async def _refresh_pool(self, name: str) -> None:
        try:
            body = await self._cluster.get(Kind.POOL, name)
        except ClusterError as error:
            log.warning("tick_postponed", pool=name, error=str(error))
            return
        known = self._world.pools.get(name)
        if body is not None:
            self._world.wrote(Kind.POOL, body)
        elif known is not None:
            self._world.pools.lose(name, known.uid)
        self.mind(name)

    async def _without_pool(self, name: str, now: datetime) -> None:
        message = f"There is no MediaWorkerPool named {name}; create it, and the asset is processed."
        waiting = [self._world.assets[asset] for asset in self._world.index.waiting.get(name, ())]
        await self._explain_to(waiting, Reason.POOL_MISSING, message, now)

    async def _explain(self, pool: MediaWorkerPool, seen: Snapshot, binding: set[str], now: datetime) -> None:
        """Now and then, tell the assets that could be bound but are not what they wait for."""
        if now - self._explained.get(pool.name, now - EXPLAIN_EVERY) < EXPLAIN_EVERY:
            return
        self._explained[pool.name] = now
        reason, message = waits_because(seen, now)
        waiting = [
            self._world.assets[asset.name]
            for asset in sorted(seen.waiting, key=lambda asset: asset.created)
            if asset.name not in binding and (asset.not_before is None or asset.not_before <= now)
        ]
        await self._explain_to(waiting, reason, message, now)

    async def _explain_to(self, waiting: list[MediaAsset], reason: Reason, message: str, now: datetime) -> None:
        told = 0
        for asset in waiting:
            status = asset.status
            if status is None or status.reason == reason.value or status.assigned_job:
                continue
            since = status.succeeded.last_transition_time if status.succeeded else now
            if reason is not Reason.POOL_MISSING and now - since < EXPLAIN_EVERY:
                continue
            await self._write(asset, status.because(Truth.UNKNOWN, reason, message, now))
            told += 1
            if told >= EXPLAINED_AT_ONCE:
                return

    async def _tell_status(self, name: str, seen: Snapshot, now: datetime) -> None:
        """Write the pool's status where it changed; mere movement of the numbers at most once a second."""
        pool = self._world.pools.get(name)
        if pool is None:
            return
        status = self.status(pool, seen, now)
        _measure(name, seen, status, now)
        old = pool.status
        ignored = {"backlog_time", "last_job_number"}
        if status.model_dump(exclude=ignored) == old.model_dump(exclude=ignored):
            fresh = old.backlog_time is not None and now - old.backlog_time < timedelta(seconds=30)
            if fresh:
                return
        if now - self._pending_status.get(name, now - timedelta(hours=1)) < timedelta(seconds=IDLE_TICK_SECONDS):
            return
        self._pending_status[name] = now
        told = {key: value for key, value in status.to_json().items() if key != "lastJobNumber"}
        patch = {"metadata": {"resourceVersion": str(pool.version)}, "status": told}
        self._world.wrote(Kind.POOL, await self._cluster.merge(Kind.POOL, name, patch, subresource="status"))

    def status(self, pool: MediaWorkerPool, seen: Snapshot, now: datetime) -> PoolStatus:
        """The pool's status as the caches have it. With storage failing the backlog stays as it was (F10)."""
        unborn = self._unborn() if pool.name == "default" else []
        live = [self._world.assets[asset.name] for asset in seen.waiting]
        running = [self._world.assets[name] for seat in seen.seats for name in seat.bound]
        due = [asset for asset in live if not _backs_off(asset, now)]
        work = [(asset.spec.asset_type, asset.spec.source.size_bytes) for asset in (*due, *running)] + unborn
        seconds = pool.status.backlog_seconds if seen.degraded else backlog_seconds(work, pool.spec.concurrency)
        return pool.status.model_copy(
            update={
                "observed_generation": pool.metadata.generation,
                "replicas": max(pool.spec.replicas, len(seen.seats)),
                "jobs": len(seen.seats),
                "busy": len(running),
                "queued": len(live) + len(unborn),
                "backlog_seconds": seconds,
                "backlog_time": datetime.fromisoformat(timestamp(now)),
                "selector": f"{POOL_LABEL}={pool.name}",
                "conditions": _conditions(pool, seen, self._fruitless(pool.name), now),
            }
        )


def _waiting(asset: MediaAsset) -> Waiting:
    status = asset.status
    created = asset.metadata.creation_timestamp
    if status is None or created is None:
        raise AssertionError(f"{asset.name} waits, so it has a status and an age")
    return Waiting(
        name=asset.name,
        owner=asset.spec.owner,
        priority=asset.spec.priority,
        created=created,
        not_before=status.not_before,
        isolated=status.isolated,
    )


def _backs_off(asset: MediaAsset, now: datetime) -> bool:
    return asset.status is not None and asset.status.not_before is not None and asset.status.not_before > now


def _conditions(pool: MediaWorkerPool, seen: Snapshot, vain: Fruitless | None, now: datetime) -> tuple[Condition, ...]:
    generation = pool.metadata.generation
    stuck = sorted(seat.job for seat in seen.seats if is_stuck(seat, now))
    conditions = pool.status.conditions

    def put(type_: ConditionType, truth: bool, reason: Reason, message: str) -> None:
        nonlocal conditions
        status = Truth.TRUE if truth else Truth.FALSE
        conditions = with_condition(conditions, type_, status, reason, message, now, generation)

    trouble: tuple[Reason, str] | None = None
    if stuck:
        message = (
            f"{', '.join(stuck[:3])} had no ready pod within {STUCK_AFTER.total_seconds():.0f} s; "
            f"`kubectl describe pod -l {POOL_LABEL}={pool.name}` says why. No further workers are started."
        )
        trouble = Reason.WORKERS_STUCK, message
    elif vain is not None and vain.count >= FRUITLESS_IS_STUCK:
        message = (
            f"The last {vain.count} workers ended before they finished anything: {vain.why or 'they crashed.'} "
            f"`kubectl logs -l {POOL_LABEL}={pool.name} -c worker` says why. The next is started later and later."
        )
        trouble = Reason.WORKER_CRASHED, message
    put(ConditionType.WORKERS_STUCK, trouble is not None, *(trouble or (Reason.WORKING, "Workers start.")))
    if seen.degraded:
        message = "Object storage failed workers within the last minute; no further workers are started."
        put(ConditionType.DEGRADED, True, Reason.STORAGE_UNAVAILABLE, message)
    else:
        put(ConditionType.DEGRADED, False, Reason.WORKING, "Object storage answers.")
    if pool.spec.paused:
        put(ConditionType.READY, False, Reason.POOL_PAUSED, "Nothing new is bound while spec.paused is true.")
    elif trouble is not None:
        put(ConditionType.READY, False, *trouble)
    elif seen.degraded:
        put(ConditionType.READY, False, Reason.POOL_DEGRADED, "Object storage does not answer well.")
    elif seen.waiting or any(seat.bound for seat in seen.seats):
        put(ConditionType.READY, True, Reason.WORKING, "Assets are being processed.")
    else:
        put(ConditionType.READY, True, Reason.IDLE, "There is nothing to do.")
    return conditions


def _measure(name: str, seen: Snapshot, status: PoolStatus, now: datetime) -> None:
    metrics.BACKLOG_SECONDS.labels(name).set(status.backlog_seconds)
    metrics.QUEUED.labels(name).set(status.queued)
    metrics.BUSY.labels(name).set(status.busy)
    metrics.JOBS.labels(name).set(status.jobs)
    metrics.STUCK.labels(name).set(holds(status.conditions, ConditionType.WORKERS_STUCK))
    metrics.DEGRADED.labels(name).set(seen.degraded)
    oldest = min((asset.created for asset in seen.waiting), default=now)
    metrics.OLDEST_WAITING.labels(name).set((now - oldest).total_seconds())

"""The pools' loop: a snapshot of a pool, the core's decision, its actions, and the pool's status.

One tick at a time, so that no decision is taken while the writes of the one before are under way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from media_core.backlog import Volume
from media_core.conditions import ConditionType, holds
from media_core.containers import WorkerImage
from media_core.jobs import WorkerJob, fruitless
from media_core.manifests import template_hash, worker_job
from media_core.pool import MediaWorkerPool, PoolStatus, pool_for, pool_of
from media_core.pool_status import pool_status
from media_core.reasons import Reason
from media_core.scheduling import Action, Bind, CreateJob, Release, Retire, Snapshot, Waiting, most_bound, schedule
from media_core.statuses import bound, released
from media_operator import metrics
from media_operator.adapters.cluster import AlreadyExists, Cluster, ClusterError, Conflict, Kind, NotFound
from media_operator.cache import bound_to, waits
from media_operator.events import Events
from media_operator.explaining import Explaining
from media_operator.seats import SeatTimes
from media_operator.world import World
from media_operator.writing import StatusWriting

log = structlog.get_logger()

TICK_SECONDS = 0.05
IDLE_TICK_SECONDS = 1.0
LOOK_OVER_EVERY = timedelta(seconds=IDLE_TICK_SECONDS)
DEGRADED_FOR = timedelta(seconds=60)


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
        unborn: Callable[[], list[Volume]] = list,
    ) -> None:
        """`unborn()` gives the volume of confirmed uploads that have no object yet."""
        self._world, self._cluster, self._events, self._image = world, cluster, events, image
        self._clock, self._unborn = clock, unborn
        self._times = SeatTimes()
        self._writing = StatusWriting(world, cluster)
        self._explaining = Explaining(world, self._writing)
        self._degraded_until: dict[str, datetime] = {}
        self._looked_over: dict[str, datetime] = {}
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
                lines = self._world.index.lines
                names |= {name for name, line in lines.items() if line and name not in self._world.pools}
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
            _measure_no_more(name)
            await self._explaining.without_pool(name, now)
            return
        seen = self.snapshot(pool, now)
        actions = schedule(seen, now)
        binds = [action for action in actions if isinstance(action, Bind)]
        for action in actions:
            if isinstance(action, Release | Retire):
                await self.apply(name, action)
        await asyncio.gather(*(self.apply(name, action) for action in binds))
        for action in actions:
            if isinstance(action, CreateJob):
                await self.apply(name, action)
        await self._explaining.explain(pool.name, seen, {action.asset for action in binds}, now)
        await self._tell_status(name, seen, now)

    async def apply(self, pool: str, action: Action) -> None:
        """Carry out one decision, as far as what the cache has by now still calls for it."""
        match action:
            case Release(job, reason, message):
                await self._release(job, reason, message)
            case Retire(job):
                await self._retire(job)
            case Bind():
                await self._bind(action)
            case CreateJob(isolated_for):
                await self._create_job(pool, isolated_for)
            case _:
                assert_never(action)

    def snapshot(self, pool: MediaWorkerPool, now: datetime) -> Snapshot:
        """The pool as the caches have it."""
        world = self._world
        jobs = [job for job in world.jobs if job.pool == pool.name]
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
            if not job.over
        ]
        line = world.index.lines[pool.name]
        owners = Counter(owner for seat in seats if seat.isolated_for is None for owner in seat.bound_owners)
        waiting = [*line.alone(), *line.first(most_bound(pool.spec), owners, now)]
        degraded = now < self._degraded_until.get(pool.name, now)
        vain = fruitless(jobs, lambda job: world.index.settled_by[job] > 0)
        return Snapshot(pool.spec, waiting, seats, degraded, vain, beyond=len(line) - len(waiting))

    def _last_completion(self, job: str) -> datetime | None:
        times = [
            asset.status.completion_time
            for asset in self._world.assets
            if asset.status and asset.status.assigned_job == job and asset.status.completion_time
        ]
        return max(times, default=None)

    async def _bind(self, action: Bind) -> None:
        asset = self._world.assets.get(action.asset)
        if asset is None or asset.status is None or not waits(asset):
            return
        status = bound(asset.status, action.job, self._clock())
        if await self._writing.replace(asset, status):
            metrics.BINDS.labels(pool_of(asset.spec)).inc()
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
            asset = self._world.assets.get(name)
            if asset is None or bound_to(asset) != job:
                continue  # while another was written, its worker ended it, or somebody deleted it
            if asset.status is not None and await self._writing.replace(
                asset, released(asset.status, reason, message, self._clock())
            ):
                metrics.RELEASES.labels(reason.value).inc()
                self._events.tell(asset, "Released", message)

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

    async def _tell_status(self, name: str, seen: Snapshot, now: datetime) -> None:
        """Count the pool, and write its status where it changed: once a second, since it looks at all assets."""
        pool = self._world.pools.get(name)
        if pool is None or now - self._looked_over.get(name, now - timedelta(hours=1)) < LOOK_OVER_EVERY:
            return
        self._looked_over[name] = now
        waiting = list(self._world.index.lines[name])
        status = self._status(pool, seen, waiting, now)
        _measure(name, seen, status, waiting, now)
        old = pool.status
        ignored = {"backlog_time", "last_job_number"}
        if status.model_dump(exclude=ignored) == old.model_dump(exclude=ignored):
            fresh = old.backlog_time is not None and now - old.backlog_time < timedelta(seconds=30)
            if fresh:
                return
        told = {key: value for key, value in status.to_json().items() if key != "lastJobNumber"}
        patch = {"metadata": {"resourceVersion": str(pool.version)}, "status": told}
        self._world.wrote(Kind.POOL, await self._cluster.merge(Kind.POOL, name, patch, subresource="status"))

    def _status(self, pool: MediaWorkerPool, seen: Snapshot, waiting: Sequence[Waiting], now: datetime) -> PoolStatus:
        due = {asset.name for asset in waiting if asset.due(now)}
        names = due.union(*(seat.bound for seat in seen.seats))
        specs = [asset.spec for name in names if (asset := self._world.assets.get(name)) is not None]
        work = [Volume(spec.asset_type, 1, spec.source.size_bytes) for spec in specs]
        unborn = [volume for volume in self._unborn() if pool_for(volume.asset_type) == pool.name]
        return pool_status(pool, seen, work, unborn, now)


OF_A_POOL = (
    metrics.BACKLOG_SECONDS,
    metrics.QUEUED,
    metrics.BUSY,
    metrics.JOBS,
    metrics.STUCK,
    metrics.DEGRADED,
    metrics.OLDEST_WAITING,
)


def _measure(name: str, seen: Snapshot, status: PoolStatus, waiting: Sequence[Waiting], now: datetime) -> None:
    metrics.BACKLOG_SECONDS.labels(name).set(status.backlog_seconds)
    metrics.QUEUED.labels(name).set(status.queued)
    metrics.BUSY.labels(name).set(status.busy)
    metrics.JOBS.labels(name).set(status.jobs)
    metrics.STUCK.labels(name).set(holds(status.conditions, ConditionType.WORKERS_STUCK))
    metrics.DEGRADED.labels(name).set(seen.degraded)
    oldest = min((asset.created for asset in waiting), default=now)
    metrics.OLDEST_WAITING.labels(name).set((now - oldest).total_seconds())


def _measure_no_more(name: str) -> None:
    """Else a pool that is gone would be shown, and alerted about, as it was last."""
    for gauge in OF_A_POOL:
        gauge.remove(name)

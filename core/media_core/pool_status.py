"""What a pool says of itself: numbers for the HPA and for people, and conditions that say what to do.

A pure function of the same snapshot that the scheduler decides on.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from media_core.backlog import Volume, backlog_seconds
from media_core.conditions import Condition, ConditionType, Truth, with_condition
from media_core.names import POOL_LABEL
from media_core.pool import MediaWorkerPool, PoolStatus
from media_core.reasons import Reason
from media_core.scheduling import STUCK_AFTER, Snapshot, is_stuck

FRUITLESS_IS_STUCK = 3
"""So many workers in a row that ended without finishing anything are the pool's trouble, not the assets'."""


def pool_status(
    pool: MediaWorkerPool, seen: Snapshot, work: Sequence[Volume], unborn: Sequence[Volume], now: datetime
) -> PoolStatus:
    """`work` is due or running, `unborn` confirmed but no object yet. While storage fails the backlog stays (F10)."""
    seconds = backlog_seconds([*work, *unborn], pool.spec.concurrency)
    return pool.status.model_copy(
        update={
            "observed_generation": pool.metadata.generation,
            "replicas": max(pool.spec.replicas, len(seen.seats)),
            "jobs": len(seen.seats),
            "busy": sum(len(seat.bound) for seat in seen.seats),
            "queued": seen.queued + sum(volume.assets for volume in unborn),
            "backlog_seconds": pool.status.backlog_seconds if seen.degraded else seconds,
            "backlog_time": now.replace(microsecond=0),
            "selector": f"{POOL_LABEL}={pool.name}",
            "conditions": _conditions(pool, seen, now),
        }
    )


def _conditions(pool: MediaWorkerPool, seen: Snapshot, now: datetime) -> tuple[Condition, ...]:
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
    elif seen.vain is not None and seen.vain.count >= FRUITLESS_IS_STUCK:
        vain = seen.vain
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
    elif seen.queued or any(seat.bound for seat in seen.seats):
        put(ConditionType.READY, True, Reason.WORKING, "Assets are being processed.")
    else:
        put(ConditionType.READY, True, Reason.IDLE, "There is nothing to do.")
    return conditions

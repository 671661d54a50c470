"""What a pool says of itself, for the HPA and for people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from media_core.asset import AssetType
from media_core.backlog import Volume
from media_core.conditions import Condition, ConditionType, Truth, find
from media_core.jobs import Fruitless
from media_core.pool import MediaWorkerPool, PoolStatus
from media_core.pool_status import pool_status
from media_core.scheduling import Snapshot
from support.build import NOW, a_pool, a_seat, a_starting_seat, a_waiting, ago

IMAGES = [Volume(AssetType.IMAGE, 1, 1_000_000)] * 10
"""Ten of 0.18 s each."""


def told(pool: MediaWorkerPool, *, vain: Fruitless | None = None, **snapshot: Any) -> PoolStatus:
    """The status of a pool with ten images due and none unborn."""
    seen = Snapshot(**{"spec": pool.spec, "waiting": (), "seats": (), "vain": vain, **snapshot})
    return pool_status(pool, seen, IMAGES, [], NOW)


def condition(status: PoolStatus, type_: ConditionType) -> Condition:
    found = find(status.conditions, type_)
    assert found is not None
    return found


def test_numbers_are_those_of_the_snapshot() -> None:
    pool = a_pool(replicas=2, concurrency=2)
    seats = [a_seat("j1", bound=("a", "b"), bound_owners=("o", "o")), a_seat("j2")]
    seen = Snapshot(pool.spec, [a_waiting("c")], seats)
    status = pool_status(pool, seen, IMAGES, [Volume(AssetType.IMAGE, 5, 5_000_000)], NOW)
    assert (status.replicas, status.jobs, status.busy, status.queued) == (2, 2, 2, 6)
    assert status.backlog_seconds == 2, "15 images of 0.18 s by two at once, rounded up"
    assert status.backlog_time == NOW.replace(microsecond=0)
    assert status.selector == "media.docfliq.com/pool=default"


def test_replicas_are_never_fewer_than_the_jobs_that_are_left_after_scaling_down() -> None:
    pool = a_pool(replicas=0)
    assert told(pool, seats=[a_seat("j1"), a_seat("j2")]).replicas == 2


@pytest.mark.failure("F10")
def test_while_storage_fails_the_backlog_stays_as_it_was() -> None:
    pool = a_pool()
    before = pool.model_copy(update={"status": PoolStatus(backlog_seconds=77)})
    status = told(before, degraded=True)
    assert status.backlog_seconds == 77
    assert condition(status, ConditionType.DEGRADED).status is Truth.TRUE


STUCK = a_starting_seat("j1", created=ago(40), unready_since=ago(31))
CRASHING = Fruitless(3, NOW + timedelta(seconds=8), "exit code 1.")


@pytest.mark.parametrize(
    ("pool", "snapshot", "vain", "ready", "reason"),
    [
        pytest.param(a_pool(), {}, None, Truth.TRUE, "Idle", id="nothing to do"),
        pytest.param(a_pool(), {"waiting": [a_waiting("a")]}, None, Truth.TRUE, "Working", id="something waits"),
        pytest.param(
            a_pool(), {"seats": [a_seat("j", bound=("a",))]}, None, Truth.TRUE, "Working", id="something is bound"
        ),
        pytest.param(a_pool(paused=True), {"seats": [STUCK]}, None, Truth.FALSE, "PoolPaused", id="paused is first"),
        pytest.param(a_pool(), {"seats": [STUCK]}, None, Truth.FALSE, "WorkersStuck", id="a Job does not start"),
        pytest.param(a_pool(), {}, CRASHING, Truth.FALSE, "WorkerCrashed", id="three workers in a row ended in vain"),
        pytest.param(a_pool(), {}, Fruitless(2, NOW, ""), Truth.TRUE, "Idle", id="two in a row prove nothing yet"),
        pytest.param(a_pool(), {"degraded": True}, None, Truth.FALSE, "PoolDegraded", id="storage fails"),
    ],
)
def test_ready_sums_up_what_is_going_on(
    pool: MediaWorkerPool, snapshot: dict[str, Any], vain: Fruitless | None, ready: Truth, reason: str
) -> None:
    status = told(pool, vain=vain, **snapshot)
    summary = condition(status, ConditionType.READY)
    assert (summary.status, summary.reason) == (ready, reason)


def test_what_is_wrong_with_workers_is_said_with_the_command_that_shows_it() -> None:
    assert "kubectl describe pod" in condition(told(a_pool(), seats=[STUCK]), ConditionType.WORKERS_STUCK).message
    message = condition(told(a_pool(), vain=CRASHING), ConditionType.WORKERS_STUCK).message
    assert "kubectl logs" in message
    assert "exit code 1." in message

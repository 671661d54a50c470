"""A tick decides on a snapshot and writes later: after other writes, or after a pause of any length.

What has changed in between counts. The cluster here is the one method a write needs, and can let things happen
while it is under way.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY

from media_core.asset import AssetStatus, MediaAsset
from media_core.reasons import Reason
from media_core.scheduling import Bind, Release
from media_core.shape import timestamp
from media_operator.adapters.cluster import Cluster, Kind
from media_operator.events import Events
from media_operator.explaining import Explaining
from media_operator.scheduler import Scheduler
from media_operator.world import World
from media_operator.writing import StatusWriting
from support.build import (
    JOB,
    NOW,
    a_job_body,
    a_pool,
    a_pool_body,
    a_snapshot,
    a_status,
    a_waiting,
    ago,
    an_asset,
    an_asset_body,
    an_id,
    an_image,
    completed,
    failed,
    in_,
    processing,
)

JSON = dict[str, Any]


class Written:
    """Takes status writes, remembers whose they were, and lets `meanwhile` happen during the first of them."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.assets: list[str] = []
        self.meanwhile = meanwhile
        self.namespace = "media"

    async def replace_status(self, kind: Kind, body: JSON) -> JSON:
        self.assets.append(body["metadata"]["name"])
        if len(self.assets) == 1:
            self.meanwhile()
        version = str(int(body["metadata"]["resourceVersion"]) + 1)
        born = {"creationTimestamp": timestamp(ago(600))}  # as the API server answers, whatever was sent
        return {**body, "metadata": {**body["metadata"], **born, "resourceVersion": version}}

    async def get(self, kind: Kind, name: str) -> JSON | None:
        return None


def a_world(*assets: MediaAsset) -> World:
    world = World()
    world.take(Kind.POOL, None, a_pool_body(a_pool()))
    world.take(Kind.JOB, None, a_job_body())
    for asset in assets:
        world.take(Kind.ASSET, None, an_asset_body(asset))
    world.complete = True
    return world


def becomes(world: World, name: str, status: AssetStatus) -> None:
    """Somebody writes that status, and the operator hears of it."""
    world.take(Kind.ASSET, "MODIFIED", an_asset_body(an_asset(name, status, version=50)))


def vanishes(world: World, name: str) -> None:
    world.take(Kind.ASSET, "DELETED", an_asset_body(an_asset(name, version=50)))


def a_scheduler(world: World, written: Written) -> Scheduler:
    cluster = cast(Cluster, written)
    return Scheduler(world, cluster, Events(cluster), an_image(), clock=lambda: NOW)


async def test_who_waited_when_the_tick_began_and_is_completed_by_now_is_not_told_that_it_waits() -> None:
    world, written = a_world(an_asset("a", a_status()), an_asset("b", a_status())), Written()
    seen = a_snapshot([a_waiting(an_id("a")), a_waiting(an_id("b"))])
    becomes(world, "a", completed())

    explaining = Explaining(world, StatusWriting(world, cast(Cluster, written)))
    await explaining.explain("default", seen, set(), in_(60))

    assert written.assets == [an_id("b")]


async def test_who_waited_when_the_tick_began_and_is_gone_by_now_does_not_stop_the_tick() -> None:
    world, written = a_world(an_asset("a", a_status()), an_asset("b", a_status())), Written()
    seen = a_snapshot([a_waiting(an_id("a")), a_waiting(an_id("b"))])
    vanishes(world, "a")

    explaining = Explaining(world, StatusWriting(world, cast(Cluster, written)))
    await explaining.explain("default", seen, set(), in_(60))

    assert written.assets == [an_id("b")]


@pytest.mark.parametrize(
    ("pool", "waited", "told"),
    [
        pytest.param({}, 20, False, id="that all workers are busy is not told to who is bound within seconds"),
        pytest.param({}, 40, True, id="it is told to who goes on waiting"),
        pytest.param({"replicas": 0}, 6, True, id="that there are no workers is told soon"),
        pytest.param({"paused": True}, 6, True, id="that the pool is paused is told soon"),
    ],
)
async def test_who_waits_is_told_why(pool: dict[str, Any], waited: float, told: bool) -> None:
    world, written = a_world(an_asset("a", a_status())), Written()
    explaining = Explaining(world, StatusWriting(world, cast(Cluster, written)))
    since = ago(60)  # of what `a_status` says
    await explaining.explain("default", a_snapshot(**pool), set(), since + timedelta(seconds=waited))
    assert bool(written.assets) is told


async def test_what_its_worker_completes_while_others_of_the_job_are_released_stays_completed() -> None:
    names = ["a", "b", "c"]
    world = a_world(*(an_asset(name, processing()) for name in names))
    written = Written()

    def meanwhile() -> None:
        for name in names:
            if an_id(name) not in written.assets:
                becomes(world, name, completed())

    written.meanwhile = meanwhile
    scheduler = a_scheduler(world, written)
    await scheduler.apply("default", Release(JOB, Reason.RELEASED, "Its worker does not answer."))

    assert len(written.assets) == 1
    done = [name for name in names if an_id(name) not in written.assets]
    for name in done:
        status = world.assets[an_id(name)].status
        assert status is not None
        assert status.reason == Reason.COMPLETED


async def test_what_vanishes_while_others_of_the_job_are_released_does_not_stop_the_release() -> None:
    names = ["a", "b", "c"]
    world = a_world(*(an_asset(name, processing()) for name in names))
    written = Written()

    def meanwhile() -> None:
        vanishes(world, next(name for name in names if an_id(name) not in written.assets))

    written.meanwhile = meanwhile
    await a_scheduler(world, written).apply("default", Release(JOB, Reason.RELEASED, "Its worker does not answer."))

    assert len(written.assets) == 2


async def test_what_failed_without_a_worker_since_the_tick_began_is_not_bound() -> None:
    world, written = a_world(an_asset("a", a_status())), Written()
    becomes(world, "a", failed(Reason.FOREIGN_SOURCE))

    await a_scheduler(world, written).apply("default", Bind(an_id("a"), JOB))

    assert written.assets == []


class PoolWritten(Written):
    """Takes the status of a pool as well."""

    async def merge(self, kind: Kind, name: str, patch: JSON, *, subresource: str) -> JSON:
        return a_pool_body(a_pool())


async def test_a_pool_that_is_gone_is_measured_no_more() -> None:
    world = World()
    world.take(Kind.POOL, None, a_pool_body(a_pool()))
    scheduler = a_scheduler(world, PoolWritten())

    def shown() -> set[str]:
        return {
            metric.name
            for metric in REGISTRY.collect()
            for sample in metric.samples
            if sample.labels.get("pool") == "default"
            and metric.type == "gauge"
            and not sample.name.endswith("_created")
        }

    await scheduler.tick("default")
    assert {"media_backlog_seconds", "media_workers_stuck", "media_pool_degraded"} <= shown()
    world.take(Kind.POOL, "DELETED", a_pool_body(a_pool()))
    await scheduler.tick("default")
    assert shown() == set()

"""Faults of the embedded cluster, and that clients get over them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import kopf
import pytest

from conftest import CRDS
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.embedded.faults import Effect
from support.apiobjects import media_asset
from support.deadlines import eventually
from support.wire import Wire

ASSETS = "/apis/media.docfliq.com/v1alpha1/namespaces/default/mediaassets"
Seen = list[tuple[str | None, str]]


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[EmbeddedCluster]:
    """A cluster that may be disturbed."""
    async with EmbeddedCluster(CRDS, tmp_path, bookmark_seconds=0.2, history=50) as cluster:
        yield cluster


@pytest.fixture
async def wire(cluster: EmbeddedCluster) -> AsyncIterator[Wire]:
    async with aiohttp.ClientSession() as session:
        yield Wire(session, cluster.url)


async def test_too_many_requests_says_when_to_come_back(cluster: EmbeddedCluster, wire: Wire) -> None:
    fault = cluster.faults.add(Effect.TOO_MANY_REQUESTS, verbs=["list"], times=2, seconds=3)
    answers = [await wire.get(ASSETS) for _ in range(3)]
    assert [answer.code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "3"
    assert fault.hits == 2


async def test_a_fault_touches_only_what_it_matches(cluster: EmbeddedCluster, wire: Wire) -> None:
    await wire.create(ASSETS, media_asset("a"))
    cluster.faults.add(Effect.SERVER_ERROR, verbs=["patch"], resource="mediaassets", subresource="status")
    status = {"status": {"phase": "Pending"}}
    assert (await wire.merge(f"{ASSETS}/a/status", status)).code == 500
    assert (await wire.merge(f"{ASSETS}/a", {"spec": {"priority": 1}})).code == 200
    assert (await wire.get(f"{ASSETS}/a/status")).code == 200


async def test_a_fault_ends_when_its_time_is_up(cluster: EmbeddedCluster, wire: Wire) -> None:
    cluster.faults.add(Effect.SERVER_ERROR, lasting=0.2)
    assert (await wire.get(ASSETS)).code == 500

    async def answers() -> bool:
        return (await wire.get(ASSETS)).code == 200

    await eventually(answers)


async def test_latency_delays_an_answer(cluster: EmbeddedCluster, wire: Wire) -> None:
    cluster.faults.add(Effect.LATENCY, seconds=0.3, times=1)
    began = time.monotonic()
    assert (await wire.get(ASSETS)).code == 200
    assert time.monotonic() - began >= 0.3


async def test_a_closed_connection_does_not_carry_the_request_out(cluster: EmbeddedCluster, wire: Wire) -> None:
    cluster.faults.add(Effect.CLOSE, verbs=["create"], times=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await wire.create(ASSETS, media_asset("a"))
    assert (await wire.get(f"{ASSETS}/a")).code == 404


async def test_a_lost_answer_belongs_to_a_request_that_was_carried_out(cluster: EmbeddedCluster, wire: Wire) -> None:
    cluster.faults.add(Effect.LOSE_ANSWER, verbs=["create"], times=1)
    with pytest.raises(aiohttp.ClientConnectionError):
        await wire.create(ASSETS, media_asset("a"))
    assert (await wire.get(f"{ASSETS}/a")).code == 200


async def test_a_server_that_is_down_answers_nobody(cluster: EmbeddedCluster, wire: Wire) -> None:
    async with wire.watch(ASSETS) as stream:
        cluster.faults.go_down()
        with pytest.raises(aiohttp.ClientError):
            await stream.next()
    with pytest.raises(aiohttp.ClientConnectionError):
        await wire.get(ASSETS)
    cluster.faults.come_back()
    assert (await wire.get(ASSETS)).code == 200


async def test_a_dropped_watch_breaks_off(cluster: EmbeddedCluster, wire: Wire) -> None:
    async with wire.watch(ASSETS) as stream:
        assert cluster.faults.drop_watches("mediaassets") == 1
        with pytest.raises(aiohttp.ClientError):
            await stream.next()


async def test_a_silent_watch_stays_open_and_says_nothing(cluster: EmbeddedCluster, wire: Wire) -> None:
    bookmarks = {"allowWatchBookmarks": "true"}
    async with wire.watch(ASSETS, **bookmarks) as before:
        fault = cluster.faults.add(Effect.SILENT_WATCH, resource="mediaassets")
        async with wire.watch(ASSETS, **bookmarks) as during:
            await wire.create(ASSETS, media_asset("a"))
            for stream in (before, during):
                with pytest.raises(TimeoutError):
                    await stream.next(seconds=0.5)
        cluster.faults.remove(fault)
        async with wire.watch(ASSETS) as after:
            assert await after.take(1) == [("ADDED", "a")]


async def test_bookmarks_tell_a_quiet_watcher_where_it_is(cluster: EmbeddedCluster, wire: Wire) -> None:
    async with wire.watch(ASSETS, allowWatchBookmarks="true") as stream:
        path = "/api/v1/namespaces/default/configmaps"
        elsewhere = (await wire.create(path, {"metadata": {"name": "a"}})).body["metadata"]["resourceVersion"]

        async def told() -> bool:
            event = await stream.next()
            assert event is not None
            assert event["type"] == "BOOKMARK"
            return int(event["object"]["metadata"]["resourceVersion"]) >= int(elsewhere)

        await eventually(told)


async def test_after_a_compaction_an_older_version_is_expired(cluster: EmbeddedCluster, wire: Wire) -> None:
    version = (await wire.get(ASSETS)).body["metadata"]["resourceVersion"]
    cluster.faults.compact()
    async with wire.watch(ASSETS, resourceVersion=version) as stream:
        event = await stream.next()
        assert event is not None
        assert event["object"]["code"] == 410


async def test_history_is_bounded_and_what_it_has_lost_is_expired(cluster: EmbeddedCluster, wire: Wire) -> None:
    await wire.create(ASSETS, media_asset("a"))
    version = (await wire.get(ASSETS)).body["metadata"]["resourceVersion"]
    for number in range(60):
        await wire.merge(f"{ASSETS}/a", {"spec": {"priority": number + 1}})
    async with wire.watch(ASSETS, resourceVersion=version) as stream:
        event = await stream.next()
        assert event is not None
        assert event["object"]["reason"] == "Expired"


async def test_a_page_that_is_asked_for_after_a_compaction_is_expired(cluster: EmbeddedCluster, wire: Wire) -> None:
    for name in ("a", "b"):
        await wire.create(ASSETS, media_asset(name))
    token = (await wire.get(ASSETS, limit="1")).body["metadata"]["continue"]
    cluster.faults.compact()
    answer = await wire.get(ASSETS, limit="1", **{"continue": token})
    assert (answer.code, answer.reason) == (410, "Expired")


async def test_faults_are_switched_over_http(cluster: EmbeddedCluster, wire: Wire) -> None:
    order = {"add": [{"effect": "serverError", "resource": "mediaassets", "times": 1}]}
    assert (await wire.create("/_faults", order)).body["rules"][0]["effect"] == "serverError"
    assert (await wire.get(ASSETS)).code == 500
    assert (await wire.get(ASSETS)).code == 200
    await wire.create("/_faults", {"down": True})
    with pytest.raises(aiohttp.ClientConnectionError):
        await wire.get(ASSETS)
    await wire.delete("/_faults")
    assert (await wire.get(ASSETS)).code == 200


async def test_an_order_that_is_not_known_is_refused(wire: Wire) -> None:
    assert (await wire.create("/_faults", {"explode": True})).code == 400
    assert (await wire.create("/_faults", {"add": [{"effect": "explode"}]})).code == 400


@contextlib.asynccontextmanager
async def informer(url: str) -> AsyncIterator[Seen]:
    """Kopf in a thread and loop of its own; yields what it hands over."""
    seen: Seen = []
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.watching.reconnect_backoff = 0.05
    settings.watching.inactivity_timeout = 1.0
    settings.networking.error_backoffs = [0.05] * 100

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=url)

    @kopf.on.event("media.docfliq.com", "v1alpha1", "mediaassets", registry=registry)
    async def handle(type: str | None, name: str, **_: Any) -> None:
        seen.append((type, name))

    stop = threading.Event()

    def run() -> None:
        operator = kopf.operator(registry=registry, settings=settings, namespaces=["default"], stop_flag=stop)
        asyncio.run(operator)

    thread = threading.Thread(target=run, name="kopf")
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()


@pytest.mark.parametrize("trouble", ["dropped watches", "compaction", "silence", "outage", "throttling"])
async def test_kopf_gets_over(cluster: EmbeddedCluster, wire: Wire, trouble: str) -> None:
    faults = cluster.faults
    await wire.create(ASSETS, media_asset("before"))
    async with informer(cluster.url) as seen:
        await eventually(lambda: (None, "before") in seen)
        match trouble:
            case "dropped watches":
                faults.drop_watches()
            case "compaction":
                faults.compact()
                faults.drop_watches()
            case "silence":
                await eventually(lambda: faults.watches)
                faults.add(Effect.SILENT_WATCH, verbs=["watch"], resource="mediaassets", times=1)
            case "outage":
                faults.go_down()
                cluster.registry.create(
                    cluster.registry.catalog.get("media.docfliq.com", "v1alpha1", "mediaassets"),
                    "default",
                    media_asset("meanwhile"),
                )
                faults.come_back()
            case _:
                faults.add(Effect.TOO_MANY_REQUESTS, resource="mediaassets", times=2, seconds=0)
                faults.drop_watches()
        name = f"after-{uuid.uuid4().hex[:6]}"
        await eventually(lambda: _created(wire, name))
        await eventually(lambda: name in {one for _, one in seen})


async def _created(wire: Wire, name: str) -> bool:
    return (await wire.create(ASSETS, media_asset(name))).code in (201, 409)

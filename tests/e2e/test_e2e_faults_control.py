"""Rows of the failure table that begin with what the work depends on: leader, API server, PostgreSQL, object storage.

Each is taken away while a worker has something in hand, for real: processes are killed or stopped on the node.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_devcluster import token
from media_devcluster.client import PREFIX
from media_devcluster.guessing import look_at
from media_devcluster.objectstore import S3
from support.deadlines import eventually
from support.held_work import (
    RENDITIONS,
    SMALL,
    Object,
    completed_once,
    held,
    one_at_a_time,
    pods_run,
    ready_again,
    slow_picture,
    stopped,
)
from support.site import Site

TAKEOVER_SECONDS = 20.0
OUTAGE_SECONDS = 30.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module", autouse=True)
async def one_worker(site: Site) -> AsyncIterator[None]:
    async with one_at_a_time(site):
        yield


@pytest.fixture(autouse=True)
async def all_well(site: Site, one_worker: None) -> AsyncIterator[None]:
    await ready_again(site)
    yield
    await ready_again(site)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slow_picture(tmp_path_factory.mktemp("pictures"))


@dataclass(frozen=True)
class Answer:
    """What the REST API said; status 0 where it said nothing."""

    status: int
    headers: dict[str, str]
    json: Any
    seconds: float


# -- the leader --


@pytest.mark.failure("F11")
async def test_a_leader_that_is_deleted_is_followed_within_20_s_and_nothing_is_run_twice(
    site: Site, slow: Path
) -> None:
    async with held(site, slow) as work:
        waiting = [await site.upload(picture) for picture in SMALL[:2]]
        leader = await site.leader()
        began = time.monotonic()

        await site.kubectl("delete", "pod", leader, "--wait=false")

        await eventually(lambda: _led_by_another(site, leader), 60, pause=0.1)
        assert time.monotonic() - began < TAKEOVER_SECONDS
        work.go_on()
        await completed_once(site, work.asset_id, *waiting, binding=1)


@pytest.mark.failure("F11")
async def test_a_leader_that_is_paused_is_followed_within_20_s_and_ends_without_a_write_when_it_wakes(
    site: Site, slow: Path
) -> None:
    async with held(site, slow) as work:
        waiting = [await site.upload(picture) for picture in SMALL[:2]]
        leader = await site.leader()
        pod = await _pod(site, leader)
        restarts = _operator(pod)["restartCount"]
        with stopped(site.processes(pod, "operator")):
            began = time.monotonic()
            await eventually(lambda: _led_by_another(site, leader), 60, pause=0.1)
            assert time.monotonic() - began < TAKEOVER_SECONDS
            follower = await site.leader()
            work.go_on()
            for asset_id in (work.asset_id, *waiting):
                await site.phase(asset_id, "Completed")
            then = {asset_id: await site.status(asset_id) for asset_id in (work.asset_id, *waiting)}

        ended = await eventually(lambda: _ended(site, leader, restarts), 40, pause=0.2)
    assert ended["exitCode"] == 1
    told = await site.kubectl("logs", leader, "--previous", "--tail=20")
    assert "leadership_lost" in told
    assert {asset_id: await site.status(asset_id) for asset_id in then} == then
    assert await site.leader() == follower
    await completed_once(site, *then, binding=1)


# -- PostgreSQL --


@pytest.mark.failure("F13")
async def test_without_postgresql_work_goes_on_and_the_api_asks_for_patience_and_the_mirror_catches_up(
    site: Site, slow: Path
) -> None:
    """Its processes are stopped rather than ended: connections hang, which is the worse of the two."""
    doomed = await site.upload(SMALL[0])
    await completed_once(site, doomed)
    (pod,) = await site.component_pods("postgresql")
    async with held(site, slow) as work:
        with stopped(site.processes(pod, "postgresql")):
            back = time.monotonic() + OUTAGE_SECONDS
            await site.kubectl("delete", "mediaasset", doomed, "--wait=false")
            work.go_on()
            await site.phase(work.asset_id, "Completed", seconds=OUTAGE_SECONDS)
            await _asks_for_patience(site, doomed)
            await asyncio.sleep(back - time.monotonic())
            await _asks_for_patience(site, doomed)
            waits = await site.asset(doomed)
            assert waits is not None, "its finalizer waits for the tombstone"
            assert waits["metadata"]["deletionTimestamp"]

    async def gone() -> bool:
        return await site.asset(doomed) is None

    await eventually(gone, 90, pause=0.5)
    assert (await site.row(doomed) or {})["state"] == "deleted"
    assert await site.stored(doomed) == []
    await completed_once(site, work.asset_id, binding=work.binding)


# -- object storage --


@pytest.mark.failure("F10")
async def test_a_pause_of_object_storage_is_sat_out_by_the_worker_and_charges_nobody(site: Site, slow: Path) -> None:
    (pod,) = await site.component_pods("s3")
    async with held(site, slow) as work:
        with stopped(site.processes(pod, "s3")):
            back = time.monotonic() + OUTAGE_SECONDS
            work.go_on()
            await asyncio.sleep(back - time.monotonic())
            status = await site.status(work.asset_id)
            assert (status["phase"], status["attempts"]) == ("Processing", 0)
    await completed_once(site, work.asset_id, binding=work.binding)


# -- the API server --


@pytest.mark.failure("F12")
async def test_without_the_api_server_uploads_are_confirmed_and_workers_hold_their_results_until_it_is_back(
    site: Site, slow: Path
) -> None:
    assert site.node is not None
    store = await site.store()
    async with held(site, slow) as work, site.client() as client:
        media = look_at(SMALL[0])
        late = await client.announce(media)
        await client.put(media, late)
        with site.node.held("kube-apiserver"):
            back = time.monotonic() + OUTAGE_SECONDS
            confirmed = await _ask(site, "POST", "/upload/confirm", {"asset_id": str(late.asset_id)})
            assert confirmed.status == 202, confirmed
            whole = await site.upload(SMALL[1])
            work.go_on()
            await eventually(lambda: _renditions_of(store, work.asset_id), OUTAGE_SECONDS, pause=0.2)
            await asyncio.sleep(back - time.monotonic())
            assert work.worker.is_running(), "it holds its result"
    await ready_again(site)
    await completed_once(site, work.asset_id, binding=work.binding)
    await site.completed(str(late.asset_id), whole)
    await completed_once(site, str(late.asset_id), whole)
    await pods_run(site)


async def _led_by_another(site: Site, leader: str) -> bool:
    return await site.leader() not in ("", leader)


async def _pod(site: Site, name: str) -> Object:
    return await site.kube.get(f"/api/v1/namespaces/{site.namespace}/pods/{name}")


def _operator(pod: Object) -> Object:
    found: Object = next(item for item in pod["status"]["containerStatuses"] if item["name"] == "operator")
    return found


async def _ended(site: Site, pod: str, restarts: int) -> Object | None:
    """How the operator's container ended, once it has been started again."""
    told = _operator(await _pod(site, pod))
    ended: Object | None = told["lastState"].get("terminated")
    return ended if told["restartCount"] > restarts else None


async def _ask(site: Site, method: str, path: str, body: Object | None = None) -> Answer:
    """One request to the REST API, its answer whole."""
    headers = {"Authorization": f"Bearer {token.mint(site.state.token_secret, 'ada')}"}
    url = f"{site.state.api_url}{PREFIX}{path}"
    began = time.monotonic()
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as http,
            http.request(method, url, json=body, headers=headers) as answer,
        ):
            told = json.loads(await answer.text() or "null")
            return Answer(answer.status, dict(answer.headers), told, time.monotonic() - began)
    except (aiohttp.ClientError, TimeoutError) as error:
        return Answer(0, {}, str(error), time.monotonic() - began)


async def _asks_for_patience(site: Site, asset_id: str) -> None:
    """503 within seconds, with the time after which it is worth another try."""
    answer = await _ask(site, "GET", f"/playback/{asset_id}")
    assert answer.status == 503, answer
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.seconds < 5, answer


async def _renditions_of(store: S3, asset_id: str) -> bool:
    """Whether all of them are in the bucket, asked of it alone: kubectl has nobody to ask."""

    def listed() -> int:
        pages = store.client().get_paginator("list_objects_v2").paginate(Bucket=store.bucket)
        return sum(f"/{asset_id}/" in item["Key"] for page in pages for item in page.get("Contents") or ())

    return await asyncio.to_thread(listed) == RENDITIONS

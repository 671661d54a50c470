"""Reports and sightings against an API server that refuses, forgets and falls silent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient, Configuration

from media_core.asset import MediaAsset, Result, Source
from media_core.reasons import Reason
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_worker.assets_api import ApiUnavailable, AssetMissing, AssetsApi, PatchRefused, connect
from media_worker.delivery import Delivery
from media_worker.hand import Claim, Left, Listed, Seen
from media_worker.report import Completed, GivenBack, Progress, Started
from media_worker.sightings import NeverSynced, follow
from support.s3_faults import FaultyS3
from support.worker_site import NAMESPACE, OWNER, Desk, why

CRDS = Path(__file__).parents[2] / "crds"
SOURCE = Source(
    bucket="media-test", key=f"uploads/image/{OWNER}/a.jpg", etag="e", size_bytes=1, content_type="image/jpeg"
)
T = TypeVar("T")
IMPOSSIBLE = Completed(Result(width=0, height=0))


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedCluster]:
    async with EmbeddedCluster([CRDS / "mediaasset.yaml"], tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
async def desk(cluster: EmbeddedCluster) -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession() as http:
        yield Desk(cluster, http, f"default-{uuid4().hex[:4]}-1")
        cluster.faults.clear()


@pytest.fixture
async def api(desk: Desk) -> AsyncIterator[AssetsApi]:
    async with await connect({"KUBECONFIG": str(desk.cluster.kubeconfig)}) as client:
        yield AssetsApi(client, NAMESPACE, desk.job, silence=1.0, page=2)


@pytest.fixture
def delivery(desk: Desk, api: AssetsApi) -> Delivery:
    return Delivery(api, desk.job, lambda: datetime.now(UTC))


async def bound(desk: Desk) -> MediaAsset:
    name = str(uuid4())
    await desk.create(name, SOURCE)
    await desk.bind(name)
    return MediaAsset.read(await desk.asset(name))


async def test_a_report_the_api_server_refuses_gives_the_asset_back(desk: Desk, delivery: Delivery) -> None:
    asset = await bound(desk)
    assert await delivery.deliver(Claim(asset.name, 1), lambda: asset, IMPOSSIBLE) is None
    status = (await desk.asset(asset.name))["status"]
    assert status["phase"] == "Pending"
    assert why(status)[:2] == ("Unknown", "InternalError")
    assert "width" in why(status)[2]


async def test_a_report_of_an_earlier_binding_is_dropped(desk: Desk, delivery: Delivery) -> None:
    asset = await bound(desk)
    await desk.bind(asset.name)
    before = await desk.asset(asset.name)
    assert await delivery.deliver(Claim(asset.name, 1), lambda: asset, Started()) is None
    assert await desk.asset(asset.name) == before


async def test_a_report_of_an_asset_that_is_gone_is_dropped(desk: Desk, delivery: Delivery) -> None:
    asset = await bound(desk)
    await desk.forget(asset.name)
    assert await delivery.deliver(Claim(asset.name, 1), lambda: asset, Started()) is None


async def test_a_report_is_made_once_more_where_its_answer_was_lost(desk: Desk, delivery: Delivery) -> None:
    asset = await bound(desk)
    desk.cluster.faults.add("loseAnswer", verbs=["patch"], resource="mediaassets", times=1)
    report = GivenBack(Reason.DRAINING, "The worker ends.")
    after = await delivery.deliver(Claim(asset.name, 1), lambda: asset, report)
    assert after is not None
    assert after.status is not None
    assert after.status.given_back


async def test_progress_is_told_once_and_dropped_where_it_does_not_get_through(desk: Desk, delivery: Delivery) -> None:
    asset = await bound(desk)
    claim = Claim(asset.name, 1)
    assert await delivery.mention(claim, asset, Progress(1, 9)) is None, "it is not being worked on"
    begun = await delivery.deliver(claim, lambda: asset, Started())
    assert begun is not None
    told = await delivery.mention(claim, begun, Progress(40, 9))
    assert told is not None
    assert (await desk.asset(asset.name))["status"]["video"] == {
        "backend": "ffmpeg",
        "progressPercent": 40,
        "durationSeconds": 9,
    }
    desk.cluster.faults.add("serverError", verbs=["patch"], resource="mediaassets", times=1)
    assert await delivery.mention(claim, told, Progress(41, 9)) is None
    assert (await desk.asset(asset.name))["status"]["video"]["progressPercent"] == 40


async def test_a_fresh_sight_is_asked_for_until_it_comes(desk: Desk, delivery: Delivery) -> None:
    asset = await bound(desk)
    await desk.bind(asset.name)
    desk.cluster.faults.add("serverError", verbs=["get"], resource="mediaassets", times=2)
    assert await delivery.deliver(Claim(asset.name, 1), lambda: asset, Started()) is None


async def test_what_is_missing_refused_or_unavailable_is_told_apart(desk: Desk, api: AssetsApi) -> None:
    with pytest.raises(AssetMissing):
        await api.read("00000000-0000-4000-8000-000000000000")
    asset = await bound(desk)
    with pytest.raises(PatchRefused, match="422"):
        await api.patch_status(asset.name, [{"op": "test", "path": "/status/binding", "value": 99}])
    desk.cluster.faults.add("tooManyRequests", seconds=7)
    for call in (api.everything(), api.read(asset.name), api.patch_status(asset.name, [])):
        with pytest.raises(ApiUnavailable, match="429") as busy:
            await call
        assert busy.value.retry_after == 7
    desk.cluster.faults.clear()
    desk.cluster.faults.go_down()
    with pytest.raises(ApiUnavailable):
        await api.everything()


async def test_a_long_list_is_read_to_its_end(desk: Desk, api: AssetsApi) -> None:
    names = {(await bound(desk)).name for _ in range(5)}
    assert {body["metadata"]["name"] for body in (await api.everything()).bodies} == names


async def test_sightings_go_on_after_silence_failure_and_expiry(desk: Desk, api: AssetsApi) -> None:
    first = await bound(desk)
    async with contextlib.aclosing(follow(api)) as sightings:
        assert [asset.name for asset in (await next_of(sightings, Listed)).assets] == [first.name]
        desk.cluster.faults.add("silentWatch", verbs=["watch"], resource="mediaassets", times=1)
        second = await bound(desk)
        assert (await next_of(sightings, Seen)).asset.name == second.name
        desk.cluster.faults.add("serverError", verbs=["watch"], resource="mediaassets", times=2)
        desk.cluster.faults.drop_watches("mediaassets")
        third = await bound(desk)
        assert (await next_of(sightings, Seen)).asset.name == third.name
        away = desk.cluster.faults.add("serverError", verbs=["watch"], resource="mediaassets")
        desk.cluster.faults.drop_watches("mediaassets")
        await desk.forget(first.name)
        desk.cluster.store.compact()
        desk.cluster.faults.remove(away)
        assert {asset.name for asset in (await next_of(sightings, Listed)).assets} == {second.name, third.name}


async def test_an_asset_bound_elsewhere_leaves(desk: Desk, api: AssetsApi) -> None:
    asset = await bound(desk)
    async with contextlib.aclosing(follow(api)) as sightings:
        await next_of(sightings, Listed)
        await desk.bind(asset.name, "default-ffff-9")
        assert await next_of(sightings, Left) == Left(asset.name)


@pytest.mark.parametrize(("status", "forbidden"), [(403, True), (401, True), (500, False)])
async def test_a_first_list_that_never_comes_ends_the_wait(desk: Desk, status: int, forbidden: bool) -> None:
    async with FaultyS3(desk.cluster.url) as proxy:
        proxy.fail(status)
        configuration = Configuration(host=proxy.url)
        async with ApiClient(configuration) as client:
            with pytest.raises(NeverSynced) as never:
                await anext(follow(AssetsApi(client, NAMESPACE, desk.job), patience=0.3))
    assert never.value.forbidden is forbidden


async def next_of(sightings: AsyncIterator[object], kind: type[T]) -> T:
    async with asyncio.timeout(20):
        async for event in sightings:
            if isinstance(event, kind):
                return event
    raise AssertionError("the sightings ended")

"""The main job through the installed chart: two hundred photographs, while the HPA scales the workers up and down."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from media_core.asset import TranscodeStatus
from support.deadlines import eventually
from support.photos import photographs
from support.site import Site

PHOTOGRAPHS = 200
PHOTOS = Path(__file__).parents[2] / "build" / "bench-photos"
AT_ONCE = 8
MOST_WORKERS = 3
Object = dict[str, Any]


@dataclass
class Watched:
    """What was seen of HPA, pool and Jobs while the photographs went through."""

    replicas: list[int] = field(default_factory=list)
    jobs: list[int] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    async def look(self, site: Site) -> None:
        pool = await site.pool()
        self.replicas.append(pool["spec"]["replicas"])
        self.jobs.append((pool.get("status") or {}).get("jobs", 0))
        line = await site.kubectl("get", "hpa", "--no-headers")
        if line not in self.shown[-1:]:
            self.shown.append(line)

    async def until(self, site: Site, done: asyncio.Event) -> None:
        while not done.is_set():
            await self.look(site)
            await asyncio.sleep(1)


@pytest.mark.timeout(600)
async def test_two_hundred_photographs_are_completed_while_the_hpa_adds_workers_and_takes_them_back(
    site: Site,
) -> None:
    await site.quiet()
    await eventually(lambda: _replicas_are(site, 1), 90, pause=1)
    jobs_before = {job["metadata"]["name"] for job in await site.objects("jobs")}
    photos = await asyncio.to_thread(photographs, PHOTOGRAPHS, folder=PHOTOS)
    watched, done, gate = Watched(), asyncio.Event(), asyncio.Semaphore(AT_ONCE)
    watching = asyncio.create_task(watched.until(site, done))

    async def sent(photo: Path) -> str:
        async with gate:
            return await site.upload(photo)

    try:
        asset_ids = await asyncio.gather(*(sent(photo) for photo in photos))
        await site.completed(*asset_ids, seconds=300)
        await eventually(lambda: _replicas_are(site, 1), 120, pause=1)
        await eventually(lambda: _no_workers(site), 60, pause=1)
    finally:
        done.set()
        await watching
    print("\n".join(["$ kubectl get hpa", *(line.rstrip() for line in watched.shown)]))

    await _kubectl_and_playback_agree(site, asset_ids)
    assert max(watched.replicas) == MOST_WORKERS, watched.replicas
    assert max(watched.jobs) == MOST_WORKERS, watched.jobs
    assert not any("<unknown>" in line for line in watched.shown), watched.shown
    for job in await site.objects("jobs"):
        if job["metadata"]["name"] not in jobs_before:
            conditions = {c["type"]: c["status"] for c in job["status"].get("conditions", ())}
            assert conditions.get("Complete") == "True", f"a worker was ended, not idle: {job['status']}"


async def test_the_backlog_is_served_as_an_external_metric_by_two_pods(site: Site) -> None:
    path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{site.namespace}/media_backlog_seconds"
    told = json.loads(await site.kubectl("get", "--raw", f"{path}?labelSelector=pool%3Ddefault"))
    assert [item["metricName"] for item in told["items"]] == ["media_backlog_seconds"]
    assert len(await site.component_pods("metrics")) == 2
    service = (await site.objects("apiservice", "v1beta1.external.metrics.k8s.io"))[0]
    assert {c["type"]: c["status"] for c in service["status"]["conditions"]}["Available"] == "True"


async def _kubectl_and_playback_agree(site: Site, asset_ids: list[str]) -> None:
    shown = {asset["metadata"]["name"]: asset for asset in await site.objects("mediaassets")}
    async with site.client() as client:
        for asset_id in asset_ids:
            status = shown[asset_id]["status"]
            answer = await client.playback(asset_id)
            assert (status["phase"], answer.transcode_status) == ("Completed", TranscodeStatus.COMPLETED)
            made = {variant["name"]: (variant["width"], variant["height"]) for variant in status["result"]["variants"]}
            assert {v.name: (v.width, v.height) for v in answer.variants} == made
            assert (status["binding"], status["attempts"]) == (1, 0), "it was bound once, and nothing was charged"
    for asset_id in asset_ids[:3]:
        assert len(await site.stored(asset_id)) == 3


async def _replicas_are(site: Site, count: int) -> bool:
    return bool((await site.pool())["spec"]["replicas"] == count)


async def _no_workers(site: Site) -> bool:
    return not await site.worker_pods()

"""Workers without pixels: one process that plays the node and the containers of every worker Job of a namespace.

All that a worker says to Kubernetes is said by the worker's own code: it lists and watches what is bound to its Job
and reports Processing and Completed. Nothing is fetched, decoded or stored, so that what is measured is the control
path. Each Job is marked ready as the Job controller would mark it, which must be paused meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
import uvloop
from kubernetes.aio.client import ApiClient

from media_core import logs
from media_core.asset import MediaAsset, Result, Variant
from media_core.renditions import DEFAULT_RENDITIONS
from media_core.shape import timestamp
from media_worker.assets_api import AssetsApi, connect
from media_worker.carrying import Stopwatch, Turns
from media_worker.delivery import Delivery
from media_worker.hand import Room
from media_worker.lifetime import Lifetime
from media_worker.report import Completed
from media_worker.sightings import follow
from media_worker.worker import Worker

LOOK_SECONDS = 0.5
FOREVER = Lifetime(*[1e9] * 4)
ORIGINALS_BYTES = 1 << 30
MADE = Completed(
    Result(
        width=1200,
        height=800,
        placeholder="1QcSHQRnh493V4dIh4eXh1h4kJUI",
        dominant_color="#7f7f7f",
        recipe_version=1,
        variants=tuple(
            Variant(name=each.name, width=each.size, height=each.size, bytes=20_000) for each in DEFAULT_RENDITIONS
        ),
    )
)

log = structlog.get_logger()


class Nothing:
    """A `Carrier` that has everything made at once."""

    async def carry(self, asset: MediaAsset, turns: Turns, watch: Stopwatch) -> Completed:
        """What came of it, in no time."""
        await turns.fetched()
        turns.decoded()
        return MADE


class Standing:
    """The workers of all Jobs of one namespace."""

    def __init__(self, api: ApiClient, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self._path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self._workers: dict[str, asyncio.Task[Any]] = {}

    async def run(self) -> None:
        """Look for new Jobs and for those that are gone, until cancelled."""
        while True:
            jobs = {job["metadata"]["name"]: job for job in (await self._call("GET", self._path))["items"]}
            for name in self._workers.keys() - jobs.keys():
                self._workers.pop(name).cancel()
                log.info("worker_ended", job=name)
            for name in jobs.keys() - self._workers.keys():
                await self._ready(name)
                self._workers[name] = asyncio.create_task(self._work(jobs[name]))
                log.info("worker_began", job=name)
            await asyncio.sleep(LOOK_SECONDS)

    async def _ready(self, name: str) -> None:
        status = {"startTime": timestamp(datetime.now(UTC)), "active": 1, "ready": 1}
        await self._call("PATCH", f"{self._path}/{name}/status", {"status": status})

    async def _work(self, job: Mapping[str, Any]) -> None:
        name = job["metadata"]["name"]
        assets = AssetsApi(self._api, self._namespace, name)
        delivery = Delivery(assets, name, lambda: datetime.now(UTC))
        await Worker(name, _room(job), FOREVER, Nothing(), delivery).run(follow(assets))

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": "application/merge-patch+json"}
        request = await self._api.param_serialize(
            method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        answer = await self._api.call_api(*request, _request_timeout=30)
        text = await answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status} to {method} {path}: {text[:300]!r}")
        return dict(json.loads(text))


def _room(job: Mapping[str, Any]) -> Room:
    """What the operator lets a worker of this Job have in hand."""
    containers = job["spec"]["template"]["spec"]["containers"]
    (told,) = (each["env"] for each in containers if each["name"] == "worker")
    values = {each["name"]: each.get("value", "") for each in told}
    return Room(int(values["MEDIA_CONCURRENCY"]), int(values["MEDIA_PREFETCH"]), ORIGINALS_BYTES)


async def stand(kubeconfig: str, namespace: str) -> None:
    """Stand in for the workers until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with await connect({"KUBECONFIG": kubeconfig}) as api:
        standing, asked = asyncio.create_task(Standing(api, namespace).run()), asyncio.create_task(stop.wait())
        await asyncio.wait([standing, asked], return_when=asyncio.FIRST_COMPLETED)
        if standing.done():
            standing.result()
        standing.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Workers without pixels for the Jobs of one namespace.")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--namespace", required=True)
    options = parser.parse_args()
    logs.configure("info", component="synthetic")
    uvloop.run(stand(options.kubeconfig, options.namespace))

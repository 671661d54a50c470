"""This project as a side of the race: all of it, on the embedded cluster or on a local node with the chart installed.

Both use the S3 and the PostgreSQL that the peer uses, and one worker Job that decodes as many images at once as there
are cores. On the node everything else is a pod, one replica of each, behind a real API server.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import psutil

from media_core.asset import TranscodeStatus
from media_core.names import DEFAULT_POOL, GROUP, POOLS, VERSION
from media_devcluster import token
from media_devcluster.client import Client
from media_devcluster.guessing import look_at
from media_devcluster.helm import Helm, merged
from media_devcluster.images import build_images
from media_devcluster.kube import Kube
from media_devcluster.local.binaries import cache_folder
from media_devcluster.local.layout import LINK_OUTSIDE, NODE_ADDRESS
from media_devcluster.local.stack import API_PORT, LocalStack, chart_put, values
from media_devcluster.processes import StartFailed
from media_devcluster.stack import Plan, Stack
from media_devcluster.state import ClusterKind, Part, State
from perf.memory import named
from perf.services import Turn
from perf.sides import Settled

WORKERS = ("media-worker", "media-decoder")
PARTS = {
    "workers": WORKERS,
    "operator": ("media-operator",),
    "API": ("media-api",),
    "API server": ("kube-apiserver", "media_devcluster.embedded"),
    "etcd": ("etcd",),
}
SINCE = "SELECT id::text, transcode_status, updated_at FROM media.assets WHERE state = 'settled' AND updated_at >= $1"
AT_ONCE = 8
EVERYWHERE = "0.0.0.0"
DATABASE_SECRET, STORE_SECRET = "bench-database", "bench-store"
WORKER_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}}
DECODER_RESOURCES = {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}
IDLE_SECONDS, SHORT_IDLE_SECONDS = 120, 3
NO_JOB_SECONDS = 90.0
ANSWER_SECONDS = 60.0


class Ours:
    """Made by `running`."""

    def __init__(
        self,
        state: State,
        database: asyncpg.Connection,
        client: Client,
        kube: Kube,
        family: Callable[[], Iterable[psutil.Process]],
    ) -> None:
        self.state = state
        self._database = database
        self._client = client
        self._kube = kube
        self._family = family

    def client(self, user: str) -> Client:
        """A session of another user."""
        return Client(self.state.api_url, token.mint(self.state.token_secret, user))

    async def put(self, photos: Sequence[Path]) -> list[str]:
        return await put(self._client, photos)

    async def confirm(self, assets: Sequence[str]) -> list[float]:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(asset: str) -> float:
            async with gate:
                return await confirmed(self._client, asset)

        return list(await asyncio.gather(*map(one, assets)))

    async def settled_since(self, moment: datetime) -> list[Settled]:
        rows = await self._database.fetch(SINCE, moment)
        return [Settled(row["id"], row["transcode_status"] == "COMPLETED", row["updated_at"]) for row in rows]

    async def shown(self, asset: str) -> bool:
        return (await self._client.playback(asset)).transcode_status is TranscodeStatus.COMPLETED

    def workers(self) -> Iterable[psutil.Process]:
        return named(self._family(), WORKERS)

    def processes(self, name: str) -> list[psutil.Process]:
        """Those that were started under that name."""
        return named(self._family(), (name,), alone=True)

    def parts(self) -> Mapping[str, Iterable[psutil.Process]]:
        family = list(self._family())
        # The embedded API server starts the workers: what they cost is not its own.
        return {part: named(family, names, alone=part == "API server") for part, names in PARTS.items()}

    async def idle_seconds(self, seconds: int) -> None:
        """From now on workers linger so long without work."""
        collection = f"/apis/{GROUP}/{VERSION}/namespaces/{self.state.namespace}/{POOLS}"
        pool = await self._kube.get(f"{collection}/{DEFAULT_POOL}")
        body = {key: pool[key] for key in ("apiVersion", "kind", "spec")}
        kept = {key: pool["metadata"][key] for key in ("name", "namespace", "labels", "annotations", "finalizers")
                if key in pool["metadata"]}  # fmt: skip
        body |= {"metadata": kept, "spec": {**pool["spec"], "idleSeconds": seconds}}
        await self._kube.replace(collection, body)

    async def no_job(self) -> None:
        """Wait until no worker runs any more."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{self.state.namespace}/{POOLS}/{DEFAULT_POOL}"
        deadline = time.monotonic() + NO_JOB_SECONDS
        while (await self._kube.get(path)).get("status", {}).get("jobs", 0) or self.workers():
            if time.monotonic() > deadline:
                raise StartFailed("worker", f"still runs after {NO_JOB_SECONDS:.0f} s without work")
            await asyncio.sleep(0.2)


async def put(client: Client, photos: Sequence[Path]) -> list[str]:
    """Upload without confirming, eight at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(photo: Path) -> str:
        async with gate:
            media = look_at(photo)
            upload = await client.announce(media)
            await client.put(media, upload)
            return str(upload.asset_id)

    return list(await asyncio.gather(*map(one, photos)))


async def confirmed(client: Client, asset: str) -> float:
    """Confirm, and the seconds until the answer."""
    began = time.monotonic()
    await client.confirm(asset)
    return time.monotonic() - began


def address(cluster: ClusterKind) -> str:
    """Where the services have to listen so that this side's parts reach them."""
    return EVERYWHERE if cluster is ClusterKind.LOCAL else "127.0.0.1"


@asynccontextmanager
async def running(
    turn: Turn, cluster: ClusterKind, tell: Callable[[str], None], concurrency: int | None = None
) -> AsyncIterator[Ours]:
    """Start all of it for one turn, and stop all of it."""
    at_once = concurrency or len(os.sched_getaffinity(0))
    start = _node if cluster is ClusterKind.LOCAL else _embedded
    async with start(turn, at_once, tell) as (state, family):
        database = await asyncpg.connect(turn.database_url)
        try:
            async with (
                Client(state.api_url, token.mint(state.token_secret, "owner")) as client,
                Kube.connect(Path(state.kubeconfig)) as kube,
            ):
                yield Ours(state, database, client, kube, family)
        finally:
            await database.close()


Started = tuple[State, Callable[[], Iterable[psutil.Process]]]


@asynccontextmanager
async def _embedded(turn: Turn, concurrency: int, tell: Callable[[str], None]) -> AsyncIterator[Started]:
    plan = Plan(
        turn.folder / "stack",
        parts=frozenset(Part) - {Part.S3, Part.POSTGRES},
        database_url=turn.database_url,
        store=turn.store,
        bucket=turn.store.bucket,
        pool={"replicas": 1, "concurrency": concurrency, "idleSeconds": IDLE_SECONDS},
    )
    async with Stack(plan, tell) as stack:

        def family() -> Iterable[psutil.Process]:
            parts = [psutil.Process(child.pid) for child in stack.children.values()]
            return [*parts, *(process for part in parts for process in part.children(recursive=True))]

        yield stack.state, family


@asynccontextmanager
async def _node(turn: Turn, concurrency: int, tell: Callable[[str], None]) -> AsyncIterator[Started]:
    inside = turn.seen_from(LINK_OUTSIDE)
    stack = LocalStack(Plan(turn.folder / "node", cluster=ClusterKind.LOCAL, bare=True), tell)
    await stack.start()
    try:
        state = stack.state
        async with Kube.connect(Path(state.kubeconfig)) as kube:
            await _secrets(kube, state.namespace, inside)
        images = await asyncio.to_thread(build_images, cache_folder(), stack.binaries, tell)
        helm = Helm(stack.binaries["helm"], Path(state.kubeconfig))
        wanted = merged(values(images, turn.store.bucket), chart_values(inside, concurrency))
        async with chart_put(helm, state.namespace, state.token_secret, wanted):
            tell("chart")
        url = f"http://{NODE_ADDRESS}:{API_PORT}"
        await _answering(f"{url}/readyz")
        assert stack.cluster is not None
        yield state.model_copy(update={"api_url": url}), stack.cluster.processes
    finally:
        await stack.stop()


async def _answering(url: str) -> None:
    """Wait until the node's port leads to the API: its pod is ready some time before."""
    limit = aiohttp.ClientTimeout(total=5)
    try:
        async with asyncio.timeout(ANSWER_SECONDS), aiohttp.ClientSession(timeout=limit) as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with session.get(url) as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise StartFailed("API", f"does not answer at {url} after {ANSWER_SECONDS:.0f} s") from None


def chart_values(turn: Turn, concurrency: int) -> dict[str, Any]:
    """What differs from the local stack: services outside the node, no replicas to spare, and no autoscaler."""
    return {
        # On the same two cores the API is for answering, and workers take what is left: requests are what says so.
        "api": {"replicas": 1, "resources": {"requests": {"cpu": "1", "memory": "128Mi"}}},
        "operator": {"replicas": 1},
        "autoscaling": {"enabled": False},
        "pool": {
            "replicas": 1,
            "concurrency": concurrency,
            "idleSeconds": IDLE_SECONDS,
            "template": {"resources": {"worker": WORKER_RESOURCES, "decoder": DECODER_RESOURCES}},
        },
        "postgresql": {"existingSecret": DATABASE_SECRET, "embedded": {"enabled": False}},
        "s3": {
            "bucket": turn.store.bucket,
            "endpoint": turn.store.endpoint,
            "publicEndpoint": turn.store.endpoint,
            "existingSecret": STORE_SECRET,
            "workerExistingSecret": STORE_SECRET,
            "embedded": {"enabled": False},
        },
    }


async def _secrets(kube: Kube, namespace: str, turn: Turn) -> None:
    keys = {"AWS_ACCESS_KEY_ID": turn.store.access_key, "AWS_SECRET_ACCESS_KEY": turn.store.secret_key}
    held = {DATABASE_SECRET: {"MEDIA_DATABASE_URL": turn.database_url}, STORE_SECRET: keys}
    await kube.keep("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for name, texts in held.items():
        data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data}
        await kube.replace(f"/api/v1/namespaces/{namespace}/secrets", body)

"""The whole service on a local node: the node, the images, and the chart installed with what it needs to be tried.

The same three things as of the other stack: a state, a start that leaves all or nothing, a stop.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from media_core.asset import VideoBackend
from media_devcluster import checkout
from media_devcluster.folder import CLUSTER, claimed, discard
from media_devcluster.helm import Helm, merged
from media_devcluster.images import Image, build_images
from media_devcluster.images.recipes import FILM_IMAGE
from media_devcluster.kube import Kube, Refused
from media_devcluster.local.binaries import build, cache_folder
from media_devcluster.local.cluster import LocalCluster
from media_devcluster.local.layout import NODE_ADDRESS
from media_devcluster.processes import Child, Command, StartFailed
from media_devcluster.stack import Plan
from media_devcluster.state import Part, Running, State

RELEASE = "media"
API_PORT, S3_PORT = 30805, 30900
JWT = "media-dev-jwt"
CHART = checkout.ROOT / "charts" / "media"


class LocalStack:
    """A node with the chart on it. Nothing of it is left after `stop`, nor after a start that failed."""

    def __init__(self, plan: Plan, tell: Callable[[str], None] = lambda line: None) -> None:
        self.plan = plan
        self.state = State(cluster=plan.cluster, namespace=plan.namespace, token_secret=secrets.token_hex(32))
        self.children: dict[Part, Child] = {}
        self.cluster: LocalCluster | None = None
        self.binaries: Mapping[str, Path] = {}
        self.values: dict[str, Any] = {}
        self._folder = plan.folder.resolve()
        self._tell = tell

    @property
    def _films(self) -> bool:
        return self.plan.video is VideoBackend.FFMPEG

    async def start(self) -> None:
        """Build what is not in the cache, start the node, install the chart unless the plan is a bare one."""
        with claimed(self._folder):
            try:
                await self._start()
            except BaseException:
                await self.stop()
                raise

    async def attach(self) -> bool:
        """Take over a node that was left running, and upgrade the chart on it; False where there is nothing whole."""
        state = State.read(self._folder)
        if state is None or not state.complete or state.dead:
            return False
        cache = cache_folder()
        self.binaries = await asyncio.to_thread(build, cache, self._tell)
        images = await asyncio.to_thread(build_images, cache, self.binaries, self._tell, films=self._films)
        self.values = merged(values(images, self.plan.bucket), self.plan.values)
        self.state, self.children = state, state.children()
        self.cluster = LocalCluster(self._folder / CLUSTER, self.binaries)
        self.cluster.child = self.children[Part.CLUSTER]
        if not self.plan.bare:
            await self._install()
        return True

    async def stop(self) -> None:
        """End the node, and with it all that runs on it."""
        if self.cluster is not None:
            await self.cluster.stop()
        self.children.clear()
        await asyncio.to_thread(discard, self._folder)

    async def _start(self) -> None:
        cache = cache_folder()
        self.binaries = await asyncio.to_thread(build, cache, self._tell)
        images = await asyncio.to_thread(build_images, cache, self.binaries, self._tell, films=self._films)
        self._tell("programs and images")
        self.cluster = LocalCluster(self._folder / CLUSTER, self.binaries)
        self.state.kubeconfig = str(self.cluster.layout.kubeconfig)
        await self.cluster.start(self._begin, [image.archive for image in images])
        self._tell("Kubernetes (one node)")
        if not self.plan.bare:
            self.values = merged(values(images, self.plan.bucket), self.plan.values)
            await self._install()
            self._tell("chart")
        self.state.complete = True
        self._write()

    async def _install(self) -> None:
        helm = Helm(self.binaries["helm"], Path(self.state.kubeconfig))
        async with chart_put(helm, self.plan.namespace, self.state.token_secret, self.values) as kube:
            self.state.database_url = await database_url(kube, self.plan.namespace)
        self.state.api_url = f"http://{NODE_ADDRESS}:{API_PORT}"
        self.state.s3_endpoint = f"http://{NODE_ADDRESS}:{S3_PORT}"
        self.state.bucket = self.plan.bucket

    def _begin(self, command: Command) -> Child:
        """Start it and write it down in one step without an await: nothing can be started and not be known."""
        child = Child.start(command)
        self.children[Part.CLUSTER] = child
        self._write()
        return child

    def _write(self) -> None:
        self.state.parts = {part: Running.of(child) for part, child in self.children.items()}
        self.state.write(self._folder)


@asynccontextmanager
async def chart_put(helm: Helm, namespace: str, token_secret: str, values: Mapping[str, Any]) -> AsyncIterator[Kube]:
    """Install the chart, or upgrade it, with the namespace and the Secret it needs; what follows may use the cluster.

    Raises StartFailed, also for what the cluster refuses in the block.
    """
    try:
        async with Kube.connect(helm.kubeconfig) as kube:
            await kube.keep("/api/v1/namespaces", _object("Namespace", namespace))
            body = {**_object("Secret", JWT), "stringData": {"MEDIA_JWT_SECRET": token_secret}}
            await kube.replace(f"/api/v1/namespaces/{namespace}/secrets", body)
            await helm.install(RELEASE, namespace, CHART, values)
            yield kube
    except Refused as refused:
        raise StartFailed("chart", f"lacks what the cluster refuses: {refused}") from refused


async def database_url(kube: Kube, namespace: str) -> str:
    """The embedded PostgreSQL's URL as this machine reaches it, where no DNS knows its Service."""
    name = f"{RELEASE}-postgresql"
    secret = await kube.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    service = await kube.get(f"/api/v1/namespaces/{namespace}/services/{name}")
    url = urlsplit(base64.b64decode(secret["data"]["MEDIA_DATABASE_URL"]).decode())
    address = f"{url.username}:{url.password}@{service['spec']['clusterIP']}:{url.port or 5432}"
    return url._replace(netloc=address).geturl()


def values(images: list[Image], bucket: str) -> dict[str, Any]:
    """The chart's values on a node without a registry: local images, embedded PostgreSQL and S3, ports of the node."""

    def image(name: str) -> dict[str, str]:
        return {**named(name), "pullPolicy": "Never"}

    def named(name: str) -> dict[str, str]:
        found = next(image.name for image in images if f"/{name}:" in image.name)
        repository, _, tag = found.rpartition(":")
        return {"repository": repository, "tag": tag}

    films = any(f"/{FILM_IMAGE}:" in image.name for image in images)
    video = {"video": {"backend": "ffmpeg"}, "videoWorkerImage": named(FILM_IMAGE)} if films else {}
    return {
        "video": {"backend": "none"},
        **video,
        "image": image("media-api"),
        "workerImage": image("media-worker"),
        "api": {
            "jwt": {"existingSecret": JWT},
            "service": {"type": "NodePort", "nodePort": API_PORT},
        },
        "postgresql": {"embedded": {"enabled": True, "image": image("postgres"), "storage": {"persistence": False}}},
        "s3": {
            "bucket": bucket,
            "publicEndpoint": f"http://{NODE_ADDRESS}:{S3_PORT}",
            "embedded": {
                "enabled": True,
                "image": image("versitygw"),
                "storage": {"persistence": False},
                "service": {"type": "NodePort", "nodePort": S3_PORT},
            },
        },
    }


def _object(kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}

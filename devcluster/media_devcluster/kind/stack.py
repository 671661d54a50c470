"""The whole service on a kind cluster: the cluster, the images, and the chart installed with what it needs.

The same three things as of the other stacks: a state, a start that leaves all or nothing, a stop. No process of this
machine belongs to it, so its state names none.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from media_devcluster.folder import claimed, discard
from media_devcluster.helm import Helm, merged
from media_devcluster.images import Image, build_images
from media_devcluster.kind import program
from media_devcluster.kind.cluster import KindCluster, answers, check_docker
from media_devcluster.kind.config import LOOPBACK, POSTGRESQL_PORT
from media_devcluster.kube import Kube, Refused
from media_devcluster.local import stack as local
from media_devcluster.local.binaries import TABLE, build, cache_folder
from media_devcluster.processes import Child
from media_devcluster.stack import Plan
from media_devcluster.state import Part, State, whole

NEEDED = ("helm", "versitygw")
"""What is built here: the rest of Kubernetes is in kind's node image."""
OUTSIDE = "media-dev-postgresql"


class KindStack:
    """A cluster with the chart on it. Nothing of it is left after `stop`, nor after a start that failed."""

    def __init__(self, plan: Plan, tell: Callable[[str], None] = lambda line: None) -> None:
        self.plan = plan
        self.state = State(cluster=plan.cluster, namespace=plan.namespace, token_secret=secrets.token_hex(32))
        self.children: dict[Part, Child] = {}
        self.cluster: KindCluster | None = None
        self.binaries: Mapping[str, Path] = {}
        self.values: dict[str, Any] = {}
        self._folder = plan.folder.resolve()
        self._tell = tell

    async def start(self) -> None:
        """Build what is not in the cache, create the cluster, install the chart unless the plan is a bare one."""
        await asyncio.to_thread(check_docker)
        with claimed(self._folder):
            try:
                await self._start()
            except BaseException:
                await self.stop()
                raise

    async def attach(self) -> bool:
        """Take over a cluster that was left running, and upgrade the chart on it; False where there is none."""
        state = State.read(self._folder)
        if state is None or not whole(state) or not await answers(Path(state.kubeconfig)):
            return False
        self.state = state
        images = await self._build()
        self.cluster = KindCluster(self._folder, self.binaries["kind"])
        await self.cluster.load(archives(images))
        if not self.plan.bare:
            await self._install(images)
        return True

    async def stop(self) -> None:
        """Delete the cluster, and with it all that runs on it."""
        if self.cluster is not None:
            await self.cluster.stop()
        await asyncio.to_thread(discard, self._folder)

    async def _start(self) -> None:
        images = await self._build()
        self._tell("programs and images")
        cluster = KindCluster(self._folder, self.binaries["kind"])
        self.state.kubeconfig = str(cluster.kubeconfig)
        self.state.write(self._folder)
        self.cluster = cluster
        await cluster.start(archives(images))
        self._tell("Kubernetes (kind)")
        if not self.plan.bare:
            await self._install(images)
            self._tell("chart")
        self.state.complete = True
        self.state.write(self._folder)

    async def _build(self) -> list[Image]:
        cache = cache_folder()
        modules = [module for module in TABLE if module.name in NEEDED]
        built = await asyncio.to_thread(build, cache, self._tell, modules)
        self.binaries = {**built, "kind": await asyncio.to_thread(program.find, cache, self._tell)}
        return await asyncio.to_thread(build_images, cache, self.binaries, self._tell)

    async def _install(self, images: list[Image]) -> None:
        self.values = merged(values(images, self.plan.bucket), self.plan.values)
        helm = Helm(self.binaries["helm"], Path(self.state.kubeconfig))
        async with local.chart_put(helm, self.plan.namespace, self.state.token_secret, self.values) as kube:
            await _open(kube, self.plan.namespace)
            self.state.database_url = as_mapped(await local.database_url(kube, self.plan.namespace))
        self.state.api_url = f"http://{LOOPBACK}:{local.API_PORT}"
        self.state.s3_endpoint = f"http://{LOOPBACK}:{local.S3_PORT}"
        self.state.bucket = self.plan.bucket


async def remove(folder: Path, tell: Callable[[str], None] = lambda line: None) -> None:
    """Delete the cluster that an earlier command created for that folder. Raises StartFailed."""
    await asyncio.to_thread(check_docker)
    found = await asyncio.to_thread(program.find, cache_folder(), tell)
    await KindCluster(folder, found).stop()


def archives(images: list[Image]) -> list[Path]:
    """What the node lacks; it has a pause image of its own."""
    return [image.archive for image in images if "/pause:" not in image.name]


def values(images: list[Image], bucket: str) -> dict[str, Any]:
    """The chart's values as on a local node, but that clients reach S3 at a port of this machine."""
    public = {"s3": {"publicEndpoint": f"http://{LOOPBACK}:{local.S3_PORT}"}}
    return merged(local.values(images, bucket), public)


def outside() -> tuple[tuple[str, dict[str, Any]], ...]:
    """A way to PostgreSQL from this machine: a port of the node, and leave to use it.

    The chart's policy lets only API and operator in, and the network of a kind node enforces policies.
    """
    labels = {"app.kubernetes.io/instance": local.RELEASE, "app.kubernetes.io/component": "postgresql"}
    ports = [{"name": "postgresql", "port": 5432, "targetPort": "postgresql", "nodePort": POSTGRESQL_PORT}]
    service = {
        **_head("v1", "Service", OUTSIDE),
        "spec": {"type": "NodePort", "selector": labels, "ports": ports},
    }
    leave = {
        **_head("networking.k8s.io/v1", "NetworkPolicy", OUTSIDE),
        "spec": {
            "podSelector": {"matchLabels": labels},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": "postgresql"}]}],
        },
    }
    return (
        ("/api/v1/namespaces/{namespace}/services", service),
        ("/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies", leave),
    )


async def _open(kube: Kube, namespace: str) -> None:
    """Put `outside` there, unless it is. Asked for first: a second Service is refused for its port, not its name."""
    for collection, body in outside():
        path = collection.format(namespace=namespace)
        try:
            await kube.get(f"{path}/{OUTSIDE}")
        except Refused as refused:
            if refused.status != 404:
                raise
            await kube.keep(path, body)


def as_mapped(database_url: str) -> str:
    """The same database by the port of this machine that leads to it."""
    url = urlsplit(database_url)
    return url._replace(netloc=f"{url.username}:{url.password}@{LOOPBACK}:{POSTGRESQL_PORT}").geturl()


def _head(version: str, kind: str, name: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}

"""The installed service on a real cluster, as its users and those who run it have it.

Uploads go through the REST API, looks through kubectl and the Kubernetes API, faults through the node's processes.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from media_core.asset import TranscodeStatus
from media_core.names import GROUP, POOL_LABEL, POOLS, VERSION
from media_devcluster import checkout, token
from media_devcluster.client import Client
from media_devcluster.guessing import look_at
from media_devcluster.helm import Helm
from media_devcluster.kube import Kube, Refused
from media_devcluster.local.cluster import LocalCluster
from media_devcluster.local.stack import database_url
from media_devcluster.objectstore import S3
from media_devcluster.state import State
from support.deadlines import eventually

Object = dict[str, Any]
KUBECTL_SECONDS = 60.0
DIAGNOSIS = (
    ("get", "mediaassets,mediaworkerpools,jobs,pods,hpa,deployments", "-o", "wide"),
    ("get", "events", "--sort-by=.lastTimestamp"),
    ("describe", "mediaworkerpools"),
)
LOG_LINES = "60"


class KubectlFailed(AssertionError):
    """kubectl ended with another code than 0."""


@dataclass(frozen=True)
class Site:
    """One release. `node` is there where the cluster is a local one, whose processes can be reached."""

    state: State
    release: str
    kube: Kube
    helm: Helm
    node: LocalCluster | None
    values: Mapping[str, Any]

    @classmethod
    @asynccontextmanager
    async def reached(
        cls, state: State, release: str, helm: Path, node: LocalCluster | None, values: Mapping[str, Any]
    ) -> AsyncIterator[Site]:
        """A session with what the state describes."""
        kubeconfig = Path(state.kubeconfig)
        async with Kube.connect(kubeconfig) as kube:
            yield cls(state, release, kube, Helm(helm, kubeconfig), node, values)

    async def reconnected(self) -> None:
        """After a new install: its PostgreSQL has another address and another password."""
        self.state.database_url = await database_url(self.kube, self.namespace)

    @property
    def namespace(self) -> str:
        """Where all of it is."""
        return self.state.namespace

    # -- looking --

    async def kubectl(self, *arguments: str, stdin: str | None = None, namespace: str | None = None) -> str:
        """What it printed. Raises KubectlFailed with what it complained of."""
        process = await asyncio.create_subprocess_exec(
            checkout.program("kubectl"),
            f"--kubeconfig={self.state.kubeconfig}",
            f"--namespace={namespace or self.namespace}",
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        )
        async with asyncio.timeout(KUBECTL_SECONDS):
            out, err = await process.communicate(stdin.encode() if stdin is not None else None)
        if process.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(arguments)}: {err.decode().strip()}")
        return out.decode()

    async def objects(self, kind: str, *arguments: str, namespace: str | None = None) -> list[Object]:
        """Objects of a kind, as `kubectl get -o json` gives them."""
        found = json.loads(await self.kubectl("get", kind, "-o", "json", *arguments, namespace=namespace))
        return list(found["items"]) if "items" in found else [found]

    async def asset(self, asset_id: str) -> Object | None:
        """The MediaAsset, or None."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/mediaassets/{asset_id}"
        try:
            return await self.kube.get(path)
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    async def status(self, asset_id: str) -> Object:
        """Its status; empty while it has none, or its object is still being made."""
        asset = await self.asset(asset_id) or {}
        return dict(asset.get("status") or {})

    async def phase(self, asset_id: str, *phases: str, seconds: float = 60.0) -> Object:
        """Its status, once it is in one of these phases."""

        async def there() -> Object | None:
            status = await self.status(asset_id)
            return status if status.get("phase") in phases else None

        return await eventually(there, seconds, pause=0.1)

    async def pool(self, name: str = "default") -> Object:
        """The pool as it is."""
        return await self.kube.get(f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{POOLS}/{name}")

    async def worker_pods(self, pool: str = "default") -> list[Object]:
        """Pods of the pool's workers that are not over."""
        found = await self.objects("pods", "-l", f"{POOL_LABEL}={pool}")
        return [pod for pod in found if pod["status"]["phase"] in ("Pending", "Running")]

    async def component_pods(self, component: str) -> list[Object]:
        """Running pods of one component of the chart."""
        labels = f"app.kubernetes.io/component={component},app.kubernetes.io/instance={self.release}"
        found = await self.objects("pods", "-l", labels)
        return [pod for pod in found if pod["status"]["phase"] == "Running" and not _going(pod)]

    async def leader(self) -> str:
        """Name of the operator pod that holds the Lease; empty where nobody does."""
        lease = (await self.objects("lease", f"{self.release}-operator"))[0]
        return str(lease["spec"].get("holderIdentity") or "")

    async def secret(self, name: str) -> dict[str, str]:
        """A Secret's values."""
        found = (await self.objects("secret", name))[0]
        return {key: base64.b64decode(value).decode() for key, value in found["data"].items()}

    async def row(self, asset_id: str) -> Object | None:
        """Its row in PostgreSQL."""
        connection = await asyncpg.connect(self.state.database_url, timeout=10)
        try:
            found = await connection.fetchrow("SELECT * FROM media.assets WHERE id = $1", asset_id)
        finally:
            await connection.close()
        return dict(found) if found else None

    async def store(self) -> S3:
        """Object storage, with the service's own keys."""
        keys = await self.secret(f"{self.release}-s3")
        return S3(self.state.s3_endpoint, self.state.bucket, keys["AWS_ACCESS_KEY_ID"], keys["AWS_SECRET_ACCESS_KEY"])

    async def stored(self, part_of_key: str, bucket: str = "") -> list[str]:
        """Keys in the bucket (that of the service, where none is named) that contain that."""
        store = await self.store()

        def listed() -> list[str]:
            pages = store.client().get_paginator("list_objects_v2").paginate(Bucket=bucket or store.bucket)
            return [item["Key"] for page in pages for item in page.get("Contents") or ()]

        return [key for key in await asyncio.to_thread(listed) if part_of_key in key]

    # -- using --

    def client(self, user: str = "ada") -> Client:
        """A user's session with the REST API."""
        return Client(self.state.api_url, token.mint(self.state.token_secret, user))

    async def upload(self, file: Path, user: str = "ada") -> str:
        """Upload and confirm a file; its asset id."""
        media = look_at(file)
        async with self.client(user) as client:
            upload = await client.announce(media)
            await client.put(media, upload)
            await client.confirm(upload.asset_id)
        return str(upload.asset_id)

    async def completed(self, *asset_ids: str, seconds: float = 120.0) -> None:
        """Wait until playback says so of each."""
        async with self.client() as client:
            for asset_id in asset_ids:
                answer = await client.settled(asset_id, seconds, pause_seconds=0.2)
                assert answer.transcode_status is TranscodeStatus.COMPLETED, answer

    async def quiet(self, pool: str = "default", seconds: float = 120.0) -> None:
        """Wait until the pool has nothing queued or busy."""

        async def still() -> bool:
            status = (await self.pool(pool)).get("status") or {}
            return not status.get("queued") and not status.get("busy")

        await eventually(still, seconds, pause=0.5)

    # -- breaking --

    def processes(self, pod: Object, container: str) -> list[psutil.Process]:
        """The processes of one container of a pod, as this machine sees them; its main process first."""
        assert self.node is not None
        statuses = [*pod["status"].get("containerStatuses", ()), *pod["status"].get("initContainerStatuses", ())]
        identity = next(s["containerID"] for s in statuses if s["name"] == container).rpartition("/")[2]
        found = [process for process in self.node.processes() if identity in _cgroups(process.pid)]
        return sorted(found, key=lambda process: process.create_time())

    # -- explaining --

    async def diagnosis(self, namespace: str | None = None) -> str:
        """Objects, events and logs of the namespace, for a test that failed."""
        told = []
        for arguments in DIAGNOSIS:
            told.append(f"$ kubectl {' '.join(arguments)}\n{await self._told(*arguments, namespace=namespace)}")
        names = (await self._told("get", "pods", "-o", "name", namespace=namespace)).split()
        for name in names:
            logs = ("logs", name, "--all-containers", "--prefix", f"--tail={LOG_LINES}")
            told.append(f"$ kubectl {' '.join(logs)}\n{await self._told(*logs, namespace=namespace)}")
        return "\n".join(told)

    async def _told(self, *arguments: str, namespace: str | None) -> str:
        try:
            return await self.kubectl(*arguments, namespace=namespace)
        except (KubectlFailed, TimeoutError) as error:
            return f"{error}\n"


def _going(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _cgroups(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii")
    except OSError:
        return ""

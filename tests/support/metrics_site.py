"""`media-metrics` on this machine, aggregated by a real API server: what the chart installs, without the pods."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import yaml

from media_core.names import API_VERSION, GROUP, POOL_KIND, POOL_LABEL, POOLS, VERSION
from media_core.shape import timestamp
from media_devcluster import checkout
from media_devcluster.kube import Kube
from media_operator.adapters.cluster import NotFound
from media_operator.external_metrics.apiserver import ApiServer
from media_operator.external_metrics.documents import METRIC, ROOT
from support.deadlines import eventually

Object = dict[str, Any]
APISERVICE = "v1beta1.external.metrics.k8s.io"
APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
NAME = "media-metrics"
AVAILABLE_SECONDS = 45.0
"""The API server looks again after at most 30 s."""
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Kubectl(Exception):
    """It ended with another code than 0; the text is what it complained of."""


@dataclass
class Replica:
    """One process, and the EndpointSlice that leads to it."""

    site: MetricsSite
    number: int
    port: int
    probe_port: int
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; nothing leads to it yet."""
        environment = {
            **{key: value for key, value in os.environ.items() if key.startswith(("PATH", "COVERAGE_", "LANG"))},
            "KUBECONFIG": str(self.site.account),
            "MEDIA_NAMESPACE": self.site.namespace,
            "MEDIA_METRICS_PORT": str(self.port),
            "MEDIA_METRICS_PROBE_PORT": str(self.probe_port),
            "MEDIA_METRICS_SERVICE": NAME,
            "MEDIA_METRICS_SERVICE_NAMESPACE": self.site.namespace,
            "MEDIA_METRICS_APISERVICE": APISERVICE,
        }
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "media_operator.external_metrics.main",
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def plain(self, path: str) -> tuple[int, str]:
        """An answer of the port without TLS; 0 where there is none."""
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.probe_port}{path}") as found:
                return found.status, await found.text()
        except aiohttp.ClientError as error:
            return 0, str(error)

    async def ready(self) -> None:
        """Until the kubelet would find it ready."""
        await eventually(self._ready, 20)

    async def _ready(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text()
        return (await self.plain("/readyz"))[0] == 200

    async def lead_to(self, ready: bool = True) -> None:
        """Its EndpointSlice, as the kubelet and the controller would have it."""
        await self.site.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": f"{NAME}-{self.number}",
                    "namespace": self.site.namespace,
                    "labels": {"kubernetes.io/service-name": NAME},
                },
                "addressType": "IPv4",
                "ports": [{"name": "https", "port": self.port}],
                "endpoints": [{"addresses": [self.site.address], "conditions": {"ready": ready}}],
            }
        )

    async def stop(self) -> int:
        """Ask it to end; its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(20):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        code = self.process.returncode
        assert code is not None
        return code

    def logged(self, event: str) -> list[Object]:
        """Its log lines of that event."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]


@dataclass
class MetricsSite:
    """One namespace with a pool, and the aggregated API of it."""

    kubeconfig: Path
    folder: Path
    kube: Kube
    api: ApiServer
    namespace: str
    address: str
    account: Path
    replicas: list[Replica] = field(default_factory=list)

    async def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What it printed. Raises Kubectl."""
        process = await asyncio.create_subprocess_exec(
            checkout.program("kubectl"),
            f"--kubeconfig={self.kubeconfig}",
            *arguments,
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder)},
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate(stdin.encode() if stdin is not None else None)
        if process.returncode != 0:
            raise Kubectl(err.decode().strip())
        return out.decode()

    async def apply(self, *objects: Object) -> None:
        """`kubectl apply` of these objects."""
        await self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=yaml.safe_dump_all(objects))

    def replica(self) -> Replica:
        """Another one, not started yet."""
        number = len(self.replicas)
        replica = Replica(self, number, free_port(), free_port(), self.folder / f"metrics-{number}.log")
        self.replicas.append(replica)
        return replica

    # -- the pool --

    @property
    def pool_path(self) -> str:
        """Of the one pool."""
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{POOLS}/default"

    async def backlog(self, seconds: int, age: float = 0.0) -> None:
        """As the operator writes it, so many seconds ago."""
        pool = await self.kube.get(self.pool_path)
        status = {
            "replicas": pool["spec"]["replicas"],
            "selector": f"{POOL_LABEL}=default",
            "backlogSeconds": seconds,
            "backlogTime": timestamp(datetime.now(UTC) - timedelta(seconds=age)),
        }
        await self.api.merge(f"{self.pool_path}/status", {"status": status})

    async def slots(self) -> int:
        """What the HPA has made of spec.replicas."""
        return int((await self.kube.get(self.pool_path))["spec"]["replicas"])

    # -- the aggregated API --

    def metric_path(self, pool: str = "default") -> str:
        """Of the pool's backlog."""
        return f"{ROOT}/namespaces/{self.namespace}/{METRIC}?labelSelector=pool%3D{pool}"

    async def value(self) -> str | None:
        """The metric as `kubectl get --raw` shows it, or None while there is none."""
        try:
            found = json.loads(await self.kubectl("get", "--raw", self.metric_path()))
        except Kubectl:
            return None
        return str(found["items"][0]["value"])

    async def available(self) -> bool:
        """Whether the API server finds the APIService available."""
        conditions = (await self.kube.get(f"{APISERVICES}/{APISERVICE}")).get("status", {}).get("conditions", [])
        return any(one["type"] == "Available" and one["status"] == "True" for one in conditions)

    async def until_available(self) -> float:
        """Seconds until it is."""
        started = time.monotonic()
        await eventually(self.available, AVAILABLE_SECONDS, pause=0.1)
        return time.monotonic() - started

    async def freshness(self) -> str:
        """Whether the API server's discovery of the group is Current or Stale; empty where it is not there."""
        groups = (await self.api.get("/apis", AGGREGATED))["items"]
        versions = [
            v for group in groups if group["metadata"]["name"] == ROOT.split("/")[2] for v in group["versions"]
        ]
        return str(versions[0].get("freshness", "")) if versions else ""


@asynccontextmanager
async def metrics_site(kubeconfig: Path, crds: list[Path], folder: Path) -> AsyncIterator[MetricsSite]:
    """Everything but the replicas; at the end all of it is gone but the CRDs."""
    namespace = f"media-metrics-{uuid4().hex[:6]}"
    api = await ApiServer.connect({"KUBECONFIG": str(kubeconfig)})
    try:
        async with Kube.connect(kubeconfig) as kube:
            try:
                owner = (await api.get(f"{APISERVICES}/{APISERVICE}"))["spec"].get("service")
            except NotFound:
                owner = None
            assert owner is None, f"external.metrics.k8s.io is another's in this cluster: {owner}"
            account = folder / "account.kubeconfig"
            site = MetricsSite(kubeconfig, folder, kube, api, namespace, address_seen_by(kube.host), account)
            for crd in crds:
                await site.kubectl("apply", "-f", str(crd))
            await site.kubectl("wait", "--for=condition=Established", "crd", f"{POOLS}.{GROUP}", "--timeout=20s")
            await site.apply(*_installed(namespace))
            token = (await site.kubectl("create", "token", NAME, f"--namespace={namespace}", "--duration=2h")).strip()
            _write_account(kubeconfig, account, token)
            try:
                yield site
            finally:
                for replica in site.replicas:
                    if replica.process is not None:
                        await replica.stop()
                await site.kubectl("delete", "apiservice", APISERVICE, "--ignore-not-found", "--timeout=30s")
                names = [f"{one['kind']}/{one['metadata']['name']}" for one in _cluster_wide(namespace)]
                await site.kubectl("delete", *names, "--ignore-not-found", "--wait=false")
                binding = f"rolebinding/{namespace}"
                await site.kubectl("delete", binding, "--namespace=kube-system", "--ignore-not-found")
                await site.kubectl("delete", "namespace", namespace, "--wait=false")
    finally:
        await api.close()


def free_port() -> int:
    """A port nobody listens on at the moment, on any address."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def address_seen_by(host: str) -> str:
    """This machine's address on the way to the API server; that of the default route where it runs here itself.

    An endpoint may not be a loopback address. Nothing is sent.
    """
    for towards in (urlsplit(host).hostname or "", "198.51.100.1"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((towards, 9))
            address: str = probe.getsockname()[0]
            if not address.startswith("127."):
                return address
    raise AssertionError("this machine has no address but loopback ones")


@contextmanager
def timed(told: str) -> Iterator[None]:
    """Print how long the block took; `pytest -rP` shows it."""
    started = time.monotonic()
    yield
    print(f"{told}: {time.monotonic() - started:.2f} s")


def _write_account(kubeconfig: Path, account: Path, token: str) -> None:
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    context = next(one for one in config["contexts"] if one["name"] == config["current-context"])
    config["users"] = [{"name": context["context"]["user"], "user": {"token": token}}]
    account.write_text(yaml.safe_dump(config), encoding="utf-8")
    account.chmod(0o600)


def _role(kind: str, name: str, namespace: str | None, *rules: Object) -> Object:
    place = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **place},
        "rules": list(rules),
    }


def _bound(kind: str, name: str, namespace: str | None, role_kind: str, role: str, account_namespace: str) -> Object:
    place = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": name, **place},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": account_namespace}],
    }


def _cluster_wide(namespace: str) -> list[Object]:
    wanted = {
        "apiGroups": ["apiregistration.k8s.io"],
        "resources": ["apiservices"],
        "verbs": ["get", "patch"],
        "resourceNames": [APISERVICE],
    }
    return [
        _role("ClusterRole", namespace, None, wanted),
        _bound("ClusterRoleBinding", namespace, None, "ClusterRole", namespace, namespace),
        _bound(
            "ClusterRoleBinding", f"{namespace}-delegator", None, "ClusterRole", "system:auth-delegator", namespace
        ),
    ]


def _installed(namespace: str) -> list[Object]:
    """What the chart installs for the metrics server, and a pool."""
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": namespace}},
        _role(
            "Role",
            NAME,
            namespace,
            {"apiGroups": [GROUP], "resources": [POOLS], "verbs": ["list", "watch"]},
            {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
            {
                "apiGroups": [""],
                "resources": ["secrets"],
                "verbs": ["get", "update"],
                "resourceNames": [f"{NAME}-tls"],
            },
        ),
        _bound("RoleBinding", NAME, namespace, "Role", NAME, namespace),
        _bound(
            "RoleBinding", namespace, "kube-system", "Role", "extension-apiserver-authentication-reader", namespace
        ),
        *_cluster_wide(namespace),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": namespace},
            "spec": {"ports": [{"name": "https", "port": 443}]},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": APISERVICE},
            "spec": {
                "group": "external.metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": NAME, "namespace": namespace, "port": 443},
            },
        },
        {
            "apiVersion": API_VERSION,
            "kind": POOL_KIND,
            "metadata": {"name": "default", "namespace": namespace},
            "spec": {},
        },
    ]

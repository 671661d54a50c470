"""`media-uninstall` as a process, against an API server that also has Deployments and APIServices.

The embedded cluster has neither built in. Here both are custom kinds of the same names, with the same subresources,
and the test does what their controllers would.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from media_core.names import PURGE_FINALIZER, RIGHTS_FINALIZER
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.embedded.faults import Effect
from support.apiobjects import custom_kind, media_asset
from support.deadlines import eventually
from support.wire import Wire

Object = dict[str, Any]
CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
ASSETS = "/apis/media.docfliq.com/v1alpha1/namespaces/default/mediaassets"
DEPLOYMENTS = "/apis/apps/v1/namespaces/system/deployments"
ROLE_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
PODS = "/api/v1/namespaces/system/pods"
API_SERVICE = "v1beta1.external.metrics.k8s.io"
FOREIGN = "example.org/keep"
LABELS = {"app.kubernetes.io/component": "operator", "app.kubernetes.io/instance": "media"}


SCALE = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
KINDS = (
    custom_kind("apps", "Deployment", "deployments", "Namespaced", status={}, scale=SCALE),
    custom_kind("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", "Namespaced"),
    custom_kind("apiregistration.k8s.io", "APIService", "apiservices", "Cluster", status={}),
)


@dataclass
class Installed:
    """A cluster with what the chart leaves to this program."""

    cluster: EmbeddedCluster
    wire: Wire
    environment: dict[str, str] = field(default_factory=dict)

    async def create(self, path: str, body: Object) -> None:
        created = await self.wire.create(path, body)
        assert created.code == 201, created.body

    async def delete(self, path: str, **options: Any) -> None:
        deleted = await self.wire.delete(path, options)
        assert deleted.code == 200, deleted.body

    async def find(self, path: str) -> Object | None:
        found = await self.wire.get(path)
        assert found.code in (200, 404), found.body
        return found.body if found.code == 200 else None

    async def asset(self, name: str, *finalizers: str) -> None:
        body = media_asset(name)
        body["metadata"]["finalizers"] = list(finalizers)
        await self.create(ASSETS, body)

    async def finalizers(self, name: str) -> list[str] | None:
        """None where it is gone."""
        found = await self.find(f"{ASSETS}/{name}")
        return None if found is None else found["metadata"].get("finalizers", [])

    async def deployment(self) -> None:
        """The operator with one pod that runs, and one that was evicted long ago."""
        await self.create("/api/v1/namespaces", {"metadata": {"name": "system"}})
        spec = {"replicas": 2, "selector": {"matchLabels": LABELS}}
        await self.create(
            DEPLOYMENTS,
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "media-operator"}, "spec": spec},
        )
        pod = {"containers": [{"name": "operator", "image": "unpullable.invalid/media-api:1"}]}
        pods = {"operator-0": LABELS, "evicted": LABELS, "other": {"app.kubernetes.io/component": "api"}}
        for name, labels in pods.items():
            await self.create(PODS, {"metadata": {"name": name, "labels": labels}, "spec": pod})
        evicted = await self.wire.merge(f"{PODS}/evicted/status", {"status": {"phase": "Failed"}})
        assert evicted.code == 200, evicted.body

    async def scaled_to(self) -> int:
        return int((await self.wire.get(f"{DEPLOYMENTS}/media-operator")).body["spec"]["replicas"])

    async def start(self, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "media_operator.uninstall",
            env={**self.environment, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def run(self, **environment: str) -> tuple[int, dict[str, Object]]:
        """Exit code, and the last log line of each event."""
        return await ended(await self.start(**environment))


async def ended(process: asyncio.subprocess.Process) -> tuple[int, dict[str, Object]]:
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    assert process.returncode is not None
    lines = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    return process.returncode, {line["event"]: line for line in lines}


@pytest.fixture
async def installed(tmp_path: Path) -> AsyncIterator[Installed]:
    async with EmbeddedCluster(CRDS, tmp_path) as cluster, aiohttp.ClientSession() as session:
        installed = Installed(
            cluster,
            Wire(session, cluster.url),
            {
                **{key: value for key, value in os.environ.items() if key.startswith(("PATH", "COVERAGE_", "LANG"))},
                "KUBECONFIG": str(cluster.kubeconfig),
                "MEDIA_NAMESPACE": "default",
                "MEDIA_OPERATOR_NAMESPACE": "system",
                "MEDIA_OPERATOR_DEPLOYMENT": "media-operator",
                "MEDIA_METRICS_APISERVICE": API_SERVICE,
            },
        )
        for kind in KINDS:
            await installed.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", kind)
        yield installed


async def test_the_way_is_made_free_in_order_and_nothing_else_is_deleted(installed: Installed) -> None:
    await installed.deployment()
    for name in (API_SERVICE, "v1.apps"):
        body = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}}
        await installed.create(API_SERVICES, body)
    await installed.asset("kept", PURGE_FINALIZER, FOREIGN)
    await installed.asset("free")

    running = await installed.start()

    async def is_scaled_to_zero() -> bool:
        return await installed.scaled_to() == 0

    await eventually(is_scaled_to_zero)
    assert await installed.find(f"{API_SERVICES}/{API_SERVICE}") is None
    assert await installed.finalizers("kept") == [PURGE_FINALIZER, FOREIGN], "while an operator's pod is there"
    await installed.delete(f"{PODS}/operator-0", gracePeriodSeconds=0)

    code, told = await ended(running)
    assert code == 0, told
    assert await installed.finalizers("kept") == [FOREIGN]
    assert await installed.finalizers("free") == []
    assert told["assets_freed"]["assets"] == 1
    assert await installed.find(f"{API_SERVICES}/v1.apps") is not None
    assert await installed.find(f"{PODS}/other") is not None


async def test_what_was_being_deleted_goes_and_its_media_are_said_to_stay(installed: Installed) -> None:
    for name in ("going", "also-going", "staying"):
        await installed.asset(name, PURGE_FINALIZER)
    for name in ("going", "also-going"):
        await installed.delete(f"{ASSETS}/{name}")

    code, told = await installed.run()

    assert code == 0, told
    assert await installed.finalizers("going") is None
    assert await installed.finalizers("staying") == []
    assert told["purge_skipped"]["assets"] == 2
    assert told["assets_freed"]["assets"] == 3


async def test_with_nothing_there_it_succeeds_and_a_second_time_too(installed: Installed) -> None:
    await installed.asset("one", PURGE_FINALIZER)
    assert (await installed.run(MEDIA_METRICS_APISERVICE=""))[0] == 0

    code, told = await installed.run()

    assert code == 0, told
    assert told["apiservice_deleted"]["was_there"] is False
    assert told["operator_stopped"]["was_there"] is False
    assert told["assets_freed"]["assets"] == 0
    assert "purge_skipped" not in told


async def test_the_rights_that_were_held_for_the_assets_are_let_go_after_them(installed: Installed) -> None:
    metadata = {"name": "media-operator", "finalizers": [RIGHTS_FINALIZER, FOREIGN]}
    body = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata}
    await installed.create(ROLE_BINDINGS, body)
    await installed.asset("one", PURGE_FINALIZER)

    code, told = await installed.run(MEDIA_RIGHTS_NAME="media-operator")

    assert code == 0, told
    assert list(told).index("assets_freed") < list(told).index("rights_let_go")
    left = await installed.find(f"{ROLE_BINDINGS}/media-operator")
    assert left is not None
    assert left["metadata"]["finalizers"] == [FOREIGN]


async def test_an_asset_that_is_written_meanwhile_and_an_api_server_in_trouble_are_tried_again(
    installed: Installed,
) -> None:
    names = [f"asset-{number}" for number in range(20)]
    for name in names:
        await installed.asset(name, PURGE_FINALIZER)
    faults = installed.cluster.faults
    faults.add(Effect.LOSE_ANSWER, verbs=("patch",), resource="mediaassets", times=5)
    faults.add(Effect.SERVER_ERROR, verbs=("list",), resource="mediaassets", times=1)

    code, told = await installed.run()

    assert code == 0, told
    assert [await installed.finalizers(name) for name in names] == [[]] * len(names)


async def test_an_operator_that_does_not_go_is_named_at_the_deadline_and_the_assets_are_left(
    installed: Installed,
) -> None:
    await installed.deployment()
    await installed.asset("one", PURGE_FINALIZER)

    code, told = await installed.run(MEDIA_UNINSTALL_SECONDS="3")

    assert code == 1
    assert "stopping Deployment system/media-operator" in told["uninstall_failed"]["message"]
    assert await installed.finalizers("one") == [PURGE_FINALIZER]


async def test_without_its_settings_it_says_which_one_is_missing(installed: Installed) -> None:
    installed.environment.pop("MEDIA_OPERATOR_DEPLOYMENT")
    process = await installed.start()
    out, _ = await process.communicate()
    assert process.returncode == 78
    assert b"MEDIA_OPERATOR_DEPLOYMENT is required and not set" in out

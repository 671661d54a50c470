"""The stock kubectl against the embedded cluster."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
import yaml

from media_devcluster.embedded.cluster import EmbeddedCluster
from support.apiobjects import media_asset, succeeded_condition, worker_pool
from support.deadlines import eventually
from support.wire import Wire

KUBECTL = Path(sys.executable).with_name("kubectl")
GROUP = "/apis/media.docfliq.com/v1alpha1/namespaces"
Kubectl = Callable[..., Awaitable[str]]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kubectl")


@pytest.fixture
async def wire(embedded_cluster: EmbeddedCluster) -> AsyncIterator[Wire]:
    async with aiohttp.ClientSession() as session:
        yield Wire(session, embedded_cluster.url)


@pytest.fixture
async def namespace(wire: Wire, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    name = f"kubectl-{abs(hash(request.node.nodeid)) % 10**8}"
    await wire.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    await wire.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def command(embedded_cluster: EmbeddedCluster, cache: Path, namespace: str) -> list[str]:
    kubeconfig = str(embedded_cluster.kubeconfig)
    return [str(KUBECTL), "--kubeconfig", kubeconfig, "--cache-dir", str(cache), "-n", namespace]


@pytest.fixture
def kubectl(command: list[str]) -> Kubectl:
    """Runs kubectl and returns what it prints; fails when kubectl does."""

    async def run(*arguments: str, given: str = "") -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            out, err = await process.communicate(given.encode())
        assert process.returncode == 0, err.decode()
        return out.decode()

    return run


@pytest.fixture
async def assets(wire: Wire, namespace: str) -> str:
    """Path of the assets, of which there is one that is being processed."""
    path = f"{GROUP}/{namespace}/mediaassets"
    await wire.create(path, media_asset("one"))
    status = {"phase": "Processing", "attempts": 1, "assignedJob": "job-7"}
    conditions = [succeeded_condition("Processing")]
    await wire.merge(f"{path}/one/status", {"status": {**status, "conditions": conditions}})
    return path


@pytest.fixture
async def pools(wire: Wire, namespace: str) -> str:
    """Path of the pools, of which there is one."""
    path = f"{GROUP}/{namespace}/mediaworkerpools"
    await wire.create(path, worker_pool("default"))
    return path


def cells(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines()]


async def test_get_shows_the_columns_of_the_crd(kubectl: Kubectl, assets: str) -> None:
    header, row = cells(await kubectl("get", "ma"))
    assert header == ["NAME", "TYPE", "PHASE", "REASON", "ATTEMPTS", "OWNER", "AGE"]
    assert row[:-1] == ["one", "IMAGE", "Processing", "Processing", "1", "user-1"]


async def test_get_wide_shows_the_others_too(kubectl: Kubectl, assets: str) -> None:
    header, row = cells(await kubectl("get", "ma", "-o", "wide"))
    assert header[-2:] == ["JOB", "SIZE"]
    assert row[-2:] == ["job-7", "1234"]


async def test_get_as_yaml_is_the_object(kubectl: Kubectl, assets: str) -> None:
    shown = yaml.safe_load(await kubectl("get", "mediaasset", "one", "-o", "yaml"))
    assert shown["status"]["assignedJob"] == "job-7"


async def test_get_by_category_shows_both_kinds(kubectl: Kubectl, assets: str, pools: str) -> None:
    shown = await kubectl("get", "media")
    assert "mediaasset.media.docfliq.com/one" in shown
    assert "mediaworkerpool.media.docfliq.com/default" in shown


async def test_get_by_selectors_chooses(kubectl: Kubectl, assets: str) -> None:
    chosen = await kubectl("get", "ma", "--field-selector", "status.assignedJob=job-7", "-o", "name")
    assert chosen.strip() == "mediaasset.media.docfliq.com/one"
    assert await kubectl("get", "ma", "-l", "no=such", "-o", "name") == ""


async def test_describe_shows_the_object_and_its_events(
    kubectl: Kubectl, wire: Wire, namespace: str, assets: str
) -> None:
    uid = (await wire.get(f"{assets}/one")).body["metadata"]["uid"]
    event = {
        "metadata": {"name": "one.1"},
        "involvedObject": {"kind": "MediaAsset", "name": "one", "namespace": namespace, "uid": uid},
        "reason": "Bound",
        "message": "bound to job-7",
        "type": "Normal",
        "source": {"component": "media-operator"},
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
        "count": 1,
    }
    assert (await wire.create(f"/api/v1/namespaces/{namespace}/events", event)).code == 201
    shown = await kubectl("describe", "ma", "one")
    assert "Assigned Job:  job-7" in shown
    assert "bound to job-7" in shown


async def test_delete_waits_until_the_object_is_gone(kubectl: Kubectl, wire: Wire, assets: str) -> None:
    await wire.merge(f"{assets}/one", {"metadata": {"finalizers": ["media.docfliq.com/purge"]}})
    deleting = asyncio.create_task(kubectl("delete", "ma", "one"))

    async def marked() -> bool:
        return "deletionTimestamp" in (await wire.get(f"{assets}/one")).body["metadata"]

    await eventually(marked)
    assert not deleting.done()
    await wire.merge(f"{assets}/one", {"metadata": {"finalizers": None}})
    assert "deleted" in await deleting
    assert (await wire.get(f"{assets}/one")).code == 404


async def test_a_pool_is_scaled(kubectl: Kubectl, wire: Wire, pools: str) -> None:
    assert "REPLICAS" in (await kubectl("get", "mwp")).splitlines()[0]
    await kubectl("scale", "mwp", "default", "--replicas=3")
    assert (await wire.get(f"{pools}/default")).body["spec"]["replicas"] == 3
    await kubectl("scale", "mwp", "default", "--current-replicas=3", "--replicas=5")
    assert (await wire.get(f"{pools}/default")).body["spec"]["replicas"] == 5


async def test_apply_creates_and_then_changes(kubectl: Kubectl, wire: Wire, namespace: str) -> None:
    body = worker_pool("applied", concurrency=3)
    assert "created" in await kubectl("apply", "-f", "-", given=json.dumps(body))
    body["spec"] = {"concurrency": 4}
    assert "configured" in await kubectl("apply", "-f", "-", given=json.dumps(body))
    assert "unchanged" in await kubectl("apply", "-f", "-", given=json.dumps(body))
    stored = (await wire.get(f"{GROUP}/{namespace}/mediaworkerpools/applied")).body
    assert stored["spec"]["concurrency"] == 4


async def test_apply_refuses_a_field_that_the_schema_does_not_know(kubectl: Kubectl) -> None:
    with pytest.raises(AssertionError, match="unknown field"):
        await kubectl("apply", "-f", "-", given=json.dumps(worker_pool("typo", replcas=3)))


async def test_annotate_label_and_patch_write(kubectl: Kubectl, wire: Wire, assets: str) -> None:
    await kubectl("annotate", "ma", "one", "media.docfliq.com/retry=now")
    await kubectl("label", "ma", "one", "seen=yes")
    await kubectl("patch", "ma", "one", "--type=merge", "-p", '{"spec":{"deletionPolicy":"Retain"}}')
    await kubectl("patch", "ma", "one", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Failed"}}')
    body = (await wire.get(f"{assets}/one")).body
    assert body["metadata"]["annotations"] == {"media.docfliq.com/retry": "now"}
    assert body["metadata"]["labels"] == {"seen": "yes"}
    assert body["spec"]["deletionPolicy"] == "Retain"
    assert body["status"]["phase"] == "Failed"


async def test_wait_sees_a_condition_come(kubectl: Kubectl, wire: Wire, assets: str) -> None:
    waiting = asyncio.create_task(kubectl("wait", "ma/one", "--for=condition=Succeeded", "--timeout=30s"))
    conditions = [succeeded_condition("Completed", status="True")]
    await wire.merge(f"{assets}/one/status", {"status": {"conditions": conditions}})
    assert "condition met" in await waiting


async def test_explain_tells_what_a_field_is(kubectl: Kubectl) -> None:
    assert "integer" in await kubectl("explain", "ma.spec.priority")


async def test_api_resources_lists_the_kinds(kubectl: Kubectl) -> None:
    rows = cells(await kubectl("api-resources", "--api-group=media.docfliq.com"))
    assert ["mediaassets", "ma", "media.docfliq.com/v1alpha1", "true", "MediaAsset"] in rows


@contextlib.asynccontextmanager
async def following(command: list[str], *arguments: str) -> AsyncIterator[asyncio.StreamReader]:
    """A kubectl that runs on, and its output."""
    process = await asyncio.create_subprocess_exec(*command, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        process.terminate()
        await process.wait()


async def test_get_watch_prints_a_row_for_every_change(command: list[str], wire: Wire, assets: str) -> None:
    async with following(command, "get", "ma", "--watch") as output, asyncio.timeout(30):
        assert b"PHASE" in await output.readline()
        assert b"Processing" in await output.readline()
        await wire.merge(f"{assets}/one/status", {"status": {"phase": "Completed"}})
        assert b"Completed" in await output.readline()


async def test_the_output_of_a_job_is_read(kubectl: Kubectl) -> None:
    container = {"name": "main", "image": "none", "command": ["echo", "hello"]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "greeter"},
        "spec": {"backoffLimit": 0, "template": template},
    }
    await kubectl("apply", "-f", "-", given=json.dumps(job))
    await kubectl("wait", "job/greeter", "--for=condition=Complete", "--timeout=30s")
    assert await kubectl("logs", "job/greeter") == "hello\n"
    assert "Succeeded" in await kubectl("describe", "job", "greeter")
    assert "greeter" in await kubectl("get", "pods")
    await kubectl("delete", "job", "greeter")

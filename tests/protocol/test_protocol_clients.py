"""The clients this project uses, against the server: kopf as an informer, kubernetes.aio for calls."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator
from typing import Any

import kopf
import pytest
from kubernetes.aio.client import ApiClient, BatchV1Api, CoordinationV1Api, CustomObjectsApi
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.watch import Watch

from support.apiobjects import media_asset
from support.deadlines import eventually
from support.wire import Wire

GROUP = ("media.docfliq.com", "v1alpha1")
Seen = list[tuple[str | None, str, str | None]]


@contextlib.asynccontextmanager
async def informer(api_client: ApiClient, namespace: str, **watching: Any) -> AsyncIterator[Seen]:
    """Kopf in a thread and loop of its own; yields (type, name, phase) of every event it hands over."""
    seen: Seen = []
    configuration = api_client.configuration
    token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    credentials = kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        scheme=token.split(" ")[0] if token else None,
        token=token.split(" ")[-1] if token else None,
    )
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.watching.reconnect_backoff = 0.05
    for name, value in watching.items():
        setattr(settings.watching, name, value)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return credentials

    @kopf.on.event(*GROUP, "mediaassets", registry=registry)
    async def handle(type: str | None, name: str, status: kopf.Status, **_: Any) -> None:
        seen.append((type, name, status.get("phase")))

    stop = threading.Event()

    def run() -> None:
        asyncio.run(kopf.operator(registry=registry, settings=settings, namespaces=[namespace], stop_flag=stop))

    thread = threading.Thread(target=run, name="kopf")
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()


async def test_kopf_sees_objects_that_were_there_and_those_that_come(
    wire: Wire, assets: str, namespace: str, api_client: ApiClient
) -> None:
    await wire.create(assets, media_asset("before"))
    async with informer(api_client, namespace, chunk_size=1) as seen:
        await eventually(lambda: (None, "before", "Pending") in seen)
        await wire.create(assets, media_asset("after"))
        await eventually(lambda: ("ADDED", "after", "Pending") in seen)
        await wire.merge(f"{assets}/after/status", {"status": {"phase": "Scheduled"}})
        await eventually(lambda: ("MODIFIED", "after", "Scheduled") in seen)
        await wire.delete(f"{assets}/after")
        await eventually(lambda: ("DELETED", "after", "Scheduled") in seen)


async def test_kopf_goes_on_when_the_server_ends_its_watches(
    wire: Wire, assets: str, namespace: str, api_client: ApiClient
) -> None:
    await wire.create(assets, media_asset("before"))
    async with informer(api_client, namespace, server_timeout=1) as seen:
        await eventually(lambda: (None, "before", "Pending") in seen)
        for number in range(12):
            await wire.create(assets, media_asset(f"a{number}"))
            await asyncio.sleep(0.2)
        await eventually(lambda: {name for _, name, _ in seen} >= {f"a{number}" for number in range(12)})
    assert [name for type_, name, _ in seen if type_ == "ADDED"] == [f"a{number}" for number in range(12)]


async def test_kubernetes_aio_writes_and_reads_custom_objects(
    wire: Wire, api_client: ApiClient, namespace: str
) -> None:
    api = CustomObjectsApi(api_client)
    place = (*GROUP, namespace, "mediaassets")
    created = await api.create_namespaced_custom_object(*place, media_asset("a"))
    assert created["spec"]["pool"] == "default"
    patched = await api.patch_namespaced_custom_object_status(
        *place,
        "a",
        {"status": {"phase": "Pending"}},
        _content_type="application/merge-patch+json",
    )
    assert patched["status"]["phase"] == "Pending"
    listed = await api.list_namespaced_custom_object(*place)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
    with pytest.raises(ApiException) as refused:
        await api.patch_namespaced_custom_object_status(
            *place,
            "a",
            [{"op": "test", "path": "/status/binding", "value": 1}],
            _content_type="application/json-patch+json",
        )
    assert refused.value.status == 422
    await api.delete_namespaced_custom_object(*place, "a")
    with pytest.raises(ApiException) as gone:
        await api.get_namespaced_custom_object(*place, "a")
    assert gone.value.status == 404


async def test_kubernetes_aio_watches(wire: Wire, assets: str, api_client: ApiClient, namespace: str) -> None:
    api = CustomObjectsApi(api_client)
    await wire.create(assets, media_asset("a"))
    await wire.merge(f"{assets}/a/status", {"status": {"assignedJob": "job-1"}})
    async with (
        Watch() as watch,
        asyncio.timeout(20),
    ):
        async for event in watch.stream(
            api.list_namespaced_custom_object,
            *GROUP,
            namespace,
            "mediaassets",
            field_selector="status.assignedJob=job-1",
            timeout_seconds=10,
        ):
            assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "a")
            break


async def test_kubernetes_aio_handles_jobs(api_client: ApiClient, namespace: str) -> None:
    api = BatchV1Api(api_client)
    container = {"name": "main", "image": "unpullable.invalid/none", "command": ["true"]}
    labels = {"app.kubernetes.io/managed-by": "protocol"}
    job = {
        "metadata": {"name": "job", "labels": labels},
        "spec": {"backoffLimit": 0, "template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    created = await api.create_namespaced_job(namespace, job)
    assert created.spec.backoff_limit == 0
    assert created.spec.template.metadata.labels["batch.kubernetes.io/job-name"] == "job"
    listed = await api.list_namespaced_job(namespace, label_selector="app.kubernetes.io/managed-by=protocol")
    assert [item.metadata.name for item in listed.items] == ["job"]
    await api.delete_namespaced_job("job", namespace, propagation_policy="Background")
    with pytest.raises(ApiException) as gone:
        await api.read_namespaced_job("job", namespace)
    assert gone.value.status == 404


async def test_a_lease_is_taken_by_one_of_two(api_client: ApiClient, namespace: str) -> None:
    api = CoordinationV1Api(api_client)
    lease = {
        "metadata": {"name": "leader"},
        "spec": {"holderIdentity": "one", "leaseDurationSeconds": 15},
    }
    await api.create_namespaced_lease(namespace, lease)
    first = await api.read_namespaced_lease("leader", namespace)
    second = await api.read_namespaced_lease("leader", namespace)
    first.spec.holder_identity, second.spec.holder_identity = "two", "three"
    taken = await api.replace_namespaced_lease("leader", namespace, first)
    assert taken.spec.holder_identity == "two"
    with pytest.raises(ApiException) as refused:
        await api.replace_namespaced_lease("leader", namespace, second)
    assert refused.value.status == 409

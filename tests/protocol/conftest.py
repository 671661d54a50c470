"""Fixtures of the protocol suite: any API server, reached by kubeconfig, and a namespace per test."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from support.wire import Wire

Object = dict[str, Any]
CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
READY_SECONDS = 20.0


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    """The server under test."""
    if request.config.getoption("--cluster") is not None:
        return Path(request.getfixturevalue("site").state.kubeconfig)
    given: Path | None = request.config.getoption("--api-server-kubeconfig")
    return given or request.getfixturevalue("embedded_cluster").kubeconfig


@pytest.fixture(scope="session")
async def api_client(kubeconfig: Path) -> AsyncIterator[ApiClient]:
    configuration = Configuration()
    await load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    async with ApiClient(configuration) as client:
        yield client


@pytest.fixture(scope="session")
async def wire(api_client: ApiClient) -> AsyncIterator[Wire]:
    """Raw access, with the media CRDs installed."""
    configuration = api_client.configuration
    token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    headers = {"Authorization": token} if token else {}
    connector = aiohttp.TCPConnector(ssl=api_client.rest_client.ssl_context)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
        wire = Wire(session, configuration.host.rstrip("/"))
        for path in CRDS:
            await install(wire, yaml.safe_load(path.read_text(encoding="utf-8")))
        yield wire


async def install(wire: Wire, definition: Object) -> None:
    """Makes sure that a CRD is there and served."""
    name = definition["metadata"]["name"]
    created = await wire.create(DEFINITIONS, definition)
    assert created.code == 201 or created.reason == "AlreadyExists", created.body
    deadline = time.monotonic() + READY_SECONDS
    spec = definition["spec"]
    served = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    while (await wire.get(served)).code != 200:
        assert time.monotonic() < deadline, f"{name} is not served"
        await asyncio.sleep(0.1)


@pytest.fixture
async def namespace(wire: Wire) -> AsyncIterator[str]:
    """A namespace of the test's own."""
    name = f"protocol-{uuid.uuid4().hex[:10]}"
    created = await wire.create("/api/v1/namespaces", {"metadata": {"name": name}})
    assert created.code == 201, created.body
    yield name
    inside = f"/apis/media.docfliq.com/v1alpha1/namespaces/{name}/mediaassets"
    for asset in (await wire.get(inside)).body["items"]:
        if asset["metadata"].get("finalizers"):  # nobody here answers them, and the namespace would wait for ever
            await wire.merge(f"{inside}/{asset['metadata']['name']}", {"metadata": {"finalizers": []}})
    await wire.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def assets(namespace: str) -> str:
    """Path of the assets of the test."""
    return f"/apis/media.docfliq.com/v1alpha1/namespaces/{namespace}/mediaassets"


@pytest.fixture
def pools(namespace: str) -> str:
    """Path of the pools of the test."""
    return f"/apis/media.docfliq.com/v1alpha1/namespaces/{namespace}/mediaworkerpools"


@pytest.fixture
def config_maps(namespace: str) -> str:
    """Path of the ConfigMaps of the test: a kind that every server has built in."""
    return f"/api/v1/namespaces/{namespace}/configmaps"

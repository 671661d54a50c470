"""Fixtures of the chart's tests: helm, and a real API server where one is given.

    pytest tests/chart --chart-helm PATH --chart-kubeconfig PATH

The cluster is for these tests alone: they install the chart, and with it CRDs and cluster-wide objects. An API server
and its etcd are enough, for nothing has to run.
"""

from __future__ import annotations

import os
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from support.chart import CHART, MODES, Helm, Object
from support.deadlines import eventually
from support.wire import Wire

CRDS = sorted((CHART / "files" / "crds").glob("*.yaml"))
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chart")
    group.addoption("--chart-helm", default=os.environ.get("MEDIA_HELM", "helm"), help="helm, by name or path")
    group.addoption("--chart-kubeconfig", type=Path, default=None, help="a cluster for the chart's tests alone")
    group.addoption("--update", action="store_true", help="write the snapshots anew")


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """helm without a cluster."""
    return Helm(request.config.getoption("--chart-helm"), tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def rendered(helm: Helm) -> Mapping[str, list[Object]]:
    """The objects of every mode."""
    return {mode: helm.render(values) for mode, values in MODES.items()}


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest) -> Path:
    """The real API server."""
    given: Path | None = request.config.getoption("--chart-kubeconfig")
    if given is None:
        pytest.fail("needs a real API server: --chart-kubeconfig")
    return given


@pytest.fixture(scope="session")
def live_helm(helm: Helm, kubeconfig: Path) -> Helm:
    """helm with the cluster."""
    return Helm(helm.program, helm.home, kubeconfig)


@pytest.fixture(scope="session")
async def wire(kubeconfig: Path) -> AsyncIterator[Wire]:
    """Raw access to the cluster, as its administrator."""
    configuration = Configuration()
    await load_kube_config(config_file=str(kubeconfig), client_configuration=configuration)
    async with ApiClient(configuration) as client:
        token = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        context: ssl.SSLContext = client.rest_client.ssl_context
        headers = {"Authorization": token} if token else {}
        connector = aiohttp.TCPConnector(ssl=context)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            yield Wire(session, configuration.host.rstrip("/"))


@pytest.fixture(scope="session")
async def kinds(wire: Wire) -> None:
    """The CRDs are served; whoever installs the chart may take them over or leave them."""
    for path in CRDS:
        definition: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        answer = await wire.create(DEFINITIONS, definition)
        assert answer.code == 201 or answer.reason == "AlreadyExists", answer.body
        plural = definition["spec"]["names"]["plural"]

        async def served(plural: str = plural) -> bool:
            return (await wire.get(f"/apis/media.docfliq.com/v1alpha1/{plural}")).code == 200

        await eventually(served, seconds=30)


@pytest.fixture
async def namespace(wire: Wire) -> AsyncIterator[str]:
    """A namespace of the test's own. Where no controller runs, what is in it stays until the server ends."""
    name = f"chart-{uuid.uuid4().hex[:8]}"
    answer = await wire.create("/api/v1/namespaces", {"metadata": {"name": name}})
    assert answer.code == 201, answer.body
    yield name
    await wire.delete(f"/api/v1/namespaces/{name}")

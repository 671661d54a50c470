"""What every folder of tests may use: options; an embedded cluster, PostgreSQL and S3 of the session."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import hypothesis
import pytest

from media_core.asset import VideoBackend
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.kind.stack import KindStack
from media_devcluster.local.stack import RELEASE, LocalStack
from media_devcluster.objectstore import S3
from media_devcluster.stack import Plan
from media_devcluster.state import ClusterKind
from support.backends import PostgresServer, postgres_server, s3_server
from support.site import Site

UNTIMED = {"deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow]}
"""How fast examples come says something of the machine: the first text of a fresh checkout builds Unicode's tables."""
hypothesis.settings.register_profile("gate", derandomize=True, **UNTIMED)
hypothesis.settings.register_profile("wide", max_examples=1000, **UNTIMED)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))
"""The gate tries the same examples every time; HYPOTHESIS_PROFILE=wide looks for new ones."""

NODE = Path("/var/tmp/media-e2e")
SMALL = {
    "resources": {
        "worker": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}},
        "decoder": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "2Gi"}},
    }
}
VALUES: Mapping[str, Any] = {
    "pool": {"idleSeconds": 10, "concurrency": 1, "template": SMALL},
    "video": {"pool": {"idleSeconds": 10, "template": SMALL}},
    "autoscaling": {"maxReplicas": 3, "targetBacklogSeconds": 5, "scaleDownStabilizationSeconds": 15},
}
"""Of the installed chart: as by default, but for requests that let three workers onto two cores, and for waiting
times that a test would spend waiting."""

CRDS = sorted((Path(__file__).parents[1] / "crds").glob("*.yaml"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-server-kubeconfig",
        type=Path,
        default=None,
        help="run tests/protocol against this cluster instead of an embedded one",
    )
    parser.addoption(
        "--cluster",
        choices=[ClusterKind.LOCAL.value, ClusterKind.KIND.value],
        default=None,
        help="the real cluster of the tests that need one; it is made, and the chart installed on it",
    )
    parser.addoption("--keep-cluster", action="store_true", help="leave it running, and use it again the next time")


@pytest.fixture(scope="session")
async def embedded_cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedCluster]:
    """One embedded cluster for all tests that do not disturb it."""
    async with EmbeddedCluster(CRDS, tmp_path_factory.mktemp("embedded")) as cluster:
        yield cluster


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    """A PostgreSQL server."""
    async with postgres_server() as server:
        yield server


@pytest.fixture
async def database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """A migrated database without rows."""
    async with postgres.migrated_database() as url:
        yield url


@pytest.fixture
async def empty_database_url(postgres: PostgresServer) -> AsyncIterator[str]:
    """A database without anything."""
    async with postgres.empty_database() as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's database."""
    connection = await asyncpg.connect(database_url, timeout=10)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def object_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[S3]:
    """An S3 server with a bucket."""
    async with s3_server(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(scope="session")
async def s3(object_store: S3) -> Any:
    """A boto3 client of it."""
    return await asyncio.to_thread(object_store.client)


@pytest.fixture(scope="session")
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """The chart, installed on a real cluster, for all tests of the session."""
    chosen = request.config.getoption("--cluster")
    if chosen is None:
        pytest.fail("a real cluster is needed: --cluster local")
    plan = Plan(NODE, cluster=ClusterKind(chosen), namespace="media", values=VALUES, video=VideoBackend.FFMPEG)
    stack = KindStack(plan, print) if plan.cluster is ClusterKind.KIND else LocalStack(plan, print)
    if not await stack.attach():
        await stack.start()
    try:
        node = stack.cluster if isinstance(stack, LocalStack) else None
        async with Site.reached(stack.state, RELEASE, stack.binaries["helm"], node, stack.values) as site:
            yield site
    finally:
        if not request.config.getoption("--keep-cluster"):
            await stack.stop()

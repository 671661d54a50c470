"""Fixtures of the integration tests: PostgreSQL and S3 of the session, a database and an API of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from support.api_site import ApiSite, api_site
from support.backends import PostgresServer, postgres_server, s3_server


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


@pytest.fixture
async def api(database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster) -> AsyncIterator[ApiSite]:
    """A running API."""
    async with api_site(database_url, object_store, embedded_cluster) as site:
        yield site

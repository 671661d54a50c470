"""Fixtures of the tests that need the ffmpeg programs: S3 of the session, a MediaConvert double of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_devcluster.objectstore import S3
from support.backends import s3_server
from support.double_site import DoubleSite, double_site


@pytest.fixture(scope="session")
async def object_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[S3]:
    """An S3 server with a bucket."""
    async with s3_server(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture
async def double(object_store: S3, tmp_path: Path) -> AsyncIterator[DoubleSite]:
    """A MediaConvert double that may be disturbed."""
    async with double_site(object_store, tmp_path / "double") as site:
        yield site

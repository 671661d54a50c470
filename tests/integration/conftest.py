"""What the integration tests share: an API of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from support.api_site import ApiSite, api_site


@pytest.fixture
async def api(database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster) -> AsyncIterator[ApiSite]:
    """A running API."""
    async with api_site(database_url, object_store, embedded_cluster) as site:
        yield site

"""What the tests that need the ffmpeg programs share: a MediaConvert double of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_devcluster.objectstore import S3
from support.double_site import DoubleSite, double_site


@pytest.fixture
async def double(object_store: S3, tmp_path: Path) -> AsyncIterator[DoubleSite]:
    """A MediaConvert double that may be disturbed."""
    async with double_site(object_store, tmp_path / "double") as site:
        yield site

"""For tests of faults: a service of its own for each test."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from media_devcluster.objectstore import S3
from support.backends import Gate, PostgresServer
from support.service import Service, running_service

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))


@pytest.fixture
async def service(postgres: PostgresServer, object_store: S3, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a pool of one worker that takes one image at a time; its operator is started by the test."""
    async with (
        postgres.migrated_database() as database_url,
        Gate(postgres.address) as gate,
        running_service(CRDS, tmp_path, database_url=database_url, gate=gate, store=object_store) as running,
    ):
        await running.pool(concurrency=1, prefetch=2, attempts={"limit": 3, "backoffSeconds": 0})
        yield running


@pytest.fixture(scope="session")
def picture() -> Callable[..., bytes]:
    """`picture(width, height, kind)`: a photograph-like image; the same arguments give the same bytes."""
    made: dict[Any, bytes] = {}

    def draw(width: int = 640, height: int = 480, kind: str = "JPEG", seed: int = 1) -> bytes:
        key = (width, height, kind, seed)
        if key not in made:
            noise = np.random.default_rng(seed).integers(
                0, 255, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8
            )
            image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
            out = io.BytesIO()
            image.save(out, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 85}))
            made[key] = out.getvalue()
        return made[key]

    return draw


@pytest.fixture(scope="session")
def slow_picture(picture: Callable[..., bytes]) -> bytes:
    """A PNG that takes a decoder a second or more: long enough to be interrupted at a known point."""
    return picture(6500, 6500, "PNG")

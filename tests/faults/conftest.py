"""For tests of faults: PostgreSQL and S3 of the session, and a service of its own for each test."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from support.backends_of_faults import Backends, running_backends
from support.service import Service, running_service

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))


@pytest.fixture(scope="session")
async def backends(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Backends]:
    """PostgreSQL with a migrated database to copy, and moto."""
    async with running_backends(tmp_path_factory.mktemp("backends")) as running:
        yield running


@pytest.fixture
async def database(backends: Backends) -> AsyncIterator[str]:
    """A database of the test's own; its URL."""
    name = f"test_{uuid4().hex}"
    server = backends.server_url.rsplit("/", 1)[0]
    await backends.execute(f"CREATE DATABASE {name} TEMPLATE media")
    yield f"{server}/{name}"
    await backends.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def service(backends: Backends, database: str, tmp_path: Path) -> AsyncIterator[Service]:
    """A service with a pool of one worker that takes one image at a time; its operator is started by the test."""
    async with running_service(
        CRDS,
        tmp_path,
        database_url=database,
        s3=backends.store.client(),
        s3_url=backends.store.endpoint,
        bucket=backends.store.bucket,
    ) as running:
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

"""Fixtures of the tests with a real S3 server: versitygw, which the chart embeds and which checks what it is sent.

pytest tests/realstore --versitygw PATH
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from media_devcluster.objectstore import S3
from media_devcluster.processes import Child, Command, free_port

BUCKET, REGION = "media-tests", "ap-south-1"
ACCESS, SECRET = "media-tests", "a secret of the tests"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--versitygw", type=Path, default=None, help="the program versitygw")


@pytest.fixture(scope="session")
async def store(request: pytest.FixtureRequest) -> AsyncIterator[S3]:
    """The server as the chart runs it, on a port of its own, with one bucket."""
    program: Path | None = request.config.getoption("--versitygw")
    if program is None:
        pytest.fail("a real S3 server is needed: --versitygw PATH")
    with TemporaryDirectory(prefix="realstore-") as name:
        folder = Path(name)
        (folder / "buckets" / BUCKET).mkdir(parents=True)
        (folder / "metadata").mkdir()
        port = free_port()
        store = S3(f"http://127.0.0.1:{port}", BUCKET, ACCESS, SECRET, REGION)
        child = Child.start(
            Command(
                name="versitygw",
                argv=(
                    str(program),
                    *("--quiet", "--keep-alive", "--health", "/health"),
                    *("posix", "--sidecar", str(folder / "metadata"), str(folder / "buckets")),
                ),
                log=folder / "log",
                folder=folder,
                env={
                    "VGW_PORT": f"127.0.0.1:{port}",
                    "VGW_REGION": REGION,
                    "VGW_CORS_ALLOW_ORIGIN": "*",
                    "ROOT_ACCESS_KEY": ACCESS,
                    "ROOT_SECRET_KEY": SECRET,
                },
            )
        )
        try:
            await child.ready(lambda: asyncio.to_thread(_answers, store))
            yield store
        finally:
            await child.stop()


def _answers(store: S3) -> bool:
    try:
        store.client().head_bucket(Bucket=store.bucket)
    except (BotoCoreError, ClientError):
        return False
    return True

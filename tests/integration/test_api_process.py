"""`media-api` as a process: start, refusal to start, memory, and a graceful end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from support.api_site import AUDIENCE, JPEG, NAMESPACE, SECRET, bearer

MEBIBYTE = 1 << 20


def environment(**settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PATH", "COVERAGE_", "LANG"))}
    return {**kept, "MEDIA_HOST": "127.0.0.1", "MEDIA_PORT": "0", **settings}


async def start(**settings: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media_api.main",
        env=environment(**settings),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(store: S3, database_url: str, cluster: EmbeddedCluster) -> AsyncIterator[tuple[Any, str]]:
    """The process, and where it listens."""
    process = await start(
        **store.environment,
        MEDIA_DATABASE_URL=database_url,
        MEDIA_NAMESPACE=NAMESPACE,
        MEDIA_JWT_SECRET=SECRET,
        MEDIA_JWT_AUDIENCE=AUDIENCE,
        KUBECONFIG=str(cluster.kubeconfig),
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            while line := await process.stderr.readline():
                said = json.loads(line) if line.startswith(b"{") else {}
                if said.get("event") == "api_started":
                    break
        assert line, "it ended before it was started"
        draining = asyncio.create_task(process.stderr.read())
        yield process, f"http://127.0.0.1:{said['port']}"
        process.send_signal(signal.SIGTERM) if process.returncode is None else None
        async with asyncio.timeout(20):
            await draining
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def uploaded(http: aiohttp.ClientSession, url: str, content: bytes) -> str:
    """A confirmed video; its key."""
    wanted = {"asset_type": "IMAGE", "content_type": "image/jpeg", "original_filename": "large.jpg"}
    async with http.post(f"{url}/api/v1/media/upload", json=wanted, headers=bearer()) as answer:
        asked = await answer.json()
    async with http.put(asked["upload_url"], data=content, headers=asked["required_headers"]) as answer:
        assert answer.status == 200
    body = {"asset_id": asked["asset_id"]}
    async with http.post(f"{url}/api/v1/media/upload/confirm", json=body, headers=bearer()) as answer:
        assert answer.status == 202
    return str(asked["s3_key"])


@pytest.mark.slow
async def test_a_large_file_is_passed_through_without_being_held_in_memory(
    object_store: S3, database_url: str, embedded_cluster: EmbeddedCluster
) -> None:
    size = 96 * MEBIBYTE
    async with (
        running(object_store, database_url, embedded_cluster) as (process, url),
        aiohttp.ClientSession() as http,
    ):
        key = await uploaded(http, url, JPEG + bytes(size - len(JPEG)))
        memory = psutil.Process(process.pid).memory_info
        before = most = memory().rss
        received = 0
        async with http.get(f"{url}/media/stream/{key}") as answer:
            async for chunk in answer.content.iter_chunked(256 * 1024):
                received += len(chunk)
                most = max(most, memory().rss)
        assert received == size
        assert most - before < 32 * MEBIBYTE


async def test_at_sigterm_running_requests_end_and_no_new_ones_begin(
    object_store: S3, database_url: str, embedded_cluster: EmbeddedCluster
) -> None:
    async with (
        running(object_store, database_url, embedded_cluster) as (process, url),
        aiohttp.ClientSession() as http,
    ):
        content = JPEG + bytes(24 * MEBIBYTE)
        key = await uploaded(http, url, content)
        async with http.get(f"{url}/media/stream/{key}") as answer:
            process.send_signal(signal.SIGTERM)
            received = await answer.read()
        assert len(received) == len(content)
        async with asyncio.timeout(15):
            assert await process.wait() == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        pytest.param({"MEDIA_JWT_SECRET": ""}, "exactly one of MEDIA_JWT_SECRET", id="no key"),
        pytest.param({"MEDIA_JWT_SECRET": "short"}, "at least 32 bytes", id="a short secret"),
        pytest.param({"MEDIA_JWKS_URL": "https://a.example.org/k"}, "exactly one of", id="two keys"),
        pytest.param(
            {"MEDIA_JWT_SECRET": "", "MEDIA_JWKS_FILE": "/nonexistent"}, "MEDIA_JWKS_FILE is wrong", id="no key file"
        ),
        pytest.param({"MEDIA_DATABASE_URL": ""}, "MEDIA_DATABASE_URL is required and not set", id="no database"),
        pytest.param({"MEDIA_PORT": "x"}, "Setting MEDIA_PORT is wrong", id="a port that is none"),
        pytest.param({"MEDIA_CORS_ORIGINS": "app.example.org"}, "MEDIA_CORS_ORIGINS is wrong", id="an origin"),
    ],
)
async def test_a_wrong_setting_stops_the_start_with_a_sentence_and_code_78(
    changed: dict[str, str], said: str, tmp_path: Path
) -> None:
    right = {
        "MEDIA_DATABASE_URL": "postgresql://media:x@127.0.0.1:1/media",
        "S3_BUCKET_MEDIA": "media-tests",
        "MEDIA_JWT_SECRET": SECRET,
    }
    process = await start(**{**right, **changed})
    async with asyncio.timeout(30):
        _, error = await process.communicate()
    assert process.returncode == 78
    assert said in error.decode()
    assert "Example: " in error.decode()
    assert "Traceback" not in error.decode()
    assert SECRET not in error.decode()

"""versitygw, the S3 server that the chart embeds, started as the chart starts it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from media_devcluster.objectstore import REGION, S3
from media_devcluster.processes import Child, Command, free_port

READY_SECONDS = 30.0


async def started(
    program: Path, folder: Path, bucket: str, begin: Callable[[Command], Child], address: str = "127.0.0.1"
) -> S3:
    """With that bucket, and what is in it below `folder`/buckets. Raises StartFailed."""
    buckets, metadata = folder / "buckets", folder / "metadata"
    (buckets / bucket).mkdir(parents=True)
    metadata.mkdir()
    port = free_port()
    store = S3(f"http://127.0.0.1:{port}", bucket, "tests", secrets.token_hex(16), REGION)
    options = ("--quiet", "--keep-alive", "--health", "/health")
    child = begin(
        Command(
            name="versitygw",
            argv=(str(program), *options, "posix", "--sidecar", str(metadata), str(buckets)),
            log=folder / "versitygw.log",
            folder=folder,
            env={
                "VGW_PORT": f"{address}:{port}",
                "VGW_REGION": store.region,
                "VGW_CORS_ALLOW_ORIGIN": "*",
                "ROOT_ACCESS_KEY": store.access_key,
                "ROOT_SECRET_KEY": store.secret_key,
            },
            patience_seconds=READY_SECONDS,
        )
    )
    await child.ready(lambda: asyncio.to_thread(_answers, store))
    return store


def _answers(store: S3) -> bool:
    try:
        store.client().head_bucket(Bucket=store.bucket)
    except (BotoCoreError, ClientError):
        return False
    return True

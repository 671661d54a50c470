"""The peer's worker: ARQ on Redis, twenty jobs at once, Pillow in a thread pool, boto3, one UPDATE per image.

It is what a user would otherwise pick, written as its documentation suggests and with nothing held back: one S3
client, one pool of connections, as many threads as jobs. Runs in the virtual environment of requirements/perf.lock,
so that nothing of it is a dependency of this project.
"""

from __future__ import annotations

import asyncio
import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ClassVar

import asyncpg
import boto3
from arq import run_worker
from arq.connections import RedisSettings
from botocore.client import Config
from recipe import renditions

READY = "ready"
"""Printed once it takes jobs."""
JOBS = 20
QUEUE = "media:tasks"
JOB_SECONDS = 1800
TRIES = 3
COMPLETED = "UPDATE peer.images SET transcode_status = 'COMPLETED', variants = $2, updated_at = now() WHERE id = $1"
FAILED = "UPDATE peer.images SET transcode_status = 'FAILED', updated_at = now() WHERE id = $1"


async def start(context: dict[str, Any]) -> None:
    """What all jobs share."""
    context["pool"] = ThreadPoolExecutor(JOBS)
    context["s3"] = boto3.client(
        "s3",
        endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"],
        region_name=os.environ["AWS_REGION"],
        config=Config(max_pool_connections=JOBS, s3={"addressing_style": "path"}),
    )
    context["database"] = await asyncpg.create_pool(os.environ["MEDIA_DATABASE_URL"], min_size=2, max_size=10)
    print(READY, flush=True)


async def end(context: dict[str, Any]) -> None:
    """Give it back."""
    await context["database"].close()
    context["pool"].shutdown()


async def process_image(context: dict[str, Any], asset: str, key: str) -> None:
    """One image, from its original to the row that says COMPLETED."""
    loop, pool, s3, bucket = asyncio.get_running_loop(), context["pool"], context["s3"], os.environ["S3_BUCKET_MEDIA"]
    try:
        data = await loop.run_in_executor(pool, lambda: s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        made = await loop.run_in_executor(pool, partial(renditions, data))
        keys = {}
        for name, body in made:
            keys[name] = f"processed/image/{asset}/{name}.webp"
            put = partial(s3.put_object, Bucket=bucket, Key=keys[name], Body=body, ContentType="image/webp")
            await loop.run_in_executor(pool, put)
    except Exception:
        if context["job_try"] >= TRIES:
            await context["database"].execute(FAILED, asset)
        raise
    await context["database"].execute(COMPLETED, asset, json.dumps(keys))


class WorkerSettings:
    """As ARQ reads them. What is not named here has ARQ's default, the half second between two polls as well."""

    functions: ClassVar = [process_image]
    redis_settings = RedisSettings.from_dsn(os.environ.get("REDIS_URL", "redis://localhost:6379/0"))
    queue_name = QUEUE
    max_jobs = JOBS
    max_tries = TRIES
    job_timeout = JOB_SECONDS
    keep_result = 3600
    on_startup = start
    on_shutdown = end


if __name__ == "__main__":
    run_worker(WorkerSettings)

"""The peer's side of a confirm: HEAD the original, write the row, enqueue the job. Orders come on stdin.

A line in is `{"asset": ..., "key": ...}`; a line out says the same asset and how many seconds the confirm took. It is
a process of its own because ARQ is installed in another virtual environment than the benchmark.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from functools import partial
from typing import Any

import asyncpg
import boto3
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from botocore.client import Config

QUEUE = "media:tasks"
AT_ONCE = 8
ROW = "INSERT INTO peer.images (id, s3_key, transcode_status) VALUES ($1, $2, 'PENDING') ON CONFLICT DO NOTHING"


async def confirm(redis: ArqRedis, database: asyncpg.Pool, s3: Any, order: dict[str, str]) -> float:
    """Seconds it took."""
    began = time.monotonic()
    head = partial(s3.head_object, Bucket=os.environ["S3_BUCKET_MEDIA"], Key=order["key"])
    await asyncio.get_running_loop().run_in_executor(None, head)
    await database.execute(ROW, order["asset"], order["key"])
    await redis.enqueue_job("process_image", order["asset"], order["key"], _queue_name=QUEUE)
    return time.monotonic() - began


async def main() -> None:
    s3 = boto3.client(
        "s3",
        endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"],
        region_name=os.environ["AWS_REGION"],
        config=Config(max_pool_connections=AT_ONCE, s3={"addressing_style": "path"}),
    )
    redis = await create_pool(RedisSettings.from_dsn(os.environ["REDIS_URL"]))
    database = await asyncpg.create_pool(os.environ["MEDIA_DATABASE_URL"], min_size=2, max_size=AT_ONCE)
    orders: asyncio.Queue[bytes] = asyncio.Queue()
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def serve() -> None:
        while True:
            order = json.loads(await orders.get())
            took = await confirm(redis, database, s3, order)
            print(json.dumps({"asset": order["asset"], "seconds": took}), flush=True)
            orders.task_done()

    async with asyncio.TaskGroup() as group:
        servers = [group.create_task(serve()) for _ in range(AT_ONCE)]
        print("{}", flush=True)  # ready
        while line := await reader.readline():
            orders.put_nowait(line)
        await orders.join()
        for server in servers:
            server.cancel()


if __name__ == "__main__":
    asyncio.run(main())

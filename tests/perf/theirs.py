"""The peer as a side of the race: its worker and its front as processes, its rows in a table of its own."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import asyncpg
import psutil

from media_core.renditions import DEFAULT_RENDITIONS
from media_devcluster.processes import Child, Command
from perf.peer.recipe import SIZES
from perf.services import Turn
from perf.sides import Settled

PEER = Path(__file__).parent / "peer"
TABLE = """
CREATE SCHEMA peer;
CREATE TABLE peer.images (
    id text PRIMARY KEY, s3_key text NOT NULL, transcode_status text NOT NULL, variants jsonb,
    updated_at timestamptz NOT NULL DEFAULT now()
)"""
SINCE = "SELECT id, transcode_status, updated_at FROM peer.images WHERE transcode_status <> 'PENDING'"
ONE = "SELECT transcode_status FROM peer.images WHERE id = $1"
AT_ONCE = 8
START_SECONDS = 60.0
READY = "ready"
"""What the worker prints once it takes jobs."""

if tuple((rendition.name, rendition.size) for rendition in DEFAULT_RENDITIONS) != SIZES:
    raise RuntimeError("The peer makes other renditions than this project: see perf/peer/recipe.py.")


class Theirs:
    """Made by `running`."""

    def __init__(self, turn: Turn, database: asyncpg.Connection, front: asyncio.subprocess.Process, worker: Child):
        self._turn = turn
        self._database = database
        self._front = front
        self._worker = worker
        self._s3 = turn.store.client()
        self._keys: dict[str, str] = {}

    async def put(self, photos: Sequence[Path]) -> list[str]:
        gate = asyncio.Semaphore(AT_ONCE)
        bucket = self._turn.store.bucket

        async def one(photo: Path) -> str:
            asset = str(uuid.uuid4())
            self._keys[asset] = f"uploads/image/{asset}.jpg"
            async with gate:
                await asyncio.to_thread(self._s3.upload_file, str(photo), bucket, self._keys[asset])
            return asset

        return list(await asyncio.gather(*map(one, photos)))

    async def confirm(self, assets: Sequence[str]) -> list[float]:
        assert self._front.stdin is not None
        assert self._front.stdout is not None
        for asset in assets:
            self._front.stdin.write(f"{json.dumps({'asset': asset, 'key': self._keys[asset]})}\n".encode())
        await self._front.stdin.drain()
        return [json.loads(await self._front.stdout.readline())["seconds"] for _ in assets]

    async def settled_since(self, moment: datetime) -> list[Settled]:
        rows = await self._database.fetch(f"{SINCE} AND updated_at >= $1", moment)
        return [Settled(row["id"], row["transcode_status"] == "COMPLETED", row["updated_at"]) for row in rows]

    async def shown(self, asset: str) -> bool:
        return bool(await self._database.fetchval(ONE, asset) == "COMPLETED")

    def workers(self) -> Iterable[psutil.Process]:
        worker = psutil.Process(self._worker.pid)
        return [worker, *worker.children(recursive=True)]

    def parts(self) -> Mapping[str, Iterable[psutil.Process]]:
        return {"workers": self.workers()}


@asynccontextmanager
async def running(turn: Turn, python: Path) -> AsyncIterator[Theirs]:
    """Start worker and front, by the interpreter that has ARQ."""
    database = await asyncpg.connect(turn.database_url)
    await database.execute(TABLE)
    environment = {
        **turn.store.environment,
        "MEDIA_DATABASE_URL": turn.database_url,
        "REDIS_URL": turn.redis_url,
    }
    log = turn.folder / "peer.log"
    command = Command(
        name="peer",
        argv=(str(python), str(PEER / "worker.py")),
        log=log,
        folder=turn.folder,
        env=environment,
        patience_seconds=START_SECONDS,
    )
    worker = Child.start(command)
    front = None
    try:
        front = await asyncio.create_subprocess_exec(
            str(python),
            str(PEER / "front.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, **environment},
        )
        assert front.stdout is not None
        await asyncio.wait_for(front.stdout.readline(), START_SECONDS)

        async def said_so() -> bool:
            return READY in log.read_text(encoding="utf-8", errors="replace").splitlines()

        await worker.ready(said_so)
        yield Theirs(turn, database, front, worker)
    finally:
        if front is not None:
            assert front.stdin is not None
            front.stdin.close()
            await asyncio.wait_for(front.wait(), START_SECONDS)
        await worker.stop()
        await database.close()

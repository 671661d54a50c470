"""The main job under fire: two hundred photographs, while worker, operator and API are each killed in the middle."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg
import psutil
import pytest

from media_core.asset import TranscodeStatus
from media_devcluster.client import Client, Refused
from media_devcluster.guessing import Media, look_at
from media_devcluster.stack import Plan, Stack
from media_devcluster.state import Part
from support.deadlines import eventually
from support.photos import photographs

PHOTOGRAPHS = 200
PHOTOS = Path(__file__).parents[2] / "build" / "bench-photos"
AT_ONCE = 8


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: Unix sockets below it have to fit into 107 bytes."""
    with TemporaryDirectory(prefix="two-") as name:
        yield Path(name)


async def carried(client: Client, media: Media, gate: asyncio.Semaphore) -> str:
    """As a patient client: every call is repeated until the API answers, a PUT that was already done counts."""

    async def patiently(call, *arguments):
        while True:
            try:
                return await call(*arguments)
            except Refused as refused:
                if refused.status not in (0, 502, 503, 504):
                    raise
                await asyncio.sleep(0.1)

    async with gate:
        upload = await patiently(client.announce, media)
        await patiently(client.put, media, upload)
        await patiently(client.confirm, upload.asset_id)
    return str(upload.asset_id)


def workers_of(stack: Stack) -> list[psutil.Process]:
    """The worker processes of the stack's Jobs."""
    cluster = psutil.Process(stack.children[Part.CLUSTER].pid)
    return [
        process
        for process in cluster.children(recursive=True)
        if any(Path(word).name == "media-worker" for word in process.cmdline()[:3])
    ]


def worker_lines(folder: Path) -> Iterator[dict[str, str]]:
    """What all workers logged."""
    for log in (folder / "cluster" / "logs").glob("*/worker.log"):
        for line in log.read_text().splitlines():
            if line.startswith("{"):
                yield json.loads(line)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.failure("F3", "F11")
async def test_killing_worker_operator_and_api_in_the_middle_loses_nothing_and_completes_nothing_twice(
    folder: Path,
) -> None:
    photos = photographs(PHOTOGRAPHS, folder=PHOTOS)
    plan = Plan(folder, pool={"replicas": 2, "concurrency": 1, "idleSeconds": 30})
    async with Stack(plan) as stack, Client(stack.state.api_url, stack.token("ada")) as client:
        ledger = await asyncpg.create_pool(stack.state.database_url, min_size=1, max_size=2)

        async def completed(count: int) -> bool:
            return await ledger.fetchval("SELECT count(*) FROM media.assets WHERE state = 'settled'") >= count

        async def disturb() -> None:
            await eventually(lambda: completed(20), 120)
            workers_of(stack)[0].kill()
            await eventually(lambda: completed(60), 120)
            await stack.kill(Part.OPERATOR)
            await stack.start_again(Part.OPERATOR)
            await eventually(lambda: completed(90), 120)
            await stack.kill(Part.API)
            await stack.start_again(Part.API)

        gate = asyncio.Semaphore(AT_ONCE)
        try:
            disturbing = asyncio.create_task(disturb())
            asset_ids = await asyncio.gather(*(carried(client, look_at(photo), gate) for photo in photos))
            await disturbing
            await eventually(lambda: completed(PHOTOGRAPHS), 200)
            rows = await ledger.fetch("SELECT id, transcode_status, attempts, status, reason FROM media.assets")
        finally:
            await ledger.close()

        assert len(set(asset_ids)) == PHOTOGRAPHS
        confirmed = [row for row in rows if str(row["id"]) in set(asset_ids)]
        assert len(confirmed) == PHOTOGRAPHS
        assert Counter(row["transcode_status"] for row in confirmed) == {"COMPLETED": PHOTOGRAPHS}
        assert Counter(row["attempts"] for row in confirmed) == {0: PHOTOGRAPHS}
        playback = await client.playback(asset_ids[0])
        assert playback.transcode_status is TranscodeStatus.COMPLETED
        assert [variant.name for variant in playback.variants] == ["thumbnail", "medium", "large"]
        reported = Counter(line["asset_id"] for line in worker_lines(folder) if line["event"] == "asset_completed")
        assert set(reported) <= set(asset_ids)
        assert max(reported.values()) == 1, "nothing was completed twice"
        assert len(reported) >= PHOTOGRAPHS - plan.pool["concurrency"], "only the killed worker may have said less"

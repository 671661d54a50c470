"""How fast the whole embedded stack is on this machine: `make bench`, or tests/perf/bench.py --help.

Photographs of 2 to 12 megapixels go the whole way: confirmed in a burst by one owner, while a second owner (the
visitor) confirms a small image now and then. Settled is what the ledger shows, since playback answers from there; it
is read every 25 ms. Memory is resident size, summed over a part's processes (pages they share count for each).
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import click
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from media_devcluster.client import Client
from media_devcluster.guessing import look_at
from media_devcluster.running import run
from media_devcluster.sizes import bytes_text, seconds_text
from media_devcluster.stack import Plan, Stack
from media_devcluster.state import Part
from support.photos import photographs

PHOTOS = Path(__file__).parents[2] / "build" / "bench-photos"
AT_ONCE = 8
LOOK_SECONDS = 0.025
SAMPLE_SECONDS = 0.25
VISITOR_SECONDS = 2.0
SINGLES = 5
SETTLED = "SELECT id::text, transcode_status FROM media.assets WHERE state = 'settled'"
err = Console(stderr=True, highlight=False)


@dataclass
class Seen:
    """When each asset was first seen settled, and what memory was used at most."""

    settled: dict[str, float] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    rss: dict[str, int] = field(default_factory=dict)

    async def all_of(self, assets: Sequence[str], seconds: float) -> None:
        """Wait until all of them are settled."""
        async with asyncio.timeout(seconds):
            while not all(asset in self.settled for asset in assets):
                await asyncio.sleep(LOOK_SECONDS)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


@asynccontextmanager
async def observed(stack: Stack) -> AsyncIterator[Seen]:
    """Look at the ledger and at the processes' memory until the end of the block."""
    seen = Seen()
    connection = await asyncpg.connect(stack.state.database_url)

    async def ledger() -> None:
        while True:
            for row in await connection.fetch(SETTLED):
                seen.settled.setdefault(row["id"], time.monotonic())
                if row["transcode_status"] != "COMPLETED":
                    seen.failed.add(row["id"])
            await asyncio.sleep(LOOK_SECONDS)

    async def memory() -> None:
        while True:
            cluster = stack.children[Part.CLUSTER]
            now = {
                "operator": stack.children[Part.OPERATOR].rss_bytes(),
                "api": stack.children[Part.API].rss_bytes(),
                "workers": cluster.rss_bytes() - cluster.rss_bytes(alone=True),
            }
            seen.rss = {name: max(size, seen.rss.get(name, 0)) for name, size in now.items()}
            await asyncio.sleep(SAMPLE_SECONDS)

    tasks = [asyncio.create_task(ledger()), asyncio.create_task(memory())]
    try:
        yield seen
    finally:
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                err.print(f"the observation broke off: {outcome!r}")
        await connection.close()


@dataclass(frozen=True)
class Confirmed:
    """An upload that was confirmed: when, and how long the answer took."""

    asset: str
    at: float
    took: float


async def put(client: Client, path: Path) -> str:
    """Upload without confirming."""
    media = look_at(path)
    upload = await client.announce(media)
    await client.put(media, upload)
    return str(upload.asset_id)


async def confirm(client: Client, asset: str) -> Confirmed:
    """Confirm, by the clock."""
    began = time.monotonic()
    await client.confirm(asset)
    return Confirmed(asset, began, time.monotonic() - began)


async def singles(client: Client, seen: Seen, photo: Path, count: int) -> list[float]:
    """One image at a time, each alone in the stack."""
    took = []
    for _ in range(count):
        done = await confirm(client, await put(client, photo))
        await seen.all_of([done.asset], 120)
        took.append(seen.settled[done.asset] - done.at)
    return took


async def visit(client: Client, small: Path, visits: list[Confirmed]) -> None:
    """A second owner's uploads, until cancelled."""
    while True:
        visits.append(await confirm(client, await put(client, small)))
        await asyncio.sleep(VISITOR_SECONDS)


async def measure(stack: Stack, photos: Sequence[Path]) -> dict[str, Any]:
    """All numbers."""
    small = min(photos, key=lambda path: path.stat().st_size)
    typical = sorted(photos, key=lambda path: path.stat().st_size)[len(photos) // 2]
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(work: Any) -> Any:
        async with gate:
            return await work

    async with (
        Client(stack.state.api_url, stack.token("owner")) as owner,
        Client(stack.state.api_url, stack.token("visitor")) as visitor,
        observed(stack) as seen,
    ):
        err.print("one image, no worker running …")
        (cold,) = await singles(owner, seen, typical, 1)
        err.print("one image at a time on the warm worker …")
        warm = await singles(owner, seen, typical, SINGLES)
        err.print(f"uploading {len(photos)} photographs …")
        assets = await asyncio.gather(*(one(put(owner, photo)) for photo in photos))
        err.print("confirming and processing them …")
        visits: list[Confirmed] = []
        began = time.monotonic()
        visiting = asyncio.create_task(visit(visitor, small, visits))
        confirmed = await asyncio.gather(*(one(confirm(owner, asset)) for asset in assets))
        await seen.all_of(assets, 60 + 5.0 * len(assets))
        visiting.cancel()
        await asyncio.gather(visiting, return_exceptions=True)
        ended = max(seen.settled[asset] for asset in assets)
        await seen.all_of([each.asset for each in visits], 60)
    whole = [seen.settled[each.asset] - each.at for each in confirmed]
    meanwhile = sum(seen.settled[each.asset] <= ended for each in visits)
    visited = [seen.settled[each.asset] - each.at for each in visits]
    return {
        "s3": "moto",
        "cluster": "embedded",
        "cores": os.cpu_count(),
        "pool": dict(stack.plan.pool),
        "photos": len(photos),
        "photos_bytes": sum(path.stat().st_size for path in photos),
        "failed": len(seen.failed.intersection(assets)),
        "images_per_second": (len(photos) + meanwhile) / (ended - began),
        "completed_seconds": _both(whole),
        "confirm_seconds": _both([each.took for each in confirmed]),
        "visitor_confirm_seconds": _both([each.took for each in visits]),
        "visitor_completed_seconds": _both(visited),
        "visits": len(visits),
        "single_warm_seconds": statistics.median(warm),
        "single_cold_seconds": cold,
        "peak_rss_bytes": seen.rss,
    }


def _both(values: Sequence[float]) -> dict[str, float]:
    return {"p50": percentile(values, 0.5), "p95": percentile(values, 0.95)}


def show(found: dict[str, Any]) -> None:
    """For people."""

    def two(key: str) -> str:
        return f"{seconds_text(found[key]['p50']):>8} {seconds_text(found[key]['p95']):>8}"

    rss = found["peak_rss_bytes"]
    print(f"{found['photos']} photographs, {bytes_text(found['photos_bytes'])}, {found['failed']} failed")
    print(f"{found['cores']} cores, embedded cluster, S3: moto, pool {json.dumps(found['pool'])}\n")
    print(f"throughput                    {found['images_per_second']:.2f} images/s")
    print(f"one image, worker warm        {seconds_text(found['single_warm_seconds']):>8}")
    print(f"one image, no worker yet      {seconds_text(found['single_cold_seconds']):>8}\n")
    print(f"{'':<41} {'p50':>8} {'p95':>8}")
    print(f"the burst ({AT_ONCE} confirms at once)")
    print(f"  confirm answered                        {two('confirm_seconds')}")
    print(f"  confirm to COMPLETED                    {two('completed_seconds')}")
    print(f"the visitor, while those are processed ({found['visits']} times)")
    print(f"  confirm answered                        {two('visitor_confirm_seconds')}")
    print(f"  confirm to COMPLETED                    {two('visitor_completed_seconds')}\n")
    print("peak memory                   " + ", ".join(f"{name} {bytes_text(size)}" for name, size in rss.items()))


@click.command()
@click.option("--count", default=200, show_default=True, type=click.IntRange(min=1), help="Photographs.")
@click.option("--replicas", default=1, show_default=True, help="Workers.")
@click.option("--concurrency", default=2, show_default=True, help="Images each worker decodes at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def main(count: int, replicas: int, concurrency: int, as_json: bool) -> None:
    """Send photographs through the whole embedded stack and print how fast it was.

    \b
    tests/perf/bench.py --count 50 --json
    """

    async def bench() -> int:
        with tempfile.TemporaryDirectory(prefix="media-bench-") as name:
            folder = Path(name)
            err.print(f"making {count} photographs …")
            photos = await asyncio.to_thread(photographs, count, folder=PHOTOS)
            pool = {"replicas": replicas, "concurrency": concurrency, "idleSeconds": 60}
            async with Stack(Plan(folder / "stack", pool=pool), lambda line: err.print(f"  ✓ {line}")) as stack:
                found = await measure(stack, list(photos))
        if as_json:
            print(json.dumps(found))
        else:
            show(found)
        return int(found["failed"] > 0)

    raise SystemExit(run(bench(), lambda line: err.print(line)))


if __name__ == "__main__":
    main()

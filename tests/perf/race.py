"""One turn of one side: a burst of photographs, confirm to done, and images one at a time on the warm worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from perf.memory import Memory, cpu_seconds, sampled
from perf.sides import Side

LOOK_SECONDS = 0.05
SHOWN_SECONDS = 0.01
OVERLAP = timedelta(seconds=2)
"""How far each look reaches back: a row is written some time before its transaction can be seen."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
PATIENCE_SECONDS = 120.0
PER_ASSET_SECONDS = 5.0
Tell = Callable[[str], None]


class NotDone(Exception):
    """A side lost or refused something: no number of such a run is worth anything."""


@dataclass
class Burst:
    """What came of many at once."""

    count: int
    seconds: float = 0.0
    confirms: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)
    cpu: dict[str, float] = field(default_factory=dict)
    """Processor seconds of each part, for all of them together."""

    @property
    def per_second(self) -> float:
        """First confirm to last row."""
        return self.count / self.seconds


async def burst(side: Side, photos: Sequence[Path], tell: Tell) -> Burst:
    """Confirm all of them and wait until all are done. Raises NotDone."""
    tell(f"uploading {len(photos)}")
    assets = await side.put(photos)
    tell(f"processing {len(photos)}")
    before = await asyncio.to_thread(_spent, side)
    async with sampled(side.workers) as memory:
        seen = asyncio.create_task(_watched(side, assets, tell))
        began = time.monotonic()
        try:
            confirms = await side.confirm(assets)
            done = await seen
        finally:
            seen.cancel()
    after = await asyncio.to_thread(_spent, side)
    ends = [done[asset] - began for asset in assets]
    cpu = {part: seconds - before.get(part, 0.0) for part, seconds in after.items()}
    return Burst(len(assets), max(ends), confirms, ends, memory, cpu)


def _spent(side: Side) -> dict[str, float]:
    return {part: cpu_seconds(processes) for part, processes in side.parts().items()}


async def _watched(side: Side, assets: Sequence[str], tell: Tell) -> dict[str, float]:
    """When each was first seen done, by this process's clock."""
    wanted, seen, last = set(assets), dict[str, float](), EARLIEST
    said = time.monotonic()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS + PER_ASSET_SECONDS * len(assets)):
            while len(seen) < len(wanted):
                rows = await side.settled_since(last - OVERLAP if last > EARLIEST else EARLIEST)
                now = time.monotonic()
                for row in rows:
                    last = max(last, row.written)
                    if row.asset in wanted and not row.ok:
                        raise NotDone(f"asset {row.asset} failed")
                    if row.asset in wanted:
                        seen.setdefault(row.asset, now)
                if now - said > 5:
                    tell(f"processing {len(wanted)}: {len(seen)} done")
                    said = now
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise NotDone(f"{len(wanted) - len(seen)} of {len(wanted)} assets were not done in time") from None
    return seen


async def single(side: Side, photo: Path, seconds: float = PATIENCE_SECONDS) -> float:
    """One image alone, from the beginning of its confirm until a page would show it. Raises NotDone."""
    (asset,) = await side.put([photo])
    began = time.monotonic()
    await side.confirm([asset])
    try:
        async with asyncio.timeout(seconds):
            while not await side.shown(asset):
                await asyncio.sleep(SHOWN_SECONDS)
    except TimeoutError:
        raise NotDone(f"asset {asset} was not shown within {seconds:.0f} s") from None
    return time.monotonic() - began


async def singles(side: Side, photos: Sequence[Path], tell: Tell) -> list[float]:
    """Several, each alone; the side's worker is warm because it has just done others."""
    tell(f"{len(photos)} one at a time")
    return [await single(side, photo) for photo in photos]

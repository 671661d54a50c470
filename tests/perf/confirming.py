"""Confirms at a steady rate while images are processed: how long the answer takes, whoever else is waiting.

The requests are sent by the clock and not one after the other: a slow answer delays none of those behind it, so it
cannot hide what they would have waited.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from media_devcluster.client import Client, Refused
from perf.figures import tail
from perf.ours import Ours, put
from perf.race import EARLIEST, LOOK_SECONDS, NotDone, Tell

LATE_SECONDS = 0.01
SETTLE_SECONDS = 600.0


@dataclass(frozen=True)
class Confirming:
    """What was asked, and what it took."""

    per_second: float
    seconds: list[float]
    late: int
    """Requests that this program itself sent late: its numbers are the worse for it, not the better."""
    refused: list[str]
    """What the API said to those that it did not take."""

    def to_json(self) -> dict[str, float]:
        """As a JSON object."""
        asked = {"per_second": self.per_second, "count": len(self.seconds), "late": self.late}
        return {**tail(self.seconds), **asked, "refused": len(self.refused)}


async def measure(
    ours: Ours, photos: Sequence[Path], small: Path, tell: Tell, *, per_second: float = 50.0, seconds: float = 8.0
) -> Confirming:
    """Confirm a burst of photographs, and then another owner's small images at that rate. Raises NotDone."""
    count = max(1, round(per_second * seconds))
    async with ours.client("visitor") as visitor:
        tell(f"uploading {count} small images and {len(photos)} photographs")
        visits = await put(visitor, [small] * count)
        burst = await ours.put(photos)
        tell(f"confirming {per_second:.0f} a second while {len(photos)} are processed")
        await ours.confirm(burst)
        answers, late = await _steadily(visitor, visits, per_second)
        taken = {asset for asset, answer in zip(visits, answers, strict=True) if answer.refused is None}
        await _until_done(ours, {*taken, *burst}, tell)
    refused = [answer.refused for answer in answers if answer.refused is not None]
    for text in sorted(set(refused)):
        tell(f"{refused.count(text)} confirms were refused: {text}")
    return Confirming(per_second, [answer.seconds for answer in answers], late, refused)


@dataclass(frozen=True, slots=True)
class _Answer:
    seconds: float
    refused: str | None


async def _steadily(client: Client, assets: Sequence[str], per_second: float) -> tuple[list[_Answer], int]:
    began, late = time.monotonic() + 0.1, 0
    asked = []
    for index, asset in enumerate(assets):
        due = began + index / per_second
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        late += time.monotonic() - due > LATE_SECONDS
        asked.append(asyncio.create_task(_since(client, asset, due)))
    return list(await asyncio.gather(*asked)), late


async def _since(client: Client, asset: str, due: float) -> _Answer:
    """Counted from when it was due, not from when it was sent."""
    refused = None
    try:
        await client.confirm(asset)
    except Refused as error:
        refused = str(error)
    return _Answer(time.monotonic() - due, refused)


async def _until_done(ours: Ours, assets: set[str], tell: Tell) -> None:
    """Leave nothing for the next measurement."""
    tell(f"waiting until all {len(assets)} are done")
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            while not assets <= {row.asset for row in await ours.settled_since(EARLIEST)}:
                await asyncio.sleep(10 * LOOK_SECONDS)
    except TimeoutError:
        raise NotDone(f"not all of {len(assets)} assets were done after {SETTLE_SECONDS:.0f} s") from None

"""The answer to "why is it still waiting?", written to the assets that could be bound but are not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from media_core.asset import MediaAsset
from media_core.conditions import Truth
from media_core.reasons import Reason
from media_core.scheduling import Snapshot, Waiting, waits_because
from media_operator.world import World
from media_operator.writing import StatusWriting

EVERY = timedelta(seconds=5)
AT_ONCE = 20
"""Waiting assets told in one go: a pool's trouble must not become ten thousand writes."""


class Explaining:
    """Tells waiting assets their reason, now and then, where it differs from the one they show."""

    def __init__(self, world: World, writing: StatusWriting) -> None:
        self._world, self._writing = world, writing
        self._told: dict[str, datetime] = {}

    async def explain(self, pool: str, seen: Snapshot, binding: set[str], now: datetime) -> None:
        """Those of a pool, oldest first, but for the ones that are just being bound.

        The tick's own writes lie between `seen` and this, and a pause of any length: who does not wait by now, as
        the cache has it, is not told that it waits.
        """
        if now - self._told.get(pool, now - EVERY) < EVERY:
            return
        self._told[pool] = now
        why = waits_because(seen, now)
        patience = max(EVERY, why.patience)
        waiting = (
            self._world.assets[each.name] for each in self._in_line(pool) if each.due(now) and each.name not in binding
        )
        long = (asset for asset in waiting if _since(asset, now) >= patience)
        await self._tell(long, why.reason, why.message, now)

    async def without_pool(self, pool: str, now: datetime) -> None:
        """Those whose pool is not there; they are told at once."""
        message = f"There is no MediaWorkerPool named {pool}; create it, and the asset is processed."
        waiting = (self._world.assets[each.name] for each in self._in_line(pool))
        await self._tell(waiting, Reason.POOL_MISSING, message, now)

    def _in_line(self, pool: str) -> list[Waiting]:
        """All who wait, oldest first."""
        return sorted(self._world.index.lines[pool], key=lambda each: (each.created, each.name))

    async def _tell(self, waiting: Iterable[MediaAsset], reason: Reason, message: str, now: datetime) -> None:
        news = [asset for asset in waiting if asset.status is not None and asset.status.reason != reason.value]
        for asset in news[:AT_ONCE]:
            if asset.status is not None:
                await self._writing.replace(asset, asset.status.because(Truth.UNKNOWN, reason, message, now))


def _since(asset: MediaAsset, now: datetime) -> timedelta:
    """For how long its summary has been what it is."""
    summary = asset.status.succeeded if asset.status else None
    return now - summary.last_transition_time if summary else timedelta()

"""The ledger's side of the operator: rows that want an object get one, rows that want to be gone are purged.

The API creates most objects itself; this makes up for the times it could not, keeps the number of live objects
bounded, and is fair to owners while it does.
"""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from media_core.asset import asset_manifest
from media_core.backlog import Volume
from media_core.leavings import folders, leavings
from media_core.pool import pool_of
from media_operator.adapters.cluster import AlreadyExists, Cluster, ClusterError, Invalid, Kind
from media_operator.adapters.objectstore import ObjectStore, StoreUnavailable
from media_operator.ledger import Ledger, LedgerRow, LedgerUnavailable
from media_operator.world import World

log = structlog.get_logger()

EVERY_SECONDS = 1.0
SWEEP_SECONDS = 300.0
LEFT_TO_THE_API_SECONDS = 2.0
PURGE_AGAIN_SECONDS = 1000.0
"""Longer than an upload URL lives: until then its holder could put the original back."""
BATCH = 200
CREATES_AT_ONCE = 16


class Intake:
    """Reads the ledger once a second. `unborn` is what it last saw waiting for an object."""

    def __init__(
        self,
        world: World,
        cluster: Cluster,
        ledger: Ledger,
        store: ObjectStore,
        max_live: int,
    ) -> None:
        self._world, self._cluster, self._ledger = world, cluster, ledger
        self._store, self._max_live = store, max_live
        self.unborn: list[Volume] = []

    async def run(self) -> None:
        """Read until cancelled; an outage of anything is waited out."""
        swept = 0.0
        while True:
            if self._world.complete:
                try:
                    await self.read()
                    now = asyncio.get_running_loop().time()
                    if now - swept >= SWEEP_SECONDS:
                        swept = now
                        abandoned, forgotten = await self._ledger.sweep()
                        log.info("ledger_swept", abandoned=abandoned, forgotten=forgotten)
                except (LedgerUnavailable, ClusterError, StoreUnavailable) as error:
                    log.warning("intake_waits", error=str(error))
                except Exception:  # one row's surprise must not stop the intake; the next read tries again, loudly
                    log.exception("intake_failed")
            await asyncio.sleep(EVERY_SECONDS)

    async def read(self) -> None:
        """One reading: create what is missing, delete what is deleted, purge tombstones again."""
        live = [asset.name for asset in self._world.assets]
        rows = await self._ledger.creatable(live, BATCH, LEFT_TO_THE_API_SECONDS)
        room = max(0, self._max_live - len(live))
        self._world.make_room(len(rows) - room)
        gate = asyncio.Semaphore(CREATES_AT_ONCE)
        await asyncio.gather(*(self._create(row, gate) for row in rows[:room]))
        self.unborn = await self._ledger.confirmed_without_object([asset.name for asset in self._world.assets])
        for row in await self._ledger.deleting():
            await self._delete(row)
        for row in await self._ledger.unpurged(PURGE_AGAIN_SECONDS):
            await self._purge(row)
            await self._ledger.purged(row.id)
            log.info("asset_purged_again", asset_id=row.id)

    async def _create(self, row: LedgerRow, gate: asyncio.Semaphore) -> None:
        async with gate:
            body: dict[str, Any] | None
            try:
                body = await self._cluster.create(
                    Kind.ASSET, asset_manifest(row.id, self._cluster.namespace, row.spec)
                )
            except AlreadyExists:
                body = await self._cluster.get(Kind.ASSET, row.id)
                if body is None:
                    return
            except Invalid as error:
                log.error("object_refused", asset_id=row.id, error=str(error))
                return
        self._world.wrote(Kind.ASSET, body)

    async def _delete(self, row: LedgerRow) -> None:
        """With an object, by its finalizer; without one, here. The LIST may lag, so the object is asked for live."""
        body = await self._cluster.get(Kind.ASSET, row.id)
        if body is None:
            await self._purge(row)
            await self._ledger.tombstone(row.id, row.spec, row.status, media_kept=False)
            log.info("asset_purged", asset_id=row.id, media_kept=False)
        elif "deletionTimestamp" not in body["metadata"]:
            await self._cluster.delete(Kind.ASSET, row.id, body["metadata"]["uid"])

    async def _purge(self, row: LedgerRow) -> None:
        pool = self._world.pools.get(pool_of(row.spec))
        keys = leavings(row.id, row.spec, row.status, pool, self._store.bucket)
        await self._store.purge(keys, folders(row.id, row.spec))

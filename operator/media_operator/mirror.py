"""The mirror: what was seen of an object is written to its row, newest sight only, as soon as the last write is done.

There is no timer: while one batch is being written the next one gathers, so a quiet service answers at once and a
busy one writes large batches. With PostgreSQL away it keeps the newest sight of each and catches up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from media_core.asset import MediaAsset
from media_operator import metrics
from media_operator.ledger import Ledger, LedgerRefused, LedgerUnavailable

log = structlog.get_logger()

BATCH = 500


class Mirror:
    """Sights to be written, and which settled versions the ledger has."""

    def __init__(self, ledger: Ledger, written: Callable[[str], None]) -> None:
        """`written(name)` is called when a settled asset's row has been written: its object may go."""
        self._ledger = ledger
        self._written = written
        self._dirty: dict[str, MediaAsset] = {}
        self._archived: dict[str, tuple[str, int]] = {}
        self._gone: set[str] = set()
        """Of the dirty ones, those whose object is gone: once written, there is nothing to remember of them."""
        self._wake = asyncio.Event()

    def seen(self, asset: MediaAsset) -> None:
        """Take in a newer sight."""
        if asset.status is None:
            return
        self._dirty[asset.name] = asset
        self._gone.discard(asset.name)
        metrics.MIRROR_PENDING.set(len(self._dirty))
        self._wake.set()

    def gone(self, name: str) -> None:
        """The object is gone; its last sight is still written."""
        self._archived.pop(name, None)
        if name in self._dirty:
            self._gone.add(name)

    def archived(self, asset: MediaAsset) -> bool:
        """Whether the ledger has this settled sight (a later change of metadata alone does not count)."""
        uid, version = self._archived.get(asset.name, ("", -1))
        return uid == asset.uid and version >= 0 and asset.name not in self._dirty

    async def run(self) -> None:
        """Write until cancelled."""
        wait = 0.2
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                batch = dict(list(self._dirty.items())[:BATCH])
                try:
                    await self._write(batch)
                except LedgerUnavailable as error:
                    log.warning("mirror_waits", pending=len(self._dirty), error=str(error), seconds=wait)
                    metrics.MIRROR_FAILURES.inc()
                    await asyncio.sleep(wait)
                    wait = min(wait * 2, 5.0)
                    continue
                wait = 0.2
                self._settle(batch)

    async def _write(self, batch: dict[str, MediaAsset]) -> None:
        """The batch; where one of it is refused, each by itself, and that one is left out, loudly."""
        try:
            await self._ledger.mirror(list(batch.values()))
            return
        except LedgerRefused:
            log.warning("mirror_splits", count=len(batch))
        for name, asset in list(batch.items()):
            try:
                await self._ledger.mirror([asset])
            except LedgerRefused as error:
                metrics.MIRROR_FAILURES.inc()
                log.error("mirror_refused", asset_id=name, error=str(error))
                del batch[name]
                self._clean(name, asset)

    def _settle(self, batch: dict[str, MediaAsset]) -> None:
        for name, asset in batch.items():
            gone = name in self._gone
            self._clean(name, asset)
            if gone:
                continue
            if asset.status is not None and asset.status.phase.settled:
                self._archived[name] = (asset.uid, asset.version)
                self._written(name)
            else:
                self._archived.pop(name, None)
        metrics.MIRROR_PENDING.set(len(self._dirty))

    def _clean(self, name: str, asset: MediaAsset) -> None:
        """That sight is done with; a newer one may be there."""
        if self._dirty.get(name) is asset:
            del self._dirty[name]
            self._gone.discard(name)

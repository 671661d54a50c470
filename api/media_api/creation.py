"""Creation: the MediaAsset of a confirmed upload, made beside the answer and never before it.

The row says that the upload is confirmed, and an answer needs no more: a slow API server would only make clients
wait. What is not created here, for whatever reason, the operator creates a moment later.
"""

from __future__ import annotations

import asyncio

import structlog

from media_api.backlog import Backlog
from media_api.cluster import Cluster, ClusterUnavailable
from media_api.ledger import LedgerUnavailable, Row
from media_api.metrics import Metrics

log = structlog.get_logger()

AT_ONCE = 64
FAREWELL_SECONDS = 2.0


class Creation:
    """Objects under way, a bounded number of them."""

    def __init__(self, backlog: Backlog, cluster: Cluster, metrics: Metrics, max_live_assets: int) -> None:
        self._backlog, self._cluster, self._metrics, self._most = backlog, cluster, metrics, max_live_assets
        self._running: set[asyncio.Task[None]] = set()

    def begin(self, row: Row) -> None:
        """Make the row's object, if there is room for one; returns at once."""
        if len(self._running) >= AT_ONCE:
            self._metrics.objects.labels("busy").inc()
            return
        task = asyncio.create_task(self._create(row), name=f"create {row.id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settled(self, seconds: float = FAREWELL_SECONDS) -> None:
        """Until none is under way, or for so long."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)

    async def close(self) -> None:
        """Let those under way end, for a moment."""
        await self.settled()
        for task in self._running:
            task.cancel()

    async def _create(self, row: Row) -> None:
        try:
            if await self._backlog.count() >= self._most:
                outcome = "no-room"
            else:
                await self._cluster.create(str(row.id), row.spec)
                outcome = "created"
        except (LedgerUnavailable, ClusterUnavailable) as error:
            log.warning("object_left_to_operator", asset_id=str(row.id), error=str(error))
            outcome = "cluster-unavailable"
        except Exception:  # a task's boundary: nobody awaits it, so it has to be told here
            log.exception("object_left_to_operator", asset_id=str(row.id))
            outcome = "failed"
        self._metrics.objects.labels(outcome).inc()

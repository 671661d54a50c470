"""Kubernetes Events: what happened to an asset, for whoever runs `kubectl describe`. Best effort, and bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import structlog

from media_core.asset import MediaAsset, Phase
from media_core.names import API_VERSION, ASSET_KIND, OPERATOR_MANAGER
from media_core.shape import timestamp
from media_operator import metrics
from media_operator.adapters.cluster import Cluster, ClusterError, Kind
from media_operator.bucket import TokenBucket

log = structlog.get_logger()

WAITING = 1000
A_SECOND, BURST = 1.0, 50
"""Normal Events: each costs the API server as much as a step of the asset itself. Warnings are always told."""


class Events:
    """A bounded line of Events and the task that writes them."""

    def __init__(self, cluster: Cluster, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._monotonic = cluster, monotonic
        self._bucket = TokenBucket(A_SECOND, BURST)
        self._line: asyncio.Queue[dict[str, Any]] = asyncio.Queue(WAITING)

    def tell(self, asset: MediaAsset, reason: str, message: str, *, warning: bool = False) -> None:
        """Put one Event in line; where too many wait, or normal ones come too fast, it is dropped and counted."""
        if not warning and not self._bucket.take(self._monotonic()):
            metrics.EVENTS_DROPPED.inc()
            return
        now = timestamp(datetime.now(UTC))
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{asset.name}.{uuid4().hex[:12]}", "namespace": self._cluster.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": ASSET_KIND,
                "name": asset.name,
                "namespace": self._cluster.namespace,
                "uid": asset.uid,
                "resourceVersion": asset.metadata.resource_version,
            },
            "reason": reason,
            "message": message[:1000],
            "type": "Warning" if warning else "Normal",
            "source": {"component": OPERATOR_MANAGER},
            "reportingComponent": OPERATOR_MANAGER,
            "reportingInstance": OPERATOR_MANAGER,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            self._line.put_nowait(body)
        except asyncio.QueueFull:
            metrics.EVENTS_DROPPED.inc()

    def settled(self, asset: MediaAsset) -> None:
        """An asset was completed or failed: counted and logged, and a failure is told as an Event."""
        status = asset.status
        if status is None:
            return
        metrics.SETTLED.labels(status.phase.value, status.reason).inc()
        log.info("asset_settled", asset_id=asset.name, phase=status.phase.value, reason=status.reason)
        if status.phase is Phase.FAILED:
            self.tell(asset, "Failed", status.message or "", warning=True)

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            body = await self._line.get()
            try:
                await self._cluster.create(Kind.EVENT, body)
            except ClusterError as error:
                metrics.EVENTS_DROPPED.inc()
                log.warning("event_not_written", asset_id=body["involvedObject"]["name"], error=str(error))

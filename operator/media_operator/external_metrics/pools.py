"""The pools' status as it is now: a LIST, a watch of half a minute, and again.

The LIST every half minute is a handful of objects and spares everything a longer watch would need: bookmarks,
versions that expire, and doubts whether a silent connection is alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from pydantic import ValidationError

from media_core.names import GROUP, POOLS, VERSION
from media_core.pool import PoolStatus
from media_operator.adapters.cluster import ClusterError
from media_operator.external_metrics.apiserver import ApiServer
from media_operator.external_metrics.values import Reading, Sight

log = structlog.get_logger()

WATCH_SECONDS = 25
AGAIN_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 8.0


class Pools:
    """All pools of one namespace. `sight` is replaced with every change."""

    def __init__(self, api: ApiServer, namespace: str, clock: Callable[[], datetime]) -> None:
        self._api, self._clock = api, clock
        self._path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{POOLS}"
        self.sight = Sight()
        self.listed = asyncio.Event()

    async def run(self) -> None:
        """For ever. What fails is tried again, later and later."""
        wait = AGAIN_SECONDS
        while True:
            try:
                await self._round()
                await asyncio.sleep(AGAIN_SECONDS)
                wait = AGAIN_SECONDS
            except ClusterError as error:
                log.warning("pools_not_read", error=str(error), seconds=wait)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    async def _round(self) -> None:
        found = await self._api.get(self._path)
        items = found.get("items") or []
        self.sight = Sight({body["metadata"]["name"]: reading(body) for body in items}, self._clock())
        self.listed.set()
        version = str(found["metadata"]["resourceVersion"])
        async for event in self._api.watch(self._path, version, WATCH_SECONDS):
            body = event["object"]
            name = body["metadata"]["name"]
            readings = {key: value for key, value in self.sight.readings.items() if key != name}
            if event["type"] != "DELETED":
                readings[name] = reading(body)
            self.sight = Sight(readings, self._clock())


def reading(body: Mapping[str, Any]) -> Reading:
    """What a pool's status says; a status that is none is as good as not written yet."""
    try:
        status = PoolStatus.model_validate(body.get("status") or {})
    except ValidationError as error:
        log.warning("pool_unreadable", pool=body["metadata"]["name"], error=str(error))
        return Reading(0, None)
    return Reading(status.backlog_seconds, status.backlog_time)

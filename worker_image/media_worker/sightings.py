"""Follows the assets of one Job for as long as the worker lives: list, watch, and again.

Apart from `assets_api`, which makes single calls, because here is what goes wrong between calls: a broken or silent
stream goes on from the last resource version, an expired one from a new list, and an API server that is away is
asked again and again (with jitter), since a worker that holds work must not give up.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import structlog
from pydantic import ValidationError

from media_core.asset import MediaAsset
from media_worker.assets_api import ApiForbidden, ApiUnavailable, AssetsApi, WatchExpired
from media_worker.hand import Left, Listed, Seen
from media_worker.patience import pause, wait_for_api

log = structlog.get_logger()

WATCH_SECONDS = (240, 360)
"""The server ends each watch after a time in this range, so that workers do not all come back at once."""
SYNC_SECONDS = 60.0


class NeverSynced(Exception):
    """The API server never told what is assigned; `forbidden` where it refuses this worker's account."""

    def __init__(self, message: str, forbidden: bool) -> None:
        super().__init__(message)
        self.forbidden = forbidden


async def follow(api: AssetsApi, patience: float = SYNC_SECONDS) -> AsyncIterator[Seen | Left | Listed]:
    """Everything that happens to the Job's assets. Never ends by itself once the first list is in.

    Raises NeverSynced where that does not come: such a worker holds nothing, and would only keep what is bound to it.
    """
    loop = asyncio.get_running_loop()
    born, synced = loop.time(), False
    attempt = 0
    resource_version: str | None = None
    while True:
        try:
            if resource_version is None:
                page = await api.everything()
                resource_version, synced = page.resource_version, True
                yield Listed(tuple(asset for body in page.bodies if (asset := _read(body)) is not None))
            async for event in api.watch(resource_version, random.randint(*WATCH_SECONDS)):  # noqa: S311
                resource_version = event.resource_version
                attempt = 0
                if event.type == "DELETED":
                    yield Left(event.body["metadata"]["name"])
                elif event.type in ("ADDED", "MODIFIED") and (asset := _read(event.body)) is not None:
                    yield Seen(asset)
            await pause(0)
        except WatchExpired:
            log.info("watch_expired")
            resource_version = None
        except ApiUnavailable as error:
            log.warning("assets_not_watched", error=str(error), attempt=attempt)
            if not synced and loop.time() - born >= patience:
                raise NeverSynced(str(error), forbidden=isinstance(error, ApiForbidden)) from error
            await wait_for_api(attempt, error.retry_after)
            attempt += 1


def _read(body: dict[str, Any]) -> MediaAsset | None:
    try:
        return MediaAsset.read(body)
    except ValidationError as error:
        log.error("asset_not_understood", asset_id=body["metadata"]["name"], error=str(error))
        return None

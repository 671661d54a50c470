"""Everything a handler may reach: one value, made once at start-up and handed to the application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from media_api.auth import Tokens
from media_api.backlog import Backlog
from media_api.cluster import Cluster
from media_api.creation import Creation
from media_api.ledger import Ledger
from media_api.metrics import Metrics
from media_api.settings import ApiSettings
from media_api.storage import Storage


@dataclass(frozen=True, slots=True)
class Ports:
    """Settings, the outside world, and the clock."""

    settings: ApiSettings
    ledger: Ledger
    storage: Storage
    cluster: Cluster
    creation: Creation
    tokens: Tokens
    backlog: Backlog
    metrics: Metrics
    streams: asyncio.Semaphore
    clock: Callable[[], datetime]

    @property
    def base_url(self) -> str:
        """What stands before media paths in answers."""
        return (self.settings.public_base_url or "").rstrip("/")


PORTS = web.AppKey("ports", Ports)

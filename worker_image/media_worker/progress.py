"""Tells how far a film is: the newest only, and not too often, since every telling is a write to the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from media_worker.report import Progress


class Telling:
    """Somebody tells, somebody runs it."""

    def __init__(self, say: Callable[[Progress], Awaitable[None]], seconds: float) -> None:
        self._say = say
        self._seconds = seconds
        self._newest = Progress(0)
        self._news = asyncio.Event()

    def tell(self, progress: Progress) -> None:
        """It is so far; said as soon as it is time."""
        self._newest = progress
        self._news.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            await self._say(self._newest)
            await asyncio.sleep(self._seconds)

"""How many confirmed uploads wait or are being worked on, as far as it matters: at most a second old.

Every upload and every confirm asks; the database is asked once a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from media_api.ledger import Ledger

FRESH_SECONDS = 1.0


class Backlog:
    """The count of unsettled rows, no further than `at_most`."""

    def __init__(self, ledger: Ledger, at_most: int, monotonic: Callable[[], float]) -> None:
        self._ledger, self._at_most, self._monotonic = ledger, at_most, monotonic
        self._count, self._counted_at = 0, float("-inf")
        self._counting = asyncio.Lock()

    async def count(self) -> int:
        """Raises LedgerUnavailable."""
        if self._stale:
            async with self._counting:
                if self._stale:
                    self._count = await self._ledger.unsettled(self._at_most)
                    self._counted_at = self._monotonic()
        return self._count

    @property
    def _stale(self) -> bool:
        return self._monotonic() - self._counted_at >= FRESH_SECONDS

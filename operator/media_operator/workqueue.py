"""Keys that want a look: each at most once in line, never looked at twice at the same time, some only later.

The same contract as client-go's work queue. It stands apart from kopf's queues, which keep a slot busy while they
wait.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque


class WorkQueue:
    """A de-duplicating, delaying queue of keys for one event loop."""

    def __init__(self) -> None:
        self._line: deque[str] = deque()
        self._queued: set[str] = set()
        self._active: set[str] = set()
        self._again: set[str] = set()
        self._later: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._line)

    def add(self, key: str) -> None:
        """Put the key in line; if it is being looked at, it comes again afterwards."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._line.append(key)
            self._wake.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Put the key in line after that many seconds; the earliest of several wishes counts."""
        due = asyncio.get_running_loop().time() + max(0.0, seconds)
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._later, (due, key))
        self._wake.set()

    def retry(self, key: str, *, first: float = 0.2, longest: float = 30.0) -> float:
        """Put the key in line after a wait that doubles with each failure in a row; returns the wait in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        wait = min(first * 2.0 ** min(failures, 20), longest)
        self.add_after(key, wait)
        return wait

    def forget(self, key: str) -> None:
        """The key succeeded: its next failure is its first."""
        self._failures.pop(key, None)

    def drop(self, key: str) -> None:
        """The key is no more: what was to come of it later is forgotten."""
        self.forget(key)
        if self._due.pop(key, None) is not None and len(self._later) > 2 * len(self._due):
            self._later = [(due, other) for other, due in self._due.items()]
            heapq.heapify(self._later)

    async def get(self) -> str:
        """The next key; hand it to `done` afterwards."""
        while True:
            wait = self._promote()
            if self._line:
                key = self._line.popleft()
                self._queued.discard(key)
                self._active.add(key)
                return key
            self._wake.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def done(self, key: str) -> None:
        """The look at the key is over."""
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _promote(self) -> float | None:
        """Move due keys into the line; returns seconds until the next is due."""
        now = asyncio.get_running_loop().time()
        while self._later:
            due, key = self._later[0]
            if self._due.get(key) != due:
                heapq.heappop(self._later)
                continue
            if due > now:
                return due - now
            heapq.heappop(self._later)
            del self._due[key]
            self.add(key)
        return None

"""The line before a pool: who waits, and the first few in fair order without a look at all the others.

`scheduling.fair_order` says what the order is. Every change and every question costs the logarithm of the line's
length; heaps keep what has left until it comes up, and drop it then.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping
from datetime import datetime

from media_core.scheduling import Waiting

_Place = tuple[int, datetime, str, int]
"""Priority (negative), age and name: an owner's own order. The number tells a place from one that was left before."""


class Line:
    """Those who wait for one pool. Suspects, who run alone, stand apart."""

    def __init__(self) -> None:
        self._there: dict[str, Waiting] = {}
        self._alone: dict[str, Waiting] = {}
        self._later: list[tuple[datetime, str]] = []
        self._numbers = itertools.count()
        self._queues: dict[str, list[_Place]] = {}
        self._places: dict[str, _Place] = {}
        """Where each stands in its owner's queue; what a queue has besides has left."""
        self._owners: list[tuple[_Place, str]] = []
        """Every owner with a queue at least once, at a place no later than that of its first."""

    def __len__(self) -> int:
        return len(self._there)

    def __iter__(self) -> Iterator[Waiting]:
        """All of them, in no order."""
        return iter(self._there.values())

    def add(self, waiting: Waiting) -> None:
        """One more, or one of whom something is new."""
        if self._there.get(waiting.name) == waiting:
            return
        self.discard(waiting.name)
        self._there[waiting.name] = waiting
        if waiting.isolated:
            self._alone[waiting.name] = waiting
        elif waiting.not_before is not None:
            heapq.heappush(self._later, (waiting.not_before, waiting.name))
        else:
            self._queue(waiting)

    def discard(self, name: str) -> None:
        """That one waits no more."""
        self._there.pop(name, None)
        self._alone.pop(name, None)
        self._places.pop(name, None)

    def alone(self) -> list[Waiting]:
        """All suspects."""
        return list(self._alone.values())

    def first(self, count: int, bound_by_owner: Mapping[str, int], now: datetime) -> list[Waiting]:
        """The first `count` that are due and no suspects."""
        self._ripen(now)
        in_question = self._in_question(count, bound_by_owner)
        heads = [(bound_by_owner.get(owner, 0), place, owner) for owner, place in in_question.items()]
        heapq.heapify(heads)
        chosen: list[tuple[_Place, str]] = []
        while heads and len(chosen) < count:
            bound, place, owner = heapq.heappop(heads)
            chosen.append((heapq.heappop(self._queues[owner]), owner))
            if (following := self._head(owner)) is not None:
                heapq.heappush(heads, (bound + 1, following, owner))
        for place, owner in chosen:
            heapq.heappush(self._queues.setdefault(owner, []), place)
        return [self._there[name] for (_, _, name, _), _ in chosen]

    def _in_question(self, count: int, bound_by_owner: Mapping[str, int]) -> dict[str, _Place]:
        """Owners of whom one of the first `count` may be: those with something bound, and so many of the others."""
        found = {owner: place for owner in bound_by_owner if (place := self._head(owner)) is not None}
        others = 0
        looked_at: dict[str, _Place] = {}
        while self._owners and others < count:
            place, owner = heapq.heappop(self._owners)
            head = self._head(owner)
            if head is None or owner in looked_at:
                continue
            if head != place:
                heapq.heappush(self._owners, (head, owner))
                continue
            looked_at[owner] = place
            others += owner not in bound_by_owner
        for owner, place in looked_at.items():
            heapq.heappush(self._owners, (place, owner))
        return found | looked_at

    def _ripen(self, now: datetime) -> None:
        """Those whose time has come stand in line like all others."""
        while self._later and self._later[0][0] <= now:
            due, name = heapq.heappop(self._later)
            waiting = self._there.get(name)
            if waiting is not None and not waiting.isolated and waiting.not_before == due:
                self._queue(waiting)

    def _queue(self, waiting: Waiting) -> None:
        place = (-waiting.priority, waiting.created, waiting.name, next(self._numbers))
        self._places[waiting.name] = place
        heapq.heappush(self._queues.setdefault(waiting.owner, []), place)
        if self._head(waiting.owner) == place:
            heapq.heappush(self._owners, (place, waiting.owner))

    def _head(self, owner: str) -> _Place | None:
        """The first of an owner's queue, once those who have left are out of it."""
        queue = self._queues.get(owner)
        while queue and self._places.get(queue[0][2]) != queue[0]:
            heapq.heappop(queue)
        if not queue:
            self._queues.pop(owner, None)
            return None
        return queue[0]

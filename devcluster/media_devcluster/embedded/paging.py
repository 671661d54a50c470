"""Lists in pages: the first page takes a snapshot, the others continue in it.

Stored objects are never changed, so a snapshot is a list of references. Only so many are kept and only for so
long; a token of one that is gone is answered with 410, as the real server does after a compaction.
"""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from media_devcluster.embedded.errors import bad_request, expired
from media_devcluster.embedded.selectors import Predicate, everything
from media_devcluster.embedded.store import Store, Stored

KEPT = 64
LIFETIME_SECONDS = 300.0


@dataclass(frozen=True)
class Page:
    """Some objects of a list, and how to get at the rest."""

    items: list[Stored]
    version: int
    token: str = ""
    remaining: int | None = None


@dataclass(frozen=True)
class Snapshot:
    """What a list consisted of when its first page was read."""

    items: list[Stored]
    version: int
    taken: float
    compactions: int
    selected: bool


class Pages:
    """Snapshots that may be continued."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._snapshots: OrderedDict[int, Snapshot] = OrderedDict()
        self._next = 0

    def first(self, name: str, namespace: str | None, matches: Predicate, limit: int) -> Page:
        """The list as it is now, or the first page of it."""
        found = self._store.collection(name).within(namespace)
        items = [one for one in found if matches(one.body)] if matches is not everything else list(found)
        snapshot = Snapshot(
            items, self._store.version, self._clock(), self._store.compactions, matches is not everything
        )
        if not limit or len(items) <= limit:
            return Page(items, snapshot.version)
        self._next += 1
        self._snapshots[self._next] = snapshot
        while len(self._snapshots) > KEPT:
            self._snapshots.popitem(last=False)
        return self._page(self._next, snapshot, 0, limit)

    def following(self, token: str, limit: int) -> Page:
        """The page a token asks for."""
        try:
            number, start = json.loads(base64.urlsafe_b64decode(token))
        except ValueError:
            raise bad_request("continue key is not valid: illegal base64 or JSON") from None
        snapshot = self._snapshots.get(number)
        if (
            snapshot is None
            or snapshot.compactions != self._store.compactions
            or self._clock() - snapshot.taken > LIFETIME_SECONDS
        ):
            self._snapshots.pop(number, None)
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. You can start "
                "a new list without the continue parameter."
            )
        return self._page(number, snapshot, start, limit)

    def _page(self, number: int, snapshot: Snapshot, start: int, limit: int) -> Page:
        end = start + limit if limit else len(snapshot.items)
        left = len(snapshot.items) - end
        if left <= 0:
            return Page(snapshot.items[start:], snapshot.version)
        token = base64.urlsafe_b64encode(json.dumps([number, end]).encode()).decode()
        return Page(snapshot.items[start:end], snapshot.version, token, None if snapshot.selected else left)

"""Objects, their versions, and the recent history that watches resume from.

Stored bodies are never changed in place: a write brings a new body, which may share parts with the old one, and
is encoded once for every reader and watcher. One counter gives every write its version, as etcd's revision does.
"""

from __future__ import annotations

import bisect
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from media_devcluster.embedded.errors import Object, too_old

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Key(NamedTuple):
    """Place of an object in its collection; the namespace of a cluster-scoped one is empty."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """One object at one version."""

    body: Object
    version: int
    encoded: bytes


@dataclass(slots=True, eq=False)
class Change:
    """One write: what was there, and what is there now."""

    collection: str
    key: Key
    version: int
    before: Stored | None
    after: Stored | None
    _gone: Stored | None = field(default=None)

    @property
    def gone(self) -> Stored:
        """The object as a DELETED event shows it: its last state under the version of this change."""
        if self._gone is None:
            assert self.before is not None
            self._gone = freeze(self.before.body, self.version)
        return self._gone


def freeze(body: Object, version: int) -> Stored:
    """A body under its version, encoded."""
    body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}
    return Stored(body, version, encode(body).encode())


class Collection:
    """All objects of one kind, in the order lists have, and their recent changes."""

    def __init__(self, floor: int, history: int) -> None:
        self.objects: dict[Key, Stored] = {}
        self.keys: list[Key] = []
        self.history: deque[Change] = deque(maxlen=history)
        self.floor = floor
        self.followers: set[Callable[[Change], None]] = set()

    def within(self, namespace: str | None, after: Key | None = None) -> Iterator[Stored]:
        """Objects of one namespace, or of all, in order."""
        start = 0
        if namespace is not None:
            start = bisect.bisect_left(self.keys, Key(namespace, ""))
        if after is not None:
            start = max(start, bisect.bisect_right(self.keys, after))
        for key in self.keys[start:]:
            if namespace is not None and key.namespace != namespace:
                return
            yield self.objects[key]

    def since(self, version: int) -> list[Change]:
        """What happened after a version; refused when some of it is forgotten."""
        if version < self.floor:
            raise too_old(version, self.floor)
        recent: list[Change] = []
        for change in reversed(self.history):
            if change.version <= version:
                break
            recent.append(change)
        recent.reverse()
        return recent

    def record(self, change: Change) -> None:
        """Takes a change into history, at the cost of the oldest one, and tells the followers."""
        if len(self.history) == self.history.maxlen:
            self.floor = self.history[0].version
        self.history.append(change)
        for follower in tuple(self.followers):
            follower(change)


class Store:
    """The state of the cluster."""

    def __init__(self, first_version: int = 1, history: int = 4096) -> None:
        self.version = first_version
        self._first = first_version
        self._history = history
        self._collections: dict[str, Collection] = {}
        self.listeners: list[Callable[[Change], None]] = []
        self.compactions = 0

    def collection(self, name: str) -> Collection:
        """The objects of one resource, such as `mediaassets.media.docfliq.com`."""
        found = self._collections.get(name)
        if found is None:
            found = self._collections[name] = Collection(self._first, self._history)
        return found

    def collections(self) -> list[tuple[str, Collection]]:
        """All of them by name."""
        return list(self._collections.items())

    def get(self, name: str, key: Key) -> Stored | None:
        """An object as it is now."""
        return self.collection(name).objects.get(key)

    def put(self, name: str, key: Key, body: Object) -> Stored:
        """Writes an object under the next version."""
        collection = self.collection(name)
        before = collection.objects.get(key)
        self.version += 1
        after = freeze(body, self.version)
        collection.objects[key] = after
        if before is None:
            bisect.insort(collection.keys, key)
        self._tell(collection, Change(name, key, self.version, before, after))
        return after

    def remove(self, name: str, key: Key) -> Stored:
        """Removes an object and returns it as it was."""
        collection = self.collection(name)
        before = collection.objects.pop(key)
        del collection.keys[bisect.bisect_left(collection.keys, key)]
        self.version += 1
        self._tell(collection, Change(name, key, self.version, before, None))
        return before

    def compact(self) -> None:
        """Forgets all history: whoever resumes from before this moment is told that it is too late."""
        self.version += 1
        self.compactions += 1
        for collection in self._collections.values():
            collection.history.clear()
            collection.floor = self.version
        self._first = self.version

    def _tell(self, collection: Collection, change: Change) -> None:
        collection.record(change)
        for listener in self.listeners:
            listener(change)

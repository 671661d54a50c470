"""Watches: changes of a collection, seen through a selector, as a stream of lines.

An object that enters the selection is ADDED to its watchers and one that leaves it is DELETED, with the state it
had before it left; that is what lets a worker watch its own assets only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass

from media_devcluster.embedded.errors import ApiError, Object
from media_devcluster.embedded.faults import Asked
from media_devcluster.embedded.selectors import Predicate
from media_devcluster.embedded.store import Change, Collection, Stored, encode

BACKLOG = 20_000
INITIAL_EVENTS_END = {"k8s.io/initial-events-end": "true"}


@dataclass(frozen=True)
class Selection:
    """Which objects of a collection are looked at."""

    namespace: str | None
    matches: Predicate

    def seen(self, change: Change) -> tuple[str, Stored] | None:
        """A change as the watcher of this selection sees it, if it sees it at all."""
        if self.namespace is not None and change.key.namespace != self.namespace:
            return None
        was = change.before is not None and self.matches(change.before.body)
        if change.after is not None and self.matches(change.after.body):
            return ("MODIFIED" if was else "ADDED"), change.after
        return ("DELETED", change.gone) if was else None


@dataclass(frozen=True)
class Start:
    """From where a watch begins."""

    version: int | None
    """None: with the objects that are there, as ADDED events."""
    end_marked: bool = False
    """Whether a bookmark tells where those end."""


class Watch:
    """One open watch."""

    def __init__(self, asked: Asked, collection: Collection, selection: Selection) -> None:
        self.asked = asked
        self._collection = collection
        self._selection = selection
        self._pending: deque[tuple[str, Stored]] = deque()
        self._wake = asyncio.Event()
        self.dropped = False
        self.closed = False
        self.silent = False

    def open(self, start: Start) -> None:
        """Collects what is due and follows from here on; refuses a start that is too old."""
        if start.version is None:
            for stored in self._collection.within(self._selection.namespace):
                if self._selection.matches(stored.body):
                    self._pending.append(("ADDED", stored))
        else:
            for change in self._collection.since(start.version):
                self._follow(change)
        self._collection.followers.add(self._follow)

    def take(self) -> list[tuple[str, Stored]]:
        """What is due at this moment."""
        batch = list(self._pending)
        self._pending.clear()
        return batch

    def close(self) -> None:
        """Ends it; what is pending is still sent."""
        self.closed = True
        self._collection.followers.discard(self._follow)
        self._wake.set()

    def drop(self) -> None:
        """Breaks the connection, with whatever is pending."""
        self.dropped = True
        self.close()

    def silence(self) -> None:
        """Sends nothing from now on and stays open, as a connection does whose other end is gone."""
        self.silent = True
        self._pending.clear()

    def _follow(self, change: Change) -> None:
        if self.silent or self.closed:
            return
        if (event := self._selection.seen(change)) is not None:
            self._pending.append(event)
            self._wake.set()
            if len(self._pending) > BACKLOG:
                self.drop()

    async def batches(self, seconds: float, bookmark_seconds: float) -> AsyncIterator[list[tuple[str, Stored]]]:
        """Events as they come, several at once when there are; an empty batch when a bookmark is due."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self.dropped:
            if self._pending:
                yield self.take()
                continue
            left = end - loop.time()
            if self.closed or left <= 0:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(min(left, bookmark_seconds)):
                    await self._wake.wait()
            except TimeoutError:
                if not self.silent:
                    yield []


def line(event: str, encoded: bytes) -> bytes:
    """One event of the stream."""
    return b'{"type":"%b","object":%b}\n' % (event.encode(), encoded)


def lines(batch: Iterable[tuple[str, Stored]]) -> bytes:
    """Several events of the stream, as they are stored."""
    return b"".join(line(event, stored.encoded) for event, stored in batch)


def table_lines(batch: Iterable[tuple[str, Stored]], rows: Callable[[Stored], Object]) -> bytes:
    """Several events of the stream, each object as a table of one row."""
    return b"".join(line(event, encode(rows(stored)).encode()) for event, stored in batch)


def bookmark(api_version: str, kind: str, version: int, annotations: Object | None = None) -> bytes:
    """Tells that everything up to a version has been sent."""
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return line("BOOKMARK", encode({"kind": kind, "apiVersion": api_version, "metadata": metadata}).encode())


def error_line(error: ApiError) -> bytes:
    """The event that ends a stream which cannot go on."""
    return line("ERROR", encode(error.status()).encode())

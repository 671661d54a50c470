"""What the operator last saw of each object. Caches lie, so the rules here keep the lie small.

An object replaces its cached self only if it is newer; what is gone stays gone, whatever arrives late; the answer to
each of our writes comes in by the same door as an event; a full LIST removes what no event said is gone.
Indexes over assets stand here too, because they have to change in the same step.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from media_core.asset import AssetType, MediaAsset, Phase, VideoBackend
from media_core.line import Line
from media_core.pool import pool_of
from media_core.scheduling import Waiting


class Versioned(Protocol):
    """What a cache needs to know of an object."""

    @property
    def name(self) -> str: ...
    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> int: ...


V = TypeVar("V", bound=Versioned)

REMEMBERED_DEAD = 20_000
"""Uids of deleted objects kept, so that a late event does not bring one back."""


class Cache(Generic[V]):
    """Objects of one kind by name, each the newest sight of it."""

    def __init__(self, changed: Callable[[str, V | None, V | None], None] | None = None) -> None:
        """`changed(name, before, after)` is called for every change; `after` is None for what is gone."""
        self._objects: dict[str, V] = {}
        self._dead: OrderedDict[str, None] = OrderedDict()
        self._changed = changed

    def __getitem__(self, name: str) -> V:
        return self._objects[name]

    def __contains__(self, name: str) -> bool:
        return name in self._objects

    def __iter__(self) -> Iterator[V]:
        return iter(list(self._objects.values()))

    def __len__(self) -> int:
        return len(self._objects)

    def get(self, name: str) -> V | None:
        """The newest sight of the object, or None."""
        return self._objects.get(name)

    def knows(self, name: str, uid: str, version: int) -> bool:
        """Whether a sight of that version is no news: it need not even be read."""
        known = self._objects.get(name)
        return uid in self._dead or (known is not None and known.uid == uid and known.version >= version)

    def see(self, seen: V) -> bool:
        """Take in one sight. False where it is no news: older than what is known, or of something gone."""
        if self.knows(seen.name, seen.uid, seen.version):
            return False
        known = self._objects.get(seen.name)
        if known is not None and known.uid != seen.uid:
            if known.version > seen.version:
                return False
            self._bury(known.uid)
        self._objects[seen.name] = seen
        self._tell(seen.name, known, seen)
        return True

    def amend(self, known: V, amended: V) -> None:
        """Put another value in the place of the one that is known, unless there is news of it by now."""
        if self._objects.get(known.name) is known:
            self._objects[known.name] = amended
            self._tell(known.name, known, amended)

    def lose(self, name: str, uid: str) -> bool:
        """The object of that uid is gone. False where that was known."""
        self._bury(uid)
        known = self._objects.get(name)
        if known is None or known.uid != uid:
            return False
        del self._objects[name]
        self._tell(name, known, None)
        return True

    def align(self, listed: Iterable[V], version: int, there: Iterable[str] = ()) -> list[str]:
        """Take in a full LIST made at `version`: sees all of it, and loses what is older and not in it.

        `there` are uids of objects that were listed too but bring no news, or none that could be read: the last sight
        of them stays.
        """
        present = set(there)
        for item in listed:
            present.add(item.uid)
            self.see(item)
        missing = [o for o in self if o.uid not in present and o.version <= version]
        for item in missing:
            self.lose(item.name, item.uid)
        return [item.name for item in missing]

    def _bury(self, uid: str) -> None:
        self._dead[uid] = None
        while len(self._dead) > REMEMBERED_DEAD:
            self._dead.popitem(last=False)

    def _tell(self, name: str, before: V | None, after: V | None) -> None:
        if self._changed is not None:
            self._changed(name, before, after)


def waits(asset: MediaAsset) -> bool:
    """Whether it is for the scheduler to find it a worker."""
    status = asset.status
    return (
        status is not None
        and status.phase is Phase.PENDING
        and status.assigned_job is None
        and not asset.deleting
        and (asset.spec.asset_type is AssetType.IMAGE or transcoded_by(asset) is VideoBackend.FFMPEG)
    )


def waiting_of(asset: MediaAsset) -> Waiting:
    """What the scheduler has to know of an asset that waits."""
    status, created = asset.status, asset.metadata.creation_timestamp
    if status is None or created is None:
        raise AssertionError(f"{asset.name} waits, so it has a status and an age")
    return Waiting(
        name=asset.name,
        owner=asset.spec.owner,
        priority=asset.spec.priority,
        created=created,
        not_before=status.not_before,
        isolated=status.isolated,
    )


def transcoded_by(asset: MediaAsset) -> VideoBackend | None:
    """The backend that a video was given to; None for one that waits for a backend, and for what is no video."""
    if asset.spec.asset_type is not AssetType.VIDEO or asset.status is None or asset.status.video is None:
        return None
    return asset.status.video.backend


def in_transcoding(asset: MediaAsset) -> bool:
    """Whether it is for MediaConvert, and not settled yet."""
    if asset.status is None or asset.status.phase.settled:
        return False
    return transcoded_by(asset) is VideoBackend.MEDIACONVERT


def bound_to(asset: MediaAsset) -> str | None:
    """The Job that has it in hand (or has given it back and was not heard yet)."""
    if asset.status is None or asset.status.phase.settled:
        return None
    return asset.status.assigned_job


def settled_by(asset: MediaAsset) -> str | None:
    """The Job that finished it, if one did."""
    if asset.status is None or not asset.status.phase.settled:
        return None
    return asset.status.assigned_job


class AssetIndex:
    """Which assets wait in which pool or are at MediaConvert, which are bound to which Job, how many each settled."""

    def __init__(self) -> None:
        self.transcoding: set[str] = set()
        """Videos for MediaConvert that are not settled."""
        self.lines: dict[str, Line] = defaultdict(Line)
        """Those who wait, by pool."""
        self.bound: dict[str, set[str]] = defaultdict(set)
        self.settled_by: Counter[str] = Counter()

    def changed(self, name: str, before: MediaAsset | None, after: MediaAsset | None) -> None:
        """Follow one change of the cache."""
        if before is not None:
            self.transcoding.discard(name)
            if after is None or not waits(after) or pool_of(after.spec) != pool_of(before.spec):
                self.lines[pool_of(before.spec)].discard(name)
            if job := bound_to(before):
                self.bound[job].discard(name)
                if not self.bound[job]:
                    del self.bound[job]
            if job := settled_by(before):
                self.settled_by[job] -= 1
                if not self.settled_by[job]:
                    del self.settled_by[job]
        if after is not None:
            if in_transcoding(after):
                self.transcoding.add(name)
            if waits(after):
                self.lines[pool_of(after.spec)].add(waiting_of(after))
            if job := bound_to(after):
                self.bound[job].add(name)
            if job := settled_by(after):
                self.settled_by[job] += 1

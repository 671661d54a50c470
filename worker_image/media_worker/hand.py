"""What a worker has in hand, what can happen to it, and what can be done about it: the words of `assignments`.

A `Claim` is an asset at one binding. The same asset bound again, even to this worker, is another claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from media_core.asset import MediaAsset
from media_core.reasons import Reason


class Stage(StrEnum):
    """How far a claim has come."""

    WAITING = "waiting"
    FETCHING = "fetching"
    READY = "ready"
    ANNOUNCED = "announced"
    """Reported as Processing, or about to be, while all decoders are busy: the next one that is free does not wait."""
    DECODING = "decoding"
    UPLOADING = "uploading"
    LEAVING = "leaving"
    """It was stopped; what of it still runs is coming to its end."""
    REPORTING = "reporting"
    """Its work is over and its last report is on the way."""


HOLDS_ORIGINAL = frozenset({Stage.FETCHING, Stage.READY, Stage.ANNOUNCED, Stage.DECODING})
NOT_DECODED = frozenset({Stage.WAITING, Stage.FETCHING, Stage.READY, Stage.ANNOUNCED})
"""Stages before decoding: a worker that drains gives such an asset back."""


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """An asset at one binding."""

    asset_id: str
    binding: int


@dataclass(frozen=True, slots=True)
class Item:
    """A claim in hand: the freshest sight of its asset, when it was first seen, and how far it has come."""

    claim: Claim
    asset: MediaAsset
    bound_at: int
    stage: Stage = Stage.WAITING

    @property
    def size(self) -> int:
        """Bytes its original takes in memory."""
        return self.asset.spec.source.size_bytes

    @property
    def turn(self) -> tuple[int, int, str]:
        """Sorts by priority, then by the order of binding."""
        return -self.asset.spec.priority, self.bound_at, self.claim.asset_id


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be in hand at once. One original is always let in, however large."""

    concurrency: int
    prefetch: int
    original_bytes: int

    @property
    def announced(self) -> int:
        """How many may be announced beyond those that are decoded: each is suspected when the worker crashes."""
        return min(1, self.prefetch)


@dataclass(frozen=True, slots=True)
class Hand:
    """Everything this worker has to do with. `ended` remembers the last binding of each asset it is done with."""

    job: str
    room: Room
    items: Mapping[Claim, Item] = field(default_factory=dict)
    ended: Mapping[str, int] = field(default_factory=dict)
    draining: bool = False
    synced: bool = False
    """Whether the first list is in."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do, as far as anybody has told."""
        return self.synced and not self.items

    def in_turn(self, *stages: Stage) -> list[Item]:
        """Items of those stages, the next one first."""
        return sorted((item for item in self.items.values() if item.stage in stages), key=lambda item: item.turn)

    def with_item(self, item: Item) -> Hand:
        """The same with that item added or replaced."""
        return replace(self, items={**self.items, item.claim: item})

    def at(self, claim: Claim, stage: Stage) -> Hand:
        """The same with a claim at another stage."""
        return self.with_item(replace(self.items[claim], stage=stage))

    def without(self, claim: Claim) -> Hand:
        """The same without that claim, which is remembered as done with."""
        return replace(
            self,
            items={other: item for other, item in self.items.items() if other != claim},
            ended={**self.ended, claim.asset_id: max(claim.binding, self.ended.get(claim.asset_id, 0))},
        )


@dataclass(frozen=True, slots=True)
class Seen:
    """The asset as the API server holds it: from the watch, or the answer to one of our own writes."""

    asset: MediaAsset


@dataclass(frozen=True, slots=True)
class Left:
    """The asset is no longer among those assigned to this Job."""

    asset_id: str


@dataclass(frozen=True, slots=True)
class Listed:
    """All assets assigned to this Job, at one moment."""

    assets: tuple[MediaAsset, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """The work on a claim has come to that stage."""

    claim: Claim
    stage: Stage


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing of that claim runs any more."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class DrainBegan:
    """The process was asked to end: what runs may finish, nothing new is begun."""


@dataclass(frozen=True, slots=True)
class DrainOver:
    """The time to finish is over."""


Event = Seen | Left | Listed | Reached | Ended | DrainBegan | DrainOver


@dataclass(frozen=True, slots=True)
class Fetch:
    """Begin with it: read the original."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Announce:
    """Report that it is begun."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Decode:
    """A decoder is free for it: decode, as soon as the report is in."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Stop:
    """Cancel the work; when nothing of it runs any more, give it back for that reason, or drop it silently."""

    claim: Claim
    reason: Reason | None


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Give back what was never begun."""

    claim: Claim
    reason: Reason


Action = Fetch | Announce | Decode | Stop | GiveBack

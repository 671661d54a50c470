"""What every way of an asset through a worker has in common: whom it meets, what it refuses, how it is timed.

Apart from the two ways, `rendering` for images and `filming` for videos, so that `worker` takes either and neither
knows of the other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from media_core.asset import AssetType, MediaAsset
from media_core.keys import OriginalKey, parse
from media_core.reasons import CHARGED, Reason
from media_worker.calls import SourceRefused, StorageUnavailable
from media_worker.report import Failed, GivenBack, Outcome, Progress

FINAL = frozenset(
    {
        Reason.UNDECODABLE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.TOO_MANY_PIXELS,
        Reason.TOO_MANY_FRAMES,
        Reason.TOO_LARGE,
        Reason.TOO_LONG,
        Reason.DEADLINE_EXCEEDED,
    }
)
MADE = {AssetType.IMAGE: "renditions of images", AssetType.VIDEO: "films of videos"}
"""What the ways make, in words."""


class Turns(Protocol):
    """Where the way of one asset meets that of the others."""

    async def fetched(self) -> None:
        """The original is here; returns when a decoder is free and the report Processing is in."""

    def decoded(self) -> None:
        """The decoder is free for the next one."""

    async def progressed(self, progress: Progress) -> None:
        """It is so far. Not told where nobody wants to know."""


class Stopwatch:
    """Milliseconds of each part of the way, for the log."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self.laps: dict[str, int] = {}

    def restart(self) -> None:
        """What has passed since the last lap is nobody's."""
        self._since = self._clock()

    def lap(self, name: str) -> None:
        """The time since the last lap belongs to `name`."""
        now = self._clock()
        self.laps[name] = round((now - self._since) * 1000)
        self._since = now


class Carrier(Protocol):
    """A way of assets through a worker."""

    async def carry(self, asset: MediaAsset, turns: Turns, watch: Stopwatch) -> Outcome:
        """The outcome for one asset. When it returns or is cancelled, nothing of it runs any more."""


def unacceptable(asset: MediaAsset, kind: AssetType, bucket: str, max_original_bytes: int) -> Failed | None:
    """Why the asset is not even fetched, if it is not."""
    source = asset.spec.source
    if asset.spec.asset_type is not kind:
        return Failed(Reason.UNSUPPORTED_FORMAT, f"This worker makes {MADE[kind]}, not of {asset.spec.asset_type}.")
    if source.bucket != bucket:
        message = f"The original is in bucket {source.bucket}; this service only reads {bucket}."
        return Failed(Reason.FOREIGN_SOURCE, message)
    if not isinstance(parse(source.key), OriginalKey):
        return Failed(Reason.FOREIGN_SOURCE, f"The key {source.key} is not one that this service gives to originals.")
    if source.size_bytes > max_original_bytes:
        message = f"The original has {source.size_bytes} bytes; {max_original_bytes} are allowed."
        return Failed(Reason.TOO_LARGE, message)
    return None


async def outcome_of(work: Awaitable[Outcome]) -> Outcome:
    """What comes of it, also where object storage has no original for it, or does not work."""
    try:
        return await work
    except SourceRefused as changed:
        return Failed(changed.reason, changed.message)
    except StorageUnavailable as error:
        return GivenBack(Reason.STORAGE_UNAVAILABLE, str(error))


def refused(reason: Reason, message: str) -> Failed | GivenBack:
    """What a refusal of the other container amounts to; one that says nothing of the asset blames nobody."""
    if reason in FINAL:
        return Failed(reason, message)
    if reason in CHARGED:
        return GivenBack(reason, message)
    return GivenBack(Reason.INTERNAL_ERROR, f"The decoder gave the reason {reason}: {message}")

"""The next steps there are for one asset, as values: `lifecycle` decides on one, the operator's reconciler does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from media_core.asset import AssetStatus
from media_core.reasons import Reason


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Replace the whole status, under a resourceVersion test."""

    status: AssetStatus
    event: Reason | None = None


@dataclass(frozen=True, slots=True)
class Admit:
    """It waits for a worker from now on, which its object need not say: to be bound is the first thing written.

    Whoever starts anew admits it again, so nothing is lost with the process that knew of it.
    """

    status: AssetStatus


@dataclass(frozen=True, slots=True)
class Purge:
    """Delete the media (unless `keep_media`), write the tombstone, drop the finalizer.

    The keys are purged once more later: a worker behind the fence, or whoever still holds the upload URL, could have
    written again.
    """

    keep_media: bool


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Made by hand, or left by an uninstall: without our finalizer its deletion would leave its media behind."""


@dataclass(frozen=True, slots=True)
class DeleteObject:
    """The ledger says deleted: the object goes too."""


@dataclass(frozen=True, slots=True)
class Expire:
    """TTL: the object goes, its media and its row stay."""


@dataclass(frozen=True, slots=True)
class DropRetryAnnotation:
    """The retry was carried out, or there was nothing to retry."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Nothing to do before that time."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Nothing:
    """Nothing to do until something changes."""


Plan = WriteStatus | Admit | Purge | AddFinalizer | DeleteObject | Expire | DropRetryAnnotation | LookAgain | Nothing

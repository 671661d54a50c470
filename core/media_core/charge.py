"""Charging an asset with an attempt that was in vain: another follows after a while, as long as there are any."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from media_core.asset import AssetStatus
from media_core.backoff import backoff
from media_core.pool import Attempts


@dataclass(frozen=True, slots=True)
class Charge:
    """The status with the attempt counted, what is told of it, and when the next is due; None: it was the last."""

    status: AssetStatus
    message: str
    due: datetime | None


def charged(status: AssetStatus, attempts: Attempts, message: str, now: datetime, chance: float) -> Charge:
    """One attempt more, which ended with that message. `chance` is uniform in [0, 1)."""
    count = status.attempts + 1
    counted = status.model_copy(update={"attempts": count})
    if count >= attempts.limit:
        return Charge(counted, f"It failed in each of {count} attempts. The last: {message}", None)
    due = now + backoff(attempts.backoff_seconds, count, chance)
    return Charge(counted, f"{message} Attempt {count} of {attempts.limit}; it is tried again later.", due)

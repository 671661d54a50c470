"""When a worker ends, as a pure function of what it has in hand and of the time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from media_worker.hand import Hand


class End(StrEnum):
    """Why a worker ended, or must."""

    IDLE = "idle"
    OLD = "past its lifetime"
    OVERDUE = "past its hard limit"
    DRAINED = "drained"
    OUT_OF_TIME = "out of time"
    """It was told to end and could not make its last reports in time."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A worker's times, in seconds. `hard_limit` holds even while the API server is away (F12)."""

    idle: float
    lifetime: float
    hard_limit: float
    drain: float
    """For what runs when the order to end comes."""
    farewell: float = 10.0
    """For the last reports, when the time to finish is over."""

    def end(self, hand: Hand, age: float, idle_for: float) -> End | None:
        """Why the worker is to end now, if it is. Nothing but the hard limit ends one that has work."""
        if hand.idle and age >= self.lifetime:
            return End.OLD
        if hand.idle and idle_for >= self.idle:
            return End.IDLE
        return End.OVERDUE if age >= self.hard_limit else None

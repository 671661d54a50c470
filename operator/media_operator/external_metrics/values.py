"""Whether there is a number to give for a pool now: a pure function of what was read and the time.

Nothing that is old is served. An HPA that gets no number keeps its replicas; with an old one it would scale on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from media_operator.external_metrics.documents import Refusal, Value

STALE_AFTER = timedelta(seconds=60)
"""The operator takes each backlog anew at least every 30 s."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the status of one pool says. `time` is None until the operator has written it for the first time."""

    seconds: int
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Sight:
    """The pools as they were last read, and when the API server was last heard of; None before the first LIST."""

    readings: Mapping[str, Reading] = field(default_factory=dict)
    heard: datetime | None = None


def answer(sight: Sight, pool: str, now: datetime) -> Value | Refusal:
    """The pool's backlog, or why there is none to give."""
    if sight.heard is None:
        return _unavailable("The pools have not been read yet.")
    if now - sight.heard > STALE_AFTER:
        return _unavailable(f"The pools have not been read for {_seconds(now - sight.heard)}.")
    reading = sight.readings.get(pool)
    if reading is None:
        return Refusal(404, "NotFound", f"There is no MediaWorkerPool {pool}.")
    if reading.time is None:
        return _unavailable(f"The operator has not written the backlog of pool {pool} yet.")
    if abs(now - reading.time) > STALE_AFTER:
        side = "old" if now > reading.time else "in the future"
        return _unavailable(f"The backlog of pool {pool} is {_seconds(abs(now - reading.time))} {side}.")
    return Value(pool, reading.seconds, reading.time)


def fresh(sight: Sight, now: datetime) -> tuple[Value, ...]:
    """Every backlog there is to give, sorted by pool."""
    answers = (answer(sight, pool, now) for pool in sorted(sight.readings))
    return tuple(found for found in answers if isinstance(found, Value))


def _unavailable(message: str) -> Refusal:
    return Refusal(503, "ServiceUnavailable", message)


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():.0f} s"

"""Who of several operators works: one Lease, and a pure decision on what was seen of it.

The rule is that of Kubernetes' own components. A holder renews. Another may take the Lease once it has itself
watched the record stay the same for as long as the record says, by its own clock; so the clocks of two machines need
not agree. A holder that could not renew for a good part of that time is none any more, before anybody can take over.
Every write stands under the version that was seen. Asking and writing are the operator's `leadership`.

Times here are seconds of a monotonic clock. The dates in the record are for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

RENEWALS_PER_TERM = 5
GIVEN_UP_AT = 0.7
"""A holder gives up after that part of the term, since whoever waits may take over at its end."""
LOOK_SECONDS = 1.0
"""A released Lease is seen within that time; waiting for one costs no more than a GET."""
RELEASED_SECONDS = 1
"""What a released record says of its duration; 0 is not allowed."""


@dataclass(frozen=True, slots=True)
class Term:
    """Who asks for the Lease, and for how long at a time."""

    identity: str
    seconds: int

    @property
    def renew_every(self) -> float:
        """Between two renewals."""
        return self.seconds / RENEWALS_PER_TERM

    @property
    def given_up_after(self) -> float:
        """The renew deadline: so long after its last renewal a holder is none any more."""
        return self.seconds * GIVEN_UP_AT

    @property
    def look_every(self) -> float:
        """Between two looks of one that waits."""
        return min(LOOK_SECONDS, self.renew_every)

    @property
    def patience(self) -> float:
        """For one request: a connection that hangs leaves time for another one."""
        return self.given_up_after / 2


@dataclass(frozen=True, slots=True)
class Record:
    """What the Lease says. Compared as a whole: a record that differs in anything has been renewed."""

    holder: str
    seconds: int
    acquired: str | None = None
    renewed: str | None = None
    transitions: int = 0

    @classmethod
    def read(cls, spec: Mapping[str, Any]) -> Record:
        """From the spec of a Lease, whoever wrote it."""
        return cls(
            holder=spec.get("holderIdentity") or "",
            seconds=spec.get("leaseDurationSeconds") or RELEASED_SECONDS,
            acquired=spec.get("acquireTime"),
            renewed=spec.get("renewTime"),
            transitions=spec.get("leaseTransitions") or 0,
        )

    def to_json(self) -> dict[str, Any]:
        """As the spec of a Lease."""
        return {
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.seconds,
            "acquireTime": self.acquired,
            "renewTime": self.renewed,
            "leaseTransitions": self.transitions,
        }


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen last: the record (None where there is no Lease), and since when it has been like that."""

    record: Record | None
    since: float


@dataclass(frozen=True, slots=True)
class Take:
    """Write this record: make the Lease, take it over, or renew it."""

    record: Record


@dataclass(frozen=True, slots=True)
class Wait:
    """Another holds it, until then at least."""

    holder: str
    until: float


@dataclass(frozen=True, slots=True)
class Lost:
    """It was held and is not any more."""

    why: str


Decision = Take | Wait | Lost


def observe(before: Sight | None, record: Record | None, now: float) -> Sight:
    """The sight after a look: the same record has been like that for longer."""
    if before is not None and before.record == record:
        return before
    return Sight(record, now)


def decide(term: Term, seen: Sight, held: float | None, now: float, today: datetime) -> Decision:
    """What to do about the Lease. `held` is when the last successful renewal was sent; None: never held."""
    record = seen.record
    if held is not None and (why := lost(term, record, held, now)) is not None:
        return Lost(why)
    if record is None:
        return Take(Record(term.identity, term.seconds, stamp(today), stamp(today)))
    if record.holder == term.identity:
        acquired = record.acquired if held is not None else stamp(today)
        return Take(replace(record, seconds=term.seconds, acquired=acquired, renewed=stamp(today)))
    expires = seen.since + record.seconds
    if record.holder and now < expires:
        return Wait(record.holder, expires)
    return Take(Record(term.identity, term.seconds, stamp(today), stamp(today), record.transitions + 1))


def lost(term: Term, record: Record | None, held: float, now: float) -> str | None:
    """Why one that holds the Lease must stop at once, or None. A record that names nobody takes it away as well."""
    if now - held >= term.given_up_after:
        return f"not renewed for {now - held:.1f} s, and {term.given_up_after:g} s are allowed"
    if record is not None and record.holder != term.identity:
        return f"{record.holder} holds it" if record.holder else "somebody released it"
    return None


def released(record: Record, today: datetime) -> Record:
    """The record of a holder that leaves: it names nobody, so the next one need not wait."""
    return replace(record, holder="", seconds=RELEASED_SECONDS, renewed=stamp(today))


def stamp(today: datetime) -> str:
    """Kubernetes' MicroTime: always six digits after the point."""
    return today.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

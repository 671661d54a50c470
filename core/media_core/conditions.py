"""Conditions in the form of metav1.Condition. The shape is fixed by KEP-1623 (standardised conditions)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime

from media_core.reasons import Reason
from media_core.shape import Shape


class ConditionType(StrEnum):
    """Aspects of an asset or a pool that a condition speaks of."""

    SUCCEEDED = "Succeeded"
    ISOLATED = "Isolated"
    READY = "Ready"
    DEGRADED = "Degraded"
    WORKERS_STUCK = "WorkersStuck"


class Truth(StrEnum):
    """The three values of a condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Shape):
    """One aspect of an object's state. `last_transition_time` moves only when `status` does."""

    type: str
    status: Truth
    reason: str
    message: str = ""
    last_transition_time: AwareDatetime
    observed_generation: int | None = None


def find(conditions: Iterable[Condition], type_: ConditionType) -> Condition | None:
    """The condition of that type, if there is one."""
    return next((c for c in conditions if c.type == type_), None)


def holds(conditions: Iterable[Condition], type_: ConditionType) -> bool:
    """Whether the condition of that type is there and True."""
    found = find(conditions, type_)
    return found is not None and found.status is Truth.TRUE


def with_condition(
    conditions: Iterable[Condition],
    type_: ConditionType,
    status: Truth,
    reason: Reason,
    message: str,
    now: datetime,
    generation: int | None = None,
) -> tuple[Condition, ...]:
    """All conditions, the one of that type replaced or added. Messages are cut at 1,024 characters."""
    kept = tuple(conditions)
    old = find(kept, type_)
    new = Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message[:1024],
        last_transition_time=old.last_transition_time if old and old.status is status else now,
        observed_generation=generation,
    )
    if old is None:
        return (*kept, new)
    return tuple(new if c.type == type_ else c for c in kept)


def without_condition(conditions: Iterable[Condition], type_: ConditionType) -> tuple[Condition, ...]:
    """All conditions but the one of that type."""
    return tuple(c for c in conditions if c.type != type_)

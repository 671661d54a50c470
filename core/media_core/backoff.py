"""How long something waits before it is tried again."""

from __future__ import annotations

from datetime import timedelta

SPREAD = 0.2
LONGEST = timedelta(hours=1)


def backoff(base_seconds: float, attempt: int, chance: float) -> timedelta:
    """`base * 2**(attempt - 1)`, spread by ±20 % and never over an hour.

    `attempt` counts from 1; `chance` is uniform in [0, 1) and comes from outside.
    """
    doubled = base_seconds * 2 ** min(max(attempt - 1, 0), 20)
    return min(timedelta(seconds=doubled * (1 - SPREAD + 2 * SPREAD * chance)), LONGEST)

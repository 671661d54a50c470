"""How a worker waits before it tries something again: full jitter, so that many workers do not come back as one.

Apart because storage, the decoder and the Kubernetes API are all waited for in this way.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

FIRST_SECONDS = 0.2
T = TypeVar("T")


def full_jitter(attempt: int, chance: float, longest: float = 5.0) -> float:
    """Seconds to wait after the failed `attempt` (from 0); `chance` is uniform in [0, 1)."""
    return chance * min(longest, FIRST_SECONDS * 2.0 ** min(attempt, 16))


async def pause(attempt: int, longest: float = 5.0) -> None:
    """Wait after the failed `attempt`."""
    await asyncio.sleep(full_jitter(attempt, random.random(), longest))  # noqa: S311 - not a secret


async def patiently(call: Callable[[], Awaitable[T]], transient: type[Exception], seconds: float) -> T:
    """The call's result. After `transient` it is tried again, until `seconds` after the first failure."""
    loop = asyncio.get_running_loop()
    give_up_at: float | None = None
    attempt = 0
    while True:
        try:
            return await call()
        except transient:
            give_up_at = give_up_at or loop.time() + seconds
            if loop.time() >= give_up_at:
                raise
        await pause(attempt, min(5.0, give_up_at - loop.time() + 0.05))
        attempt += 1


async def wait_for_api(attempt: int, retry_after: float) -> None:
    """Wait before the Kubernetes API is called again; what it asked for is the least."""
    await asyncio.sleep(retry_after)
    await pause(attempt)

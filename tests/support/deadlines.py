"""Waiting in tests: for a condition, with a deadline, never for a time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(look: Callable[[], Awaitable[T | None]], seconds: float = 20.0, pause: float = 0.02) -> T: ...
@overload
async def eventually(look: Callable[[], T | None], seconds: float = 20.0, pause: float = 0.02) -> T: ...
async def eventually(look: Callable[[], Any], seconds: float = 20.0, pause: float = 0.02) -> Any:
    """The first thing that `look` returns which is true; a failure when nothing is until the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < deadline, f"it did not come to pass within {seconds:g} s"
        await asyncio.sleep(pause)

"""Running a command's coroutine so that an interrupt lets it clean up: whole, and undisturbed by a second one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(work: Coroutine[Any, Any, int], tell: Callable[[str], None]) -> int:
    """The coroutine's exit code, or 128 + the signal that ended it."""
    return asyncio.run(_run(work, tell))


async def _run(work: Coroutine[Any, Any, int], tell: Callable[[str], None]) -> int:
    task = asyncio.create_task(work)
    heard: list[signal.Signals] = []

    def interrupt(number: signal.Signals) -> None:
        heard.append(number)
        if len(heard) == 1:
            tell("stopping what was started …")
            task.cancel()
        else:
            tell("still stopping; nothing is left behind when this ends")

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, interrupt, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not heard:
            raise
        return 128 + heard[0]

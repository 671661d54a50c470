"""Memory of a side's workers over time: a parent and its children, counted two ways.

RSS is summed, so pages that processes share count once for each of them: that is against whoever has many processes.
PSS shares them out, and is what the machine would have back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment."""

    seconds: float
    rss_bytes: int
    pss_bytes: int


@dataclass
class Memory:
    """All samples of one block."""

    samples: list[Sample] = field(default_factory=list)

    @property
    def peak_rss(self) -> int:
        """The most it was, summed over the processes."""
        return max((sample.rss_bytes for sample in self.samples), default=0)

    @property
    def peak_pss(self) -> int:
        """The most it was, shared pages shared out."""
        return max((sample.pss_bytes for sample in self.samples), default=0)


def named(family: Iterable[psutil.Process], names: tuple[str, ...], *, alone: bool = False) -> list[psutil.Process]:
    """Those of a family that were started under one of these names, and (unless `alone`) all they started."""
    found: dict[int, psutil.Process] = {}
    for process in family:
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if any(name in Path(word).name for word in words[:4] for name in names):
                found |= {each.pid: each for each in (process, *(() if alone else process.children(recursive=True)))}
    return list(found.values())


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time they have used so far, and those that they started and that have ended."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def measured(processes: Iterable[psutil.Process], seconds: float) -> Sample:
    """Their memory now; one that has just ended counts nothing."""
    rss = pss = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            full = process.memory_full_info()
            rss, pss = rss + full.rss, pss + full.pss
    return Sample(seconds, rss, pss)


@asynccontextmanager
async def sampled(processes: Callable[[], Iterable[psutil.Process]]) -> AsyncIterator[Memory]:
    """Look every half second until the end of the block, in a thread: reading a large process takes milliseconds."""
    memory, began = Memory(), time.monotonic()

    def now() -> Sample:
        return measured(processes(), time.monotonic() - began)

    async def look() -> None:
        while True:
            memory.samples.append(await asyncio.to_thread(now))
            await asyncio.sleep(SAMPLE_SECONDS)

    task = asyncio.create_task(look())
    try:
        yield memory
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

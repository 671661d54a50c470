"""How many threads ffmpeg gets for each of its parts: as many as there are processors, and as memory has room for."""

from __future__ import annotations

import math
import os
from pathlib import Path

MOST_THREADS = 16
"""Above this many more of them no longer make a film faster."""
BASE_BYTES, THREAD_BYTES = 1280 << 20, 320 << 20
"""Address space of a film in 4K with three rungs, without threads and for each: measured are 1.3 GiB and 290 MiB."""
_QUOTAS = (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"))
"""Files that tell how many microseconds may be used in how many: of version 2 of control groups, and of version 1."""


def threads(memory_bytes: int, groups: Path = Path("/sys/fs/cgroup")) -> int:
    """As many as there are processors, whole or in part, for this process; fewer where memory is short."""
    allowed = [len(os.sched_getaffinity(0)), (memory_bytes - BASE_BYTES) // THREAD_BYTES]
    for names in _QUOTAS:
        try:
            told = " ".join((groups / name).read_text() for name in names)
        except OSError:
            continue
        allowed += [share] if (share := of_quota(told)) is not None else []
    return max(1, min(*allowed, MOST_THREADS))


def of_quota(told: str) -> int | None:
    """Processors by a quota and its period, as the kernel tells them; None for no quota."""
    match told.split():
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period):
            return math.ceil(int(quota) / int(period))
        case _:
            return None

"""What a child of the decoder may not do, whatever an image makes of it. All of it is final: none can be undone.

Address space and processor time bound what an image costs; the rest takes away what decoding never needs: files to
write, new privileges, nearly all system calls, and being looked into by another child.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
import signal
from dataclasses import dataclass

from media_worker.decoder.syscalls import restrict

OPEN_FILES = 16
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Confinement:
    """Bounds of one child."""

    memory_bytes: int
    """Address space, which is what a decoder allocates plus about 100 MiB of libraries."""
    cpu_seconds: int
    """Processor time for one image."""


def confine(bounds: Confinement) -> bool:
    """Bound this process for good. Whether its system calls are restricted too, which not every kernel can."""
    for kind, most in (
        (resource.RLIMIT_AS, bounds.memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        resource.setrlimit(kind, (most, most))
    gain_no_privileges()
    return restrict()


def allow_cpu(seconds: int) -> None:
    """From now on this many seconds of processor time, then SIGXCPU. The soft limit may be raised again."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def gain_no_privileges() -> None:
    """No program that this process becomes has more rights than it; filters of system calls need that."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def end_with_parent(parent: int) -> None:
    """Be killed when the process that started this one ends; it may have ended already."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def hide() -> None:
    """Memory, environment and descriptors of this process cannot be read by others of the same user."""
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")

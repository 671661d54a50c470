"""What ffmpeg and ffprobe may not do, whatever a film makes of them. All of it holds for what they load and become."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass

from media_worker.decoder.confinement import gain_no_privileges
from media_worker.transcoder.syscalls import restrict

OPEN_FILES = 128
CPU_GRACE_SECONDS = 5
NICENESS = 10
"""Behind the worker that uploads what is made, and behind probes of the container."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one program."""

    memory_bytes: int
    """Address space, which is what it allocates plus about 300 MiB of libraries."""
    file_bytes: int
    """The largest file it may write."""
    cpu_seconds: int

    def to_arguments(self) -> tuple[str, str, str]:
        """As `launch` reads them."""
        return str(self.memory_bytes), str(self.file_bytes), str(self.cpu_seconds)


def confine(bounds: Bounds) -> bool:
    """Bound this process for good. Whether system calls are denied to it too, which not every kernel can."""
    os.nice(NICENESS)
    os.umask(0o007)
    for kind, most in (
        (resource.RLIMIT_AS, bounds.memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        resource.setrlimit(kind, (most, most))
    # SIGXCPU first, which says why; at the hard limit it would be SIGKILL.
    resource.setrlimit(resource.RLIMIT_CPU, (bounds.cpu_seconds, bounds.cpu_seconds + CPU_GRACE_SECONDS))
    gain_no_privileges()
    return restrict()

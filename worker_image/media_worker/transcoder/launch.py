"""Becomes ffmpeg or ffprobe, confined. A program of its own because between fork and exec the server could do little
of this safely, and because a fresh interpreter has nothing in its memory that must not be seen.

Arguments: process id of the server, the bounds, then the command. It ends when the server is gone.
"""

from __future__ import annotations

import os
import signal
import sys

from media_worker.decoder.confinement import end_with_parent
from media_worker.transcoder.confinement import Bounds, confine

NO_PROGRAM = 127
SEARCHED = "/usr/local/bin:/usr/bin:/bin"
ENVIRONMENT = {"PATH": SEARCHED, "MALLOC_ARENA_MAX": "4"}
"""An arena of the C library takes 64 MiB of address space, and there may be one a thread."""


def main() -> None:
    """Entry point: `python -I -m media_worker.transcoder.launch`."""
    parent, memory_bytes, file_bytes, cpu_seconds = (int(argument) for argument in sys.argv[1:5])
    command = sys.argv[5:]
    end_with_parent(parent)
    confine(Bounds(memory_bytes, file_bytes, cpu_seconds))
    for ignored in (signal.SIGXFSZ, signal.SIGPIPE):
        signal.signal(ignored, signal.SIG_DFL)  # the interpreter's own choice, which would be inherited
    try:
        os.execvpe(command[0], command, ENVIRONMENT)  # noqa: S606 - a shell is not wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(NO_PROGRAM)


if __name__ == "__main__":
    main()

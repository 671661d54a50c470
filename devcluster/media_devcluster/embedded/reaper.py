"""Kills what a cluster leaves behind when it dies without saying goodbye.

A script run by a bare interpreter beside the cluster. The cluster tells it on its stdin which process groups live
(`+123`, `-123`) and which folders are scratch (`/tmp/...`). The pipe ends with the cluster, however that ends.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys


def main() -> None:
    """Keeps the book until the pipe ends, then closes it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    folders: list[str] = []
    for line in sys.stdin:
        entry = line.strip()
        if entry.startswith("+"):
            groups.add(int(entry[1:]))
        elif entry.startswith("-"):
            groups.discard(int(entry[1:]))
        elif entry.startswith("/"):
            folders.append(entry)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

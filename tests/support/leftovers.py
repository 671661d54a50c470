"""Which processes still have to do with a folder: run in it, or were told of it."""

from __future__ import annotations

from pathlib import Path

import psutil


def processes_in(folder: Path, but: int | None = None) -> list[str]:
    """Command lines of the processes whose working folder is in `folder`, or whose arguments name it."""
    place = str(folder.resolve())
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == but or process.status() == psutil.STATUS_ZOMBIE:
                continue
            words = process.cmdline()
            if process.cwd().startswith(place) or any(place in word for word in words):
                found.append(f"{process.pid}: {' '.join(words)}")
        except psutil.Error:
            continue
    return found

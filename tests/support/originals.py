"""Originals as tests look at them: what is in one, and which of them this process has open."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from media_worker.original import Original


def content(original: Original) -> bytes:
    """All of it, wherever its offset is."""
    return os.pread(original.file, original.size + 1, 0)


def still_open() -> list[str]:
    """A line for each original that this process has open, by whatever descriptor."""
    return [line for line in open_files() if "memfd:original" in line]


def open_files() -> list[str]:
    """A line for each descriptor of this process: its number and what it leads to."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the listing's own
            found.append(f"{descriptor.name} {descriptor.readlink()}")
    return found

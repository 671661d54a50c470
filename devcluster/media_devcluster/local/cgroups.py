"""The node's control groups: made where the kernel has its hierarchies (v1: one a controller; v2: one), and removed.

They stand apart from the namespaces because they are the one thing of a node that does not go with its first process.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from media_devcluster.local.layout import CGROUP

ROOT = Path("/sys/fs/cgroup")
REMOVE_SECONDS = 20.0
POLL_SECONDS = 0.1
WEIGHTS = {"cpu.shares": 1024, "cpu.weight": 100}
"""Files of versions 1 and 2 that say what a group weighs, and what one has by default."""


def unified() -> bool:
    """Whether the machine has version 2 only."""
    return (ROOT / "cgroup.controllers").exists()


def make() -> None:
    """The node's group in every hierarchy, with every controller handed down. Raises OSError.

    It weighs what all of the machine's cores weigh, as a node's group of pods does: with the usual weight, all pods
    together would get as much as any one process outside.
    """
    cores = os.cpu_count() or 1
    for base in _hierarchies():
        (base / CGROUP).mkdir(exist_ok=True)
        for name, usual in WEIGHTS.items():
            if (base / CGROUP / name).exists():
                (base / CGROUP / name).write_text(str(usual * cores), encoding="ascii")
        if base.name == "cpuset" or ((base / "cpuset.cpus").exists() and not unified()):
            for name in ("cpuset.cpus", "cpuset.mems"):
                (base / CGROUP / name).write_text((base / name).read_text(encoding="ascii"), encoding="ascii")
    if unified():
        wanted = " ".join(f"+{name}" for name in (ROOT / "cgroup.controllers").read_text(encoding="ascii").split())
        for folder in (ROOT, ROOT / CGROUP):
            (folder / "cgroup.subtree_control").write_text(wanted, encoding="ascii")


def remove() -> list[Path]:
    """Remove the node's groups, deepest first, once their processes are gone. Returns what could not be removed."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while (left := _groups()) and time.monotonic() < deadline:
        for folder in left:
            with contextlib.suppress(OSError):
                folder.rmdir()
        if _groups():
            time.sleep(POLL_SECONDS)
    return _groups()


def members() -> set[int]:
    """Processes in any of the node's groups."""
    found: set[int] = set()
    for folder in _groups():
        with contextlib.suppress(OSError, ValueError):
            found |= {int(line) for line in (folder / "cgroup.procs").read_text(encoding="ascii").split()}
    return found


def _groups() -> list[Path]:
    found: list[Path] = []
    for base in _hierarchies():
        for path, _folders, _files in os.walk(base / CGROUP, topdown=False):
            found.append(Path(path))
    return found


def _hierarchies() -> list[Path]:
    if unified():
        return [ROOT]
    return [path for path in ROOT.iterdir() if path.is_dir() and not path.is_symlink()]

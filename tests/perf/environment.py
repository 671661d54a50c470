"""The virtual environment of what is only measured against: ARQ, pyvips, and matplotlib to draw with.

Apart from the project's own, so that its lock file carries none of it. Made below build/perf from
requirements/perf.lock, hash-checked, and again when the lock changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "perf.lock"
INSTALL_SECONDS = 900.0


class NotInstalled(Exception):
    """Something that is measured against is missing; the text says what to do."""


def python(tell: Callable[[str], None] = lambda line: None) -> Path:
    """Its interpreter. Raises NotInstalled."""
    key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:10]
    folder = ROOT / "build" / "perf" / f"venv-{key}"
    ready = folder / ".ready"
    if not ready.exists():
        tell("installing what is measured against (requirements/perf.lock) …")
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", str(folder))
        pip = (str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check")
        _run(*pip, "--require-hashes", "-r", str(LOCK))
        ready.touch()
    return folder / "bin" / "python"


def program(name: str, package: str) -> str:
    """A program of the machine. Raises NotInstalled with the Debian package that has it."""
    found = shutil.which(name)
    if found is None:
        raise NotInstalled(f"There is no {name}: apt-get install --no-install-recommends {package}")
    return found


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")), "")
    cores = sorted(os.sched_getaffinity(0))
    return {"cpu": model, "cores": len(cores), "load_before": os.getloadavg()[0]}


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode != 0:
        raise NotInstalled(f"{' '.join(command[:4])} failed: {done.stderr.strip()[-600:]}")

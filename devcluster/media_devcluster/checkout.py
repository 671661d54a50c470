"""Where the files of this project are: CRDs, samples, and the programs installed beside this Python."""

from __future__ import annotations

import sys
from pathlib import Path

from media_devcluster.processes import StartFailed

ROOT = Path(__file__).resolve().parents[2]


def crds() -> list[Path]:
    """The files with the CRDs. Raises StartFailed where this is not run from a checkout."""
    found = sorted((ROOT / "crds").glob("*.yaml"))
    if not found:
        raise StartFailed("media-dev", f"finds no CRDs in {ROOT / 'crds'}", advice="Run it from a checkout.")
    return found


def samples() -> list[Path]:
    """The sample files, sorted; none where there are none."""
    folder = ROOT / "samples"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix.lower() not in {".md", ".txt"})


def program(name: str) -> str:
    """A program of this installation. Raises StartFailed."""
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise StartFailed("media-dev", f"finds no {name} beside {sys.executable}", advice="Run `make setup`.")
    return str(path)

"""The program kind: the one on PATH where it is new enough, else built from its Go module and cached."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from media_devcluster.local import binaries

VERSION = (0, 33)
"""The release the module pins. An older one may not know how to start the node image that this one names."""
ASK_SECONDS = 10.0
_VERSION = re.compile(r"^kind v(\d+)\.(\d+)\.\d+ ")


def find(cache: Path, tell: Callable[[str], None]) -> Path:
    """Where it is. Raises StartFailed where it is neither there nor can be built."""
    installed = shutil.which("kind")
    if installed is not None:
        if new_enough(version := _said(installed)):
            return Path(installed)
        tell(f"{installed} is not used: it is not v{VERSION[0]}.{VERSION[1]} or newer ({version.strip()[:60]})")
    return build(cache, tell)


def new_enough(said: str) -> bool:
    """Whether that is what `kind version` says of a release that starts the pinned node image."""
    found = _VERSION.match(said)
    return found is not None and (int(found[1]), int(found[2])) >= VERSION


def build(cache: Path, tell: Callable[[str], None]) -> Path:
    """The one of the pinned module; built where the cache has none of exactly these pins. Raises StartFailed."""
    return binaries.build(cache, tell, [binaries.KIND])[binaries.KIND.name]


def _said(program: str) -> str:
    try:
        done = subprocess.run((program, "version"), capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout

"""The program kind: the one on PATH where it is new enough, else built from the Go module here and cached."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from media_devcluster.images.engines import run
from media_devcluster.images.recipes import Made

MODULE = Path(__file__).parent / "module"
VERSION = (0, 33)
"""The release the module pins. An older one may not know how to start the node image that this one names."""
ASK_SECONDS = 10.0
BUILD_SECONDS = 900.0
BUILT = Made(
    "kind",
    ("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", "{output}", "sigs.k8s.io/kind"),
    (MODULE / "go.mod", MODULE / "go.sum"),
    60,
    "kind on PATH would do as well, or Go to build it: https://go.dev/dl",
    env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
    folder=MODULE,
)
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
    program = cache / "bin" / f"kind-{BUILT.key}" / BUILT.name
    if program.exists():
        return program
    tell(f"building kind (about {BUILT.seconds} s on two cores) …")
    began = time.monotonic()
    program.parent.mkdir(parents=True, exist_ok=True)
    unfinished = program.with_name(f"{program.name}.{os.getpid()}")
    command = tuple(part.replace("{output}", str(unfinished.resolve())) for part in BUILT.command)
    log = program.with_suffix(".log")
    log.unlink(missing_ok=True)
    try:
        run(BUILT.name, command, log, BUILD_SECONDS, BUILT.env, folder=BUILT.folder, advice=BUILT.advice)
        unfinished.rename(program)
    finally:
        unfinished.unlink(missing_ok=True)
    tell(f"built kind in {time.monotonic() - began:.0f} s")
    return program


def _said(program: str) -> str:
    try:
        done = subprocess.run((program, "version"), capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout

"""The two programs that build images: Docker where its daemon answers, else buildah, which needs none.

Buildah keeps its layers in a store of its own below the cache, so nobody's images are touched, and it runs in
namespaces of its own: what it mounts and starts ends with it, however it ends.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from media_devcluster.images.origins import Origins
from media_devcluster.images.recipes import Recipe, debian
from media_devcluster.processes import StartFailed, tail

BUILD_SECONDS = 1500.0
SAVE_SECONDS = 300.0
ASK_SECONDS = 10.0
TAIL_LINES = 15
RUNNING = Path("/run/media-dev-images")
APART = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
)
"""Before a command: its mounts and processes are gone when it is, and it is gone when the one who asked for it is."""


class Engine(Protocol):
    """What builds an image of a context, and writes it where a cluster can read it."""

    @property
    def bases(self) -> Mapping[str, Recipe | str]:
        """What images stand on, by build argument."""

    def clear(self) -> None:
        """Throw away what builds that were killed left in its store."""

    def has(self, recipe: Recipe) -> bool:
        """Whether an image of exactly this recipe is in its store; only asked of those named by their key."""

    def build(self, recipe: Recipe, context: Path, secrets: Path, origins: Origins, log: Path) -> None:
        """Build it. Raises StartFailed."""

    def save(self, recipe: Recipe, archive: Path, log: Path) -> None:
        """Write it as a docker archive. Raises StartFailed."""


def chosen(store: Path) -> Engine:
    """Docker, or buildah. Raises StartFailed where there is neither."""
    if Docker.answers():
        return Docker()
    if shutil.which("buildah") is None:
        advice = "Start Docker, or: apt-get install buildah debootstrap"
        raise StartFailed("images", "cannot be built: no Docker daemon answers and buildah is missing", advice=advice)
    if os.geteuid() != 0:
        raise StartFailed("images", "cannot be built by buildah without root", advice="Start Docker, or run as root.")
    return Buildah(store)


class Docker:
    """The daemon of this machine. It pulls what the Dockerfiles stand on."""

    bases: Mapping[str, Recipe | str] = {}

    @staticmethod
    def answers() -> bool:
        """Whether there is a daemon."""
        if shutil.which("docker") is None:
            return False
        try:
            argv = ("docker", "version", "--format", "{{.Server.Version}}")
            return subprocess.run(argv, capture_output=True, timeout=ASK_SECONDS, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False

    def clear(self) -> None:
        """The daemon sees to that itself."""

    def has(self, recipe: Recipe) -> bool:
        """Whether it is there."""
        argv = ("docker", "image", "inspect", recipe.reference)
        return subprocess.run(argv, capture_output=True, timeout=ASK_SECONDS, check=False).returncode == 0

    def build(self, recipe: Recipe, context: Path, secrets: Path, origins: Origins, log: Path) -> None:
        """Build it with BuildKit, which knows secrets. Folders of packages on this machine are not seen by it."""
        proxies = [flag for name in origins.environment for flag in ("--build-arg", name)]
        argv = ("docker", "build", *proxies, *arguments(recipe, context, secrets, origins))
        run(recipe.name, argv, log, BUILD_SECONDS, {**origins.environment, "DOCKER_BUILDKIT": "1"})

    def save(self, recipe: Recipe, archive: Path, log: Path) -> None:
        """Write it."""
        run(recipe.name, ("docker", "save", "--output", str(archive), recipe.reference), log, SAVE_SECONDS)


class Buildah:
    """Buildah with a store of its own; what images stand on is made by debootstrap."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._driver = ""

    @property
    def bases(self) -> Mapping[str, Recipe | str]:
        """Debian with Python."""
        return debian()

    def clear(self) -> None:
        """Remove working containers; what they had mounted went with the one who mounted it."""
        argv = (*self._buildah(), "rm", "--all")
        subprocess.run(argv, capture_output=True, timeout=ASK_SECONDS * 6, check=False)

    def has(self, recipe: Recipe) -> bool:
        """Whether it is there."""
        argv = (*self._buildah(), "inspect", "--type", "image", recipe.reference)
        return subprocess.run(argv, capture_output=True, timeout=ASK_SECONDS * 3, check=False).returncode == 0

    def build(self, recipe: Recipe, context: Path, secrets: Path, origins: Origins, log: Path) -> None:
        """Build it layer by layer; layers that were built before are taken from the store."""
        folders = [flag for folder in origins.folders for flag in ("--volume", f"{folder}:{folder}:ro")]
        how = ("--isolation", "chroot", "--layers", "--pull-never", "--format", "docker")
        argv = (*self._buildah(), "bud", *how, *folders, *arguments(recipe, context, secrets, origins))
        run(recipe.name, argv, log, BUILD_SECONDS, origins.environment)

    def save(self, recipe: Recipe, archive: Path, log: Path) -> None:
        """Write it."""
        argv = (*self._buildah(), "push", "--quiet", recipe.reference)
        run(recipe.name, (*argv, f"docker-archive:{archive}:{recipe.reference}"), log, SAVE_SECONDS)

    def _buildah(self) -> tuple[str, ...]:
        self._driver = self._driver or self._probed()
        folder = self._store / self._driver
        # What is running and mounted ends with a reboot, and so does the folder that says so.
        running = RUNNING / hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
        return (*APART, "buildah", "--storage-driver", self._driver, "--root", str(folder), "--runroot", str(running))

    def _probed(self) -> str:
        """overlay where this file system carries it; else vfs, which copies each layer whole."""
        self._store.mkdir(parents=True, exist_ok=True)
        script = "mkdir -p l u w m && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w none m"
        probe = self._store / "probe"
        probe.mkdir(exist_ok=True)
        argv = (*APART, "sh", "-c", script)
        carried = (
            subprocess.run(argv, cwd=probe, capture_output=True, timeout=ASK_SECONDS, check=False).returncode == 0
        )
        shutil.rmtree(probe, ignore_errors=True)
        return "overlay" if carried else "vfs"


def arguments(recipe: Recipe, context: Path, secrets: Path, origins: Origins) -> tuple[str, ...]:
    """What both programs understand: the recipe, and the secrets by files of their names."""
    bases = {name: base if isinstance(base, str) else base.reference for name, base in recipe.bases.items()}
    flags = [flag for name, base in bases.items() for flag in ("--build-arg", f"{name}={base}")]
    flags += [flag for name in origins.secrets for flag in ("--secret", f"id={name},src={secrets / name}")]
    if recipe.target:
        flags += ["--target", recipe.target]
    return (*flags, "--file", str(context / "Dockerfile"), "--tag", recipe.reference, str(context))


def run(
    name: str,
    argv: tuple[str, ...],
    log: Path,
    seconds: float,
    env: Mapping[str, str] | None = None,
    *,
    folder: Path | None = None,
    advice: str = "",
) -> None:
    """Run it to its end, both outputs to the log. Raises StartFailed, with the log's last lines."""
    with log.open("ab") as output:
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {})},
                cwd=folder,
                timeout=seconds,
                check=False,
            )
        except FileNotFoundError as missing:
            raise StartFailed(name, f"cannot be built: {missing.filename} is missing", advice=advice) from None
        except subprocess.TimeoutExpired:
            why = f"was not built within {seconds:.0f} s"
            raise StartFailed(name, why, tail(log, TAIL_LINES), advice) from None
    if done.returncode != 0:
        why = f"cannot be built: it ended with code {done.returncode}"
        raise StartFailed(name, why, tail(log, TAIL_LINES), advice or f"The whole log is {log}.")

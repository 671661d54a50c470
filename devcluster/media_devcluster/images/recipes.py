"""What each image is made of, and the key that says whether it has to be made anew. Values and digests only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from media_devcluster import checkout

REPOSITORY = "docker.io/local"
FILM_IMAGE = "media-worker-ffmpeg"
CONTEXTS = Path(__file__).parent
KEY_LENGTH = 16


@dataclass(frozen=True)
class Made:
    """A file that a command of this machine makes; `{output}` in the command is where it goes."""

    name: str
    command: tuple[str, ...]
    sources: tuple[Path, ...]
    seconds: int
    advice: str
    env: Mapping[str, str] = field(default_factory=dict)
    folder: Path = CONTEXTS
    apart: bool = False

    @property
    def key(self) -> str:
        """Of everything that decides what comes out; a mirror does not."""
        told = (self.name, *self.command, *(f"{name}={value}" for name, value in sorted(self.env.items())))
        return digest(told, {path.name: path for path in self.sources})


@dataclass(frozen=True)
class Recipe:
    """An image: a Dockerfile, the files it may copy by their place in the context, and the images it stands on.

    `bases` are by the build argument that names them: another recipe, or an image some registry has.
    `shipped` ones go to a cluster as archives; the others are only there to build them.
    """

    name: str
    dockerfile: Path
    files: Mapping[str, Path | Made] = field(default_factory=dict)
    bases: Mapping[str, Recipe | str] = field(default_factory=dict)
    seconds: int = 5
    tag: str = "dev"
    target: str | None = None
    shipped: bool = True

    @property
    def reference(self) -> str:
        """Its full name. What is not shipped is named by its key, as several may be in use."""
        return f"{REPOSITORY}/{self.name}:{self.tag if self.shipped else self.key}"

    @property
    def key(self) -> str:
        """Of everything that decides what comes out."""
        made = {place: file.key for place, file in self.files.items() if isinstance(file, Made)}
        bases = {name: base if isinstance(base, str) else base.key for name, base in self.bases.items()}
        told = (
            self.name,
            self.tag,
            self.target or "",
            *(f"{name}={key}" for name, key in (*bases.items(), *made.items())),
        )
        plain = {place: file for place, file in self.files.items() if isinstance(file, Path)}
        return digest(told, {"Dockerfile": self.dockerfile, **plain})


def digest(told: tuple[str, ...], files: Mapping[str, Path]) -> str:
    """Of some words and of files: their places, contents, and whether they can be executed."""
    whole = hashlib.sha256("\0".join(told).encode())
    for place, path in sorted(files.items()):
        for name, file in contents(path):
            executable = file.stat().st_mode & 0o100
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            whole.update(f"\0{place}/{name}\0{executable}\0{content}".encode())
    return whole.hexdigest()[:KEY_LENGTH]


def contents(path: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder by their names in it, sorted, without what Python compiled; or the one file."""
    if path.is_file():
        yield "", path
        return
    for found in sorted(path.rglob("*")):
        if found.is_file() and found.suffix != ".pyc":
            yield str(found.relative_to(path)), found


def debian() -> dict[str, Recipe]:
    """Bases for a machine that reaches no registry: Debian with Python, and the same with what builds on it."""
    script = CONTEXTS / "base" / "debian.sh"
    root = Made("root.tar", ("sh", str(script), "{output}"), (script,), 90, "apt-get install debootstrap", apart=True)
    base = Recipe("base", CONTEXTS / "base" / "Dockerfile", {"root.tar": root}, seconds=10, shipped=False)
    builder = Recipe(
        "builder", CONTEXTS / "builder" / "Dockerfile", bases={"BASE_IMAGE": base}, seconds=20, shipped=False
    )
    return {"BASE_IMAGE": base, "BUILD_IMAGE": builder}


def product(
    bases: Mapping[str, Recipe | str], root: Path = checkout.ROOT, *, films: bool = False
) -> tuple[Recipe, ...]:
    """The service's own images, with `films` also that of the workers that transcode, which is as large as the others
    together. Without bases they stand on those their Dockerfiles name.
    """

    def recipe(name: str, part: str, seconds: int, *packages: str, target: str) -> Recipe:
        places = ("LICENSE", "pyproject.toml", "requirements/build.lock", f"requirements/{part}.lock", *packages)
        files = {place: root / place for place in places}
        return Recipe(name, root / f"Dockerfile.{part}", files, bases, seconds, target=target)

    core = "core/media_core"
    page = ("requirements/web.lock", "scripts/web_assets.py")
    worker = (core, "worker_image/media_worker")
    return (
        recipe("media-api", "api", 100, core, "operator/media_operator", "api/media_api", *page, target="api"),
        recipe("media-worker", "worker", 80, *worker, target="worker"),
        # Its layers below ffmpeg are those of the worker, which is built before it.
        *((recipe(FILM_IMAGE, "worker", 120, *worker, target="worker-ffmpeg"),) if films else ()),
    )


def beside(bases: Mapping[str, Recipe | str], binaries: Mapping[str, Path]) -> tuple[Recipe, ...]:
    """What a cluster without a registry needs beside the service: pause, PostgreSQL and the S3 server."""
    pause = Made(
        "pause",
        ("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", "{output}", "."),
        (CONTEXTS / "pause" / "main.go", CONTEXTS / "pause" / "go.mod"),
        20,
        "Go is needed: https://go.dev/dl",
        env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        folder=CONTEXTS / "pause",
    )
    database = CONTEXTS / "postgres"
    only = {name: base for name, base in bases.items() if name == "BASE_IMAGE"}
    return (
        Recipe("pause", CONTEXTS / "pause" / "Dockerfile", {"pause": pause}, tag="1"),
        Recipe("postgres", database / "Dockerfile", {"entrypoint.sh": database / "entrypoint.sh"}, only, seconds=60),
        Recipe(
            "versitygw",
            CONTEXTS / "static" / "Dockerfile",
            {"program/versitygw": binaries["versitygw"]},
        ),
    )

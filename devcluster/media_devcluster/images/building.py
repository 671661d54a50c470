"""Images out of recipes: what is in the cache is taken from there, the rest is built, one after the other.

An archive takes its final name when it is whole, and one process builds at a time, so neither a killed build nor two
at once leave anything that looks finished and is not.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from media_devcluster.images.engines import APART, BUILD_SECONDS, Engine, chosen, run
from media_devcluster.images.origins import Origins
from media_devcluster.images.recipes import Made, Recipe, beside, contents, product
from media_devcluster.processes import StartFailed

WAIT_SECONDS = 1800.0
POLL_SECONDS = 0.2
KEPT = 2
"""Archives of one image: the present one, and the one before, which a cluster may be reading."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """An image as an archive in the cache. `seconds` is how long it took now; 0 where it was there."""

    name: str
    archive: Path
    size_bytes: int
    built: bool
    seconds: float


def build_images(cache: Path, binaries: Mapping[str, Path], tell: Tell, *, films: bool = False) -> list[Image]:
    """Every image of a local cluster, with `films` also that of the workers that transcode.

    `binaries` has the programs that go into some, by name. Raises StartFailed.
    """
    engine = chosen(cache / "images" / "store")
    return Kitchen(cache / "images", engine, tell).serve(
        (*product(engine.bases, films=films), *beside(engine.bases, binaries)),
    )


def build_product_images(cache: Path, tell: Tell) -> list[Image]:
    """The service's own images. Raises StartFailed."""
    engine = chosen(cache / "images" / "store")
    return Kitchen(cache / "images", engine, tell).serve(product(engine.bases, films=True))


class Kitchen:
    """Builds what is asked for in one folder of the cache."""

    def __init__(self, folder: Path, engine: Engine, tell: Tell, origins: Origins | None = None) -> None:
        self._folder = folder
        self._engine = engine
        self._tell = tell
        self._origins = origins

    def serve(self, recipes: Iterable[Recipe]) -> list[Image]:
        """The images of these recipes, in their order. Raises StartFailed."""
        wanted = [(recipe, self._folder / f"{recipe.name}-{recipe.key}.tar") for recipe in recipes]
        if all(archive.exists() for _, archive in wanted):
            return [_image(recipe, archive) for recipe, archive in wanted]
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._alone(), tempfile.TemporaryDirectory(dir=self._folder, prefix="new-") as work:
            return [self._archived(recipe, archive, Path(work)) for recipe, archive in wanted]

    def _archived(self, recipe: Recipe, archive: Path, work: Path) -> Image:
        if archive.exists():
            return _image(recipe, archive)
        began = time.monotonic()
        self._build(recipe, work)
        unfinished = work / archive.name
        self._engine.save(recipe, unfinished, self._log(recipe.name))
        unfinished.rename(archive)
        _keep_newest(self._folder.glob(f"{recipe.name}-{'[0-9a-f]' * 16}.tar"))
        seconds = time.monotonic() - began
        self._tell(f"built {recipe.name} in {seconds:.0f} s")
        return _image(recipe, archive, seconds)

    def _build(self, recipe: Recipe, work: Path) -> None:
        for base in recipe.bases.values():
            if isinstance(base, Recipe) and not self._engine.has(base):
                self._build(base, work)
        files = {place: self._made(file) if isinstance(file, Made) else file for place, file in recipe.files.items()}
        self._tell(f"building the image {recipe.name} (about {recipe.seconds} s on two cores) …")
        if self._origins is None:
            self._origins = Origins.of_this_machine()
        secrets = work / "secrets"
        secrets.mkdir(mode=0o700, exist_ok=True)
        for name, text in self._origins.secrets.items():
            (secrets / name).write_text(text, encoding="utf-8")
        context = work / recipe.name
        lay_out(context, {"Dockerfile": recipe.dockerfile, **files})
        log = self._log(recipe.name)
        log.unlink(missing_ok=True)
        self._engine.build(recipe, context, secrets, self._origins, log)

    def _made(self, made: Made) -> Path:
        found = self._folder / "made" / f"{made.name}-{made.key}"
        if found.exists():
            return found
        found.parent.mkdir(exist_ok=True)
        self._tell(f"making {made.name} (about {made.seconds} s) …")
        if self._origins is None:
            self._origins = Origins.of_this_machine()
        unfinished = found.with_suffix(f".{os.getpid()}.new")
        command = tuple(part.replace("{output}", str(unfinished)) for part in made.command)
        env = {**self._origins.environment, **made.env, "MIRROR": self._origins.mirror}
        argv = (*APART, *command) if made.apart else command
        run(made.name, argv, self._log(made.name), BUILD_SECONDS, env, folder=made.folder, advice=made.advice)
        unfinished.rename(found)
        return found

    def _log(self, name: str) -> Path:
        folder = self._folder / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock, which the kernel takes back from one who dies, and clear away what that one left."""
        with (self._folder / "lock").open("w") as lock:
            deadline = time.monotonic() + WAIT_SECONDS
            told = False
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        why = f"were being built by another process for {WAIT_SECONDS:.0f} s"
                        raise StartFailed("images", why, advice="See which with: fuser -v " + lock.name) from None
                if not told:
                    self._tell("waiting for another process that builds images …")
                    told = True
                time.sleep(POLL_SECONDS)
            for left in (*self._folder.glob("new-*"), *self._folder.glob("made/*.new*")):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            self._engine.clear()
            yield


def lay_out(context: Path, files: Mapping[str, Path]) -> None:
    """Copy the files to their places, so that what is built is what is there now. Times go along: layers know them."""
    for place, path in files.items():
        for name, file in contents(path):
            target = context / place / name if name else context / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)


def _image(recipe: Recipe, archive: Path, seconds: float | None = None) -> Image:
    return Image(recipe.reference, archive, archive.stat().st_size, seconds is not None, seconds or 0.0)


def _keep_newest(archives: Iterable[Path]) -> None:
    for old in sorted(archives, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        old.unlink()

"""Fetches what the player page and its tests need of npm packages, as requirements/web.lock pins them.

A package is downloaded once, refused unless it has the integrity of the lock, and only the files that are used are
taken out of it, its licence among them. What is there already and whole is left alone, so a second run, or a build
that was handed the files, needs no network. Only the standard library is used: an image is built with it.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "web.lock"
PUBLIC_REGISTRY = "https://registry.npmjs.org/"
DOWNLOAD_SECONDS = 60
ASK_SECONDS = 30
LARGEST_BYTES = 64 << 20


@dataclass(frozen=True)
class Wanted:
    """Which files of a package go where: by their names there, their paths in the package."""

    folder: Path
    files: Mapping[str, str]


PAGE: Mapping[str, Wanted] = {
    "hls.js": Wanted(
        ROOT / "api" / "media_api" / "web" / "vendor",
        {
            "hls.mjs": "dist/hls.light.min.mjs",
            "hls.worker.js": "dist/hls.worker.js",
            "hls.LICENSE.txt": "LICENSE",
        },
    ),
}
TESTS: Mapping[str, Wanted] = {
    "axe-core": Wanted(ROOT / "build" / "web", {"axe.min.js": "axe.min.js", "axe.LICENSE.txt": "LICENSE"}),
}


@dataclass(frozen=True)
class Pin:
    """One line of the lock."""

    name: str
    version: str
    integrity: str

    @property
    def address(self) -> str:
        """Path of the package at a registry."""
        return f"{self.name}/-/{self.name.rpartition('/')[2]}-{self.version}.tgz"


class AssetsRefused(Exception):
    """A package cannot be had, or is not the one of the lock."""


def pins(text: str) -> Iterator[Pin]:
    """The lines of a lock. Raises AssetsRefused."""
    for line in text.splitlines():
        if line and not line.startswith("#"):
            match line.split():
                case [name, version, integrity] if integrity.startswith("sha512-"):
                    yield Pin(name, version, integrity)
                case _:
                    raise AssetsRefused(f"{LOCK.name}: not a name, a version and a sha512 integrity: {line!r}")


def verified(package: bytes, pin: Pin) -> bytes:
    """The same bytes. Raises AssetsRefused where they are not those of the lock."""
    found = "sha512-" + base64.b64encode(hashlib.sha512(package).digest()).decode()
    if found != pin.integrity:
        raise AssetsRefused(f"{pin.name} {pin.version} has the integrity {found}, the lock says {pin.integrity}.")
    return package


def taken(package: bytes, wanted: Wanted) -> dict[str, bytes]:
    """The wanted files of a package, by their names here. Raises AssetsRefused."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        for name, path in wanted.files.items():
            try:
                member = archive.extractfile(f"package/{path}")
            except KeyError:
                member = None
            if member is None:
                raise AssetsRefused(f"{path} is not in the package.")
            found[name] = member.read()
    return found


def unpack(package: bytes, pin: Pin, wanted: Wanted) -> None:
    """Put the files in their place, and beside them what they are, by which `whole` knows them again."""
    files = taken(verified(package, pin), wanted)
    wanted.folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (wanted.folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    _note(pin, wanted).write_text(json.dumps({"integrity": pin.integrity, "files": digests}, indent=1) + "\n")


def whole(pin: Pin, wanted: Wanted) -> bool:
    """Whether the files of that very package are all there and unchanged."""
    try:
        noted = json.loads(_note(pin, wanted).read_text(encoding="utf-8"))
        digests = {name: hashlib.sha256((wanted.folder / name).read_bytes()).hexdigest() for name in wanted.files}
    except (OSError, ValueError):
        return False
    return bool(noted == {"integrity": pin.integrity, "files": digests})


def registry() -> str:
    """Where npm of this machine gets packages from; the public registry where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        return PUBLIC_REGISTRY
    command = [npm, "config", "get", "registry"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    told = done.stdout.strip()
    usable = done.returncode == 0 and told.startswith(("https://", "http://"))
    return told.rstrip("/") + "/" if usable else PUBLIC_REGISTRY


def download(pin: Pin, base: str) -> bytes:
    """The package as the registry has it. Raises AssetsRefused."""
    try:
        with urllib.request.urlopen(base + pin.address, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310
            package: bytes = answer.read(LARGEST_BYTES)
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise AssetsRefused(f"{pin.name} {pin.version} cannot be downloaded: {error}") from error
    return package


def main() -> int:
    """1 where something is missing in the end."""
    parser = argparse.ArgumentParser(description="Fetch what the player page needs, as requirements/web.lock pins it.")
    parser.add_argument("--tests", action="store_true", help="and what its tests need")
    every = {**PAGE, **(TESTS if parser.parse_args().tests else {})}
    try:
        pinned = {pin.name: pin for pin in pins(LOCK.read_text(encoding="utf-8"))}
        missing = [(pinned[name], wanted) for name, wanted in every.items() if not whole(pinned[name], wanted)]
        base = registry() if missing else ""
        for pin, wanted in missing:
            unpack(download(pin, base), pin, wanted)
            print(f"{pin.name} {pin.version}: {', '.join(wanted.files)}")
    except AssetsRefused as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _note(pin: Pin, wanted: Wanted) -> Path:
    return wanted.folder / f"{pin.name}.json"


if __name__ == "__main__":
    raise SystemExit(main())

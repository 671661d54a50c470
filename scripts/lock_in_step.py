"""Checks without a network that the lock files satisfy pyproject.toml, agree with each other, and name no registry."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)
FOREIGN = re.compile(r"^\s*(?:--|-i\b|-f\b).*|\S+://\S+", re.MULTILINE)
HASH = re.compile(r"^\s*--hash=sha256:[0-9a-f]{64}(?: \\)?$")
DEV = "dev"


@dataclass(frozen=True)
class Lock:
    """One lock file: the versions of each package in it."""

    name: str
    text: str

    @property
    def versions(self) -> dict[str, set[str]]:
        """By package; several where a marker chooses."""
        found: dict[str, set[str]] = {}
        for pin in PINNED.finditer(self.text):
            found.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
        return found


def required(project: Mapping[str, Any], extras: tuple[str, ...]) -> Iterator[Requirement]:
    """Every requirement of the project and of these extras, but those that name the project itself."""
    own = canonicalize_name(str(project["name"]))
    groups = project["optional-dependencies"]
    for text in (*project["dependencies"], *(text for extra in extras for text in groups[extra])):
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) != own:
            yield requirement


def unsatisfied(requirements: Iterator[Requirement], lock: Lock) -> Iterator[str]:
    """A sentence for every requirement the lock does not satisfy."""
    locked = lock.versions
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate():
            continue
        versions = locked.get(canonicalize_name(requirement.name), set())
        if not versions:
            yield f"{lock.name}.lock: {requirement.name} is required and not in it; run `make lock`."
        elif not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
            told = ", ".join(sorted(versions))
            yield f"{lock.name}.lock: {requirement} is required, it has {told}; run `make lock`."


def differing(lock: Lock, tested: Lock) -> Iterator[str]:
    """A sentence for every package an image would have in another version than the tests."""
    known = tested.versions
    for name, versions in lock.versions.items():
        if not versions <= known.get(name, set()):
            image, told = (", ".join(sorted(some)) for some in (versions, known.get(name, {"none"})))
            yield f"{lock.name}.lock: {name} {image}, the tests run with {told}; run `make lock`."


def foreign(lock: Lock) -> Iterator[str]:
    """A sentence for every line that says where packages come from: that is for the machine that installs."""
    for line in FOREIGN.findall(lock.text):
        if not HASH.match(line):
            yield f"{lock.name}.lock: names a place or an option: {line.strip()}"


def main() -> int:
    """1 where a lock is out of step."""
    whole = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = whole["project"]
    needed = {
        DEV: required(project, tuple(project["optional-dependencies"])),
        "api": required(project, ("api", "operator")),
        "worker": required(project, ("worker",)),
        "build": (Requirement(text) for text in whole["build-system"]["requires"]),
    }
    paths = {name: ROOT / "requirements" / f"{name}.lock" for name in needed}
    locks = {name: Lock(name, path.read_text(encoding="utf-8")) for name, path in paths.items() if path.is_file()}
    wrong = [f"requirements/{name}.lock is missing; run `make lock`." for name in needed.keys() - locks.keys()]
    for name in needed.keys() & locks.keys():
        wrong += (*unsatisfied(needed[name], locks[name]), *differing(locks[name], locks[DEV]), *foreign(locks[name]))
    for told in sorted(wrong):
        print(told, file=sys.stderr)
    if not wrong:
        counts = ", ".join(f"{name} {len(lock.versions)}" for name, lock in sorted(locks.items()))
        print(f"Locks: {counts} packages; in step with pyproject.toml and with each other.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

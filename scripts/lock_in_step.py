"""Checks without a network that requirements/dev.lock satisfies every requirement of pyproject.toml."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(?P<version>[^\s;\\]+)", re.MULTILINE)


def required(project: dict[str, object]) -> Iterator[Requirement]:
    """Every requirement of the project and its extras, but those that name the project itself."""
    own = canonicalize_name(str(project["name"]))
    direct = project["dependencies"]
    extras = project["optional-dependencies"]
    assert isinstance(direct, list)
    assert isinstance(extras, dict)
    for text in (*direct, *(text for group in extras.values() for text in group)):
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) != own:
            yield requirement


def unsatisfied(requirements: Iterator[Requirement], locked: dict[str, set[str]]) -> Iterator[str]:
    """A sentence for every requirement the lock does not satisfy."""
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate():
            continue
        versions = locked.get(canonicalize_name(requirement.name), set())
        if not versions:
            yield f"{requirement.name} is required and not in the lock; run `make lock`."
        elif not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
            yield f"{requirement} is required, the lock has {', '.join(sorted(versions))}; run `make lock`."


def main() -> int:
    """1 where the lock is out of step."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked: dict[str, set[str]] = {}
    for pin in PINNED.finditer((ROOT / "requirements/dev.lock").read_text(encoding="utf-8")):
        locked.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    wrong = list(unsatisfied(required(project), locked))
    for told in wrong:
        print(told, file=sys.stderr)
    if not wrong:
        print(f"Lock: {len(locked)} packages, in step with pyproject.toml.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

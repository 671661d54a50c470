"""Compares the coverage of each package with its gate: `coverage_gates.py build/coverage.json`.

Branches count as well as statements, as in the figure coverage.py itself gives; 100 % is therefore 100 % of both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

GATES: Mapping[str, float] = {"media_core": 100.0, "media_operator": 90.0, "media_api": 90.0, "media_worker": 90.0}


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many were run."""

    covered: int = 0
    total: int = 0

    def __add__(self, other: Share) -> Share:
        return Share(self.covered + other.covered, self.total + other.total)

    @property
    def percent(self) -> float:
        """In percent; nothing to run counts as all of it."""
        return 100.0 * self.covered / self.total if self.total else 100.0

    def __str__(self) -> str:
        floor = int(self.percent * 10) / 10
        return f"{floor:5.1f} % ({self.covered}/{self.total})"


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was run of one package."""

    statements: Share = Share()
    branches: Share = Share()

    def reaches(self, gate: float) -> bool:
        """Whether both shares together are at the gate; a package of which nothing was measured never is."""
        return self.statements.total > 0 and (self.statements + self.branches).percent >= gate


def by_package(report: Mapping[str, Any]) -> dict[str, Coverage]:
    """The report of `coverage json`, summed up by top-level package."""
    if not report["meta"]["branch_coverage"]:
        raise ValueError("the report has no branches; measure with branch = true")
    found = dict.fromkeys(GATES, Coverage())
    for file, entry in report["files"].items():
        package = next((part for part in PurePosixPath(file).parts if part in GATES), None)
        if package is None:
            continue
        numbers, sum_ = entry["summary"], found[package]
        found[package] = Coverage(
            sum_.statements + Share(numbers["covered_lines"], numbers["num_statements"]),
            sum_.branches + Share(numbers["covered_branches"], numbers["num_branches"]),
        )
    return found


def together(coverage: Coverage) -> str:
    """Both shares as one figure, rounded down."""
    return f"{int((coverage.statements + coverage.branches).percent * 10) / 10:5.1f} %"


def main() -> int:
    """Print the table; 1 where a gate is missed."""
    found = by_package(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(f"{'package':<16}{'statements':<24}{'branches':<24}{'together':<10}gate")
    for package, coverage in found.items():
        shares = f"{coverage.statements!s:<24}{coverage.branches!s:<24}{together(coverage):<10}"
        print(f"{package:<16}{shares}{GATES[package]:5.1f} %")
    missed = [package for package, coverage in found.items() if not coverage.reaches(GATES[package])]
    for package in missed:
        print(f"{package} is covered by less than its gate of {GATES[package]:g} %.", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""What each number may be: budget.toml has the threshold beside what was measured when it was set, and its tolerance.

Numbers that are the same on every run (instructions, bytes, likeness) are held to it in CI; those of a whole run
are judged by `make bench`, on a machine that does nothing else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("budget.toml")


class BudgetInvalid(Exception):
    """The file does not say what it must; the text tells which entry."""


@dataclass(frozen=True, slots=True)
class Bound:
    """One entry: a limit on one side, what was measured, and by how much that varies from run to run."""

    name: str
    measured: float
    tolerance: float
    at_most: float | None = None
    at_least: float | None = None

    def allows(self, value: float) -> bool:
        """Whether a run with that value is within the limit."""
        return value <= self.at_most if self.at_most is not None else value >= (self.at_least or 0.0)

    @property
    def settled(self) -> bool:
        """Whether all that is usual lies within the limit: then only a change can miss it."""
        return self.allows(self.measured * (1 + self.tolerance)) and self.allows(self.measured * (1 - self.tolerance))

    @property
    def asked(self) -> str:
        """The limit, for people."""
        return f"≤ {self.at_most:g}" if self.at_most is not None else f"≥ {self.at_least:g}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One number held against its bound."""

    name: str
    value: float
    asked: str
    known: str
    ok: bool

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return asdict(self)


def read(text: str) -> dict[str, dict[str, Bound]]:
    """Bounds by group and name. Raises BudgetInvalid."""
    return {
        group: {name: _bound(f"{group}.{name}", entry) for name, entry in entries.items()}
        for group, entries in tomllib.loads(text).items()
    }


def bounds(path: Path = PATH) -> dict[str, dict[str, Bound]]:
    """Those of the file."""
    return read(path.read_text(encoding="utf-8"))


def _bound(name: str, entry: Mapping[str, Any]) -> Bound:
    limits = entry.keys() & {"at_most", "at_least"}
    if len(limits) != 1 or entry.keys() - limits != {"measured", "tolerance"}:
        raise BudgetInvalid(f"{name} needs measured, tolerance and one of at_most and at_least")
    return Bound(name, **{key: float(value) for key, value in entry.items()})


def judged(found: Mapping[str, float], allowed: Mapping[str, Bound]) -> list[Verdict]:
    """Every bound of one group, and its number. One that was not measured is missed: nothing drops out silently."""
    verdicts = []
    for name, bound in allowed.items():
        value = found.get(name)
        known = f"{bound.measured:.4g} ± {bound.tolerance:.0%}"
        verdicts.append(
            Verdict(
                bound.name,
                float("nan") if value is None else value,
                bound.asked,
                known,
                value is not None and bound.allows(value),
            )
        )
    return verdicts

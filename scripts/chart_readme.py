"""Makes the table of values in the chart's README from values.yaml: a value's row is the comment above it.

`--write` writes it; `--check` fails where the README differs, or where a value has no comment.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parents[1] / "charts" / "media"
BEGIN = "<!-- values: begin -->"
END = "<!-- values: end -->"
WHOLE = frozenset({"resources", "labels"})
"""Values that Kubernetes knows the inside of: one row for all of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One value."""

    name: str
    default: Any
    meaning: str


class Undescribed(Exception):
    """A value without a comment above it; the text names it."""


def rows(text: str) -> list[Row]:
    """Every value of a values.yaml, in its order. Raises Undescribed."""
    lines = text.splitlines()
    return [
        Row(name, yaml.safe_load(yaml.serialize(value)), _comment(lines, line, name))
        for name, line, value in _leaves(yaml.compose(text), "")
    ]


def _leaves(node: yaml.Node | None, prefix: str) -> Iterator[tuple[str, int, yaml.Node]]:
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        if isinstance(value, yaml.MappingNode) and value.value and key.value not in WHOLE:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, key.start_mark.line, value


def _comment(lines: list[str], line: int, name: str) -> str:
    found: list[str] = []
    while line > 0 and lines[line - 1].strip().startswith("#"):
        line -= 1
        found.insert(0, lines[line].strip().removeprefix("#").strip())
    if not found:
        raise Undescribed(f"{name} has no comment above it.")
    return " ".join(found)


def table(text: str) -> str:
    """The table."""
    head = ("| Value | Default | Meaning |", "|---|---|---|")
    return "\n".join(
        (*head, *(f"| `{row.name}` | {_shown(row.default)} | {_cell(row.meaning)} |" for row in rows(text)))
    )


def _shown(default: Any) -> str:
    if default is None or default == "":
        return "–"
    return f"`{_cell(default if isinstance(default, str) else json.dumps(default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def written(readme: str, values: str) -> str:
    """The README with its table replaced. Raises ValueError where a marker is missing, and Undescribed."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README needs the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{table(values)}\n\n{END}{after}"


def main() -> int:
    """1 where something is wrong."""
    parser = argparse.ArgumentParser(description="The table of values in the chart's README.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", action="store_true", help="write it anew")
    what.add_argument("--check", action="store_true", help="fail where it differs from values.yaml")
    given = parser.parse_args()
    readme = CHART / "README.md"
    present = readme.read_text(encoding="utf-8")
    try:
        wanted = written(present, (CHART / "values.yaml").read_text(encoding="utf-8"))
    except (Undescribed, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    if given.write:
        readme.write_text(wanted, encoding="utf-8")
    elif wanted != present:
        print(
            "The chart's README is not of these values; `python scripts/chart_readme.py --write` renews it.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

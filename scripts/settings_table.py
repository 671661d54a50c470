"""Writes the README's settings tables from the settings classes, between the two markers.

`python scripts/settings_table.py` writes; tests/unit/test_docs.py fails where the README and the classes differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

from media_core.settings import SettingDoc, documented

README = Path(__file__).resolve().parents[1] / "README.md"
BEGIN = "<!-- settings: begin -->"
END = "<!-- settings: end -->"
PROGRAMS: Mapping[str, str] = {
    "media-api": "media_api.settings:ApiSettings",
    "media-operator": "media_operator.settings:OperatorSettings",
    "media-worker": "media_worker.settings:WorkerSettings",
    "media-metrics": "media_operator.external_metrics.settings:ExternalMetricsSettings",
    "media-uninstall": "media_operator.uninstall:UninstallSettings",
}


def tables() -> str:
    """All tables, each below the name of its program."""
    parts = []
    for program, place in PROGRAMS.items():
        module, _, name = place.partition(":")
        parts.append("\n".join((f"### {program}", "", *_table(documented(getattr(import_module(module), name))))))
    return "\n\n".join(parts)


def _table(rows: list[SettingDoc]) -> Iterator[str]:
    yield "| Setting | Default | Meaning |"
    yield "|---|---|---|"
    for row in rows:
        yield f"| `{row.name}` | {_default(row.default)} | {row.description.replace('|', chr(92) + '|')} |"


def _default(default: str | None) -> str:
    match default:
        case None:
            return "required"
        case "":
            return "–"
        case _:
            return f"`{default}`"


def written(readme: str) -> str:
    """The README with its tables replaced. Raises ValueError where a marker is missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the README needs the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


def main() -> None:
    """Write the README."""
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()

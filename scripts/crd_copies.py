"""Checks the CRDs: those in crds/ are well-formed, and every copy a chart carries is the same file.

`--write` makes the chart's copies anew. They are not in the chart's crds/: Helm would install those by itself, once,
and never renew them. A template of the chart reads them from files/crds/ instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "crds"
CHARTS = ROOT / "charts"
COPIES = Path("files/crds")


def malformed(source: Path) -> str | None:
    """What is wrong with a CRD file, as a sentence; None where it is one CRD with at least one version."""
    try:
        body = yaml.safe_load(source.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        return f"{source.relative_to(ROOT)} is not YAML: {error}"
    match body:
        case {"kind": "CustomResourceDefinition", "metadata": {"name": str()}, "spec": {"versions": [_, *_]}}:
            return None
        case _:
            return f"{source.relative_to(ROOT)} is not a CustomResourceDefinition."


def differing(chart: Path, sources: list[Path]) -> list[str]:
    """How the copies in one chart differ from the sources."""
    copies = chart / COPIES
    expected = {source.name: source.read_bytes() for source in sources}
    present = {copy.name: copy.read_bytes() for copy in copies.glob("*.yaml")}
    return [
        f"{(copies / name).relative_to(ROOT)} is not crds/{name}; `python scripts/crd_copies.py --write` renews it."
        for name in sorted(expected.keys() | present.keys())
        if expected.get(name) != present.get(name)
    ]


def write(chart: Path, sources: list[Path]) -> None:
    """Make the chart's copies anew."""
    copies = chart / COPIES
    copies.mkdir(parents=True, exist_ok=True)
    for old in copies.glob("*.yaml"):
        old.unlink()
    for source in sources:
        (copies / source.name).write_bytes(source.read_bytes())


def main() -> int:
    """Print what was checked; 1 where something is wrong."""
    sources = sorted(SOURCES.glob("*.yaml"))
    charts = sorted(chart.parent for chart in CHARTS.glob("*/Chart.yaml"))
    if "--write" in sys.argv[1:]:
        for chart in charts:
            write(chart, sources)
    wrong = [told for source in sources if (told := malformed(source))]
    wrong += [told for chart in charts for told in differing(chart, sources)]
    if not sources:
        wrong.append("crds/ holds no CRD.")
    for told in wrong:
        print(told, file=sys.stderr)
    compared = f"copies compared in {len(charts)} chart(s)" if charts else "there is no chart, so no copy to compare"
    print(f"CRDs: {len(sources)} read; {compared}.")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

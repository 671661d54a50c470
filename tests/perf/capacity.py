"""What a cluster of another size would do, from what a run of `make bench` measured: the table of docs/capacity.md.

    python tests/perf/capacity.py            # prints it
    python tests/perf/capacity.py --write    # puts it into the page

The model is a straight line, because an image shares nothing with another one: a core makes so many images a second
until something that all share is full. What is shared has a ceiling of its own, and the lowest one is what limits.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from perf import corpus, report

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
WRITES = 4
"""To the API server per image: create, bind, processing, result."""
SEED_IMAGES, SEED_SECONDS = 4000, 210
CORES = (2, 4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Measured:
    """What the model is fed with, all of one run."""

    cores: int
    per_second: float
    peer_per_second: float
    bytes_in: float
    operator_seconds: float
    api_seconds: float

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> Measured:
        """Of results.json."""
        raced, photos = results["race"], results["photos"]
        return cls(
            cores=results["machine"]["cores"],
            per_second=raced["sides"]["ours"]["per_second"]["median"],
            peer_per_second=raced["sides"]["peer"]["per_second"]["median"],
            bytes_in=photos["bytes"] / photos["count"],
            operator_seconds=raced["cpu"]["ours"]["operator"],
            api_seconds=raced["cpu"]["ours"]["API"],
        )

    @property
    def per_core(self) -> float:
        """Images a second of one core, with everything else on the same cores."""
        return self.per_second / self.cores

    @property
    def operator_ceiling(self) -> float:
        """Images a second at which the one operator that leads has used up its core: it decides in one thread."""
        return 1 / self.operator_seconds if self.operator_seconds else float("inf")

    def at(self, cores: int) -> float:
        """Images a second of so many cores."""
        return min(cores * self.per_core, self.operator_ceiling)

    def cores_for(self, per_second: float) -> float:
        """Cores for so many images a second, as long as the operator keeps up."""
        return per_second / self.per_core


def table(measured: Measured) -> str:
    """What the page shows."""
    asked = SEED_IMAGES / SEED_SECONDS
    rows = [
        [
            str(cores),
            f"{measured.at(cores):.1f}",
            f"{SEED_IMAGES / measured.at(cores):.0f} s",
            f"{measured.at(cores) * WRITES:.0f}",
            f"{measured.at(cores) * measured.bytes_in * 8 / 1e6:.0f} Mbit/s",
        ]
        for cores in CORES
    ]
    head = ("cores", "images/s", f"{SEED_IMAGES:,} images", "API server writes/s", "from object storage")
    lines = [
        f"Measured on {measured.cores} cores with everything on them: {measured.per_second:.2f} images/s, "
        f"{measured.per_core:.2f} a core; the system this replaces on the same cores: {measured.peer_per_second:.2f}.",
        f"{SEED_IMAGES:,} images in {SEED_SECONDS / 60:.1f} min are {asked:.1f} images/s: "
        f"**{ceil(measured.cores_for(asked))} cores** "
        f"(the system this replaces: {ceil(asked / (measured.peer_per_second / measured.cores))}).",
        f"Operator: {measured.operator_seconds * 1000:.1f} ms of processor time per image, so that one core of it is "
        f"used up at {measured.operator_ceiling:.0f} images/s. API: {measured.api_seconds * 1000:.1f} ms per image.",
        report.table(head, rows),
    ]
    return "\n\n".join(lines)


def put(page: str, text: str) -> str:
    """The page with that text between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE.name} has no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = corpus.BUILD / "results" / "results.json"
    parser.add_argument("results", nargs="?", type=Path, default=default, help="results.json of a whole run")
    parser.add_argument("--write", action="store_true", help="into docs/capacity.md")
    options = parser.parse_args()
    text = table(Measured.of(json.loads(options.results.read_text(encoding="utf-8"))))
    if options.write:
        PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()

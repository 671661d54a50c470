"""The pictures of a run: throughput, latencies, memory over time, the frontier, and how it scales.

Arguments: the results' JSON and a folder. Runs where matplotlib is installed; writes an SVG and a PNG of each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

COLOURS = {"peer": "#b5651d", "ours": "#1f6f8b", "pyvips": "#7a7a7a", "vipsthumbnail": "#a5a5a5"}
MIB = 1 << 20


def throughput(axes: Axes, found: dict[str, Any]) -> None:
    """Each round of the whole system, and of the pixel work alone beside it."""
    bars = [(f"{side}\nwhole system", COLOURS[side], found["race"]["sides"][side]["per_second"]) for side in
            ("peer", "ours")]  # fmt: skip
    if "pixels" in found:
        bars += [(f"{way}\npixels", COLOURS[way], rate) for way, rate in found["pixels"]["per_second"].items()]
    for place, (_name, colour, rate) in enumerate(bars):
        reach = [[rate["median"] - rate["low"]], [rate["high"] - rate["median"]]]
        axes.bar(place, rate["median"], yerr=reach, color=colour, capsize=4)
        axes.annotate(f"{rate['median']:.1f}", (place, rate["median"]), ha="center", va="bottom")
    axes.set_xticks(range(len(bars)), [name for name, _colour, _rate in bars], fontsize=8)
    axes.set(title="Throughput: median of the rounds, lowest and highest", ylabel="images/s")


def latency(axes: Axes, found: dict[str, Any]) -> None:
    """How many of a burst are done after how long."""
    for side, turns in found["race"]["turns"].items():
        for index, turn in enumerate(turns):
            times = sorted(turn["latencies"])
            shares = [(place + 1) / len(times) * 100 for place in range(len(times))]
            axes.plot(times, shares, color=COLOURS[side], alpha=0.7, label=None if index else side)
    axes.set(title="A burst, from its first confirm to done", xlabel="seconds", ylabel="% done", ylim=(0, 101))
    axes.legend()


def memory(axes: Axes, found: dict[str, Any]) -> None:
    """The workers of each side during the bursts."""
    for side, turns in found["race"]["turns"].items():
        for index, turn in enumerate(turns):
            seconds, rss, _pss = zip(*turn["memory"], strict=True)
            axes.plot(seconds, [size / MIB for size in rss], color=COLOURS[side], label=None if index else side)
    axes.set(title="Memory of the workers (RSS, parent and children)", xlabel="seconds", ylabel="MiB", ylim=(0, None))
    axes.legend()


def frontier(axes: Axes, found: dict[str, Any]) -> None:
    """Speed against likeness; the bytes are the colour."""
    rows = found["frontier"]
    dots = axes.scatter(
        [row["per_second"] for row in rows],
        [row["ssim"] for row in rows],
        c=[row["bytes"] for row in rows],
        cmap="cividis",
    )
    for row in rows:
        if row["way"] in COLOURS:
            axes.annotate(row["way"], (row["per_second"], row["ssim"]), weight="bold")
    axes.figure.colorbar(dots, ax=axes, label="bytes, as a multiple of the peer's")
    axes.set(title="Ways to make the pixels", xlabel="images/s", ylabel="mean SSIM")


def scaling(axes: Axes, found: dict[str, Any]) -> None:
    """Throughput by images decoded at once."""
    runs = found["race"]["scaling"]
    axes.plot([run["concurrency"] for run in runs], [run["per_second"] for run in runs], "o-", color=COLOURS["ours"])
    axes.set(
        title=f"Images decoded at once, on {found['machine']['cores']} cores", xlabel="at once", ylabel="images/s"
    )
    axes.set(ylim=(0, None), xticks=[run["concurrency"] for run in runs])


def growth(axes: Axes, found: dict[str, Any]) -> None:
    """Time by number of assets, both axes logarithmic: straight is proportional."""
    runs = found["race"]["growth"]["runs"]
    axes.loglog(
        [run["count"] for run in runs], [run["seconds"]["median"] for run in runs], "o-", color=COLOURS["ours"]
    )
    axes.set(title="Time to process so many small photographs", xlabel="assets", ylabel="seconds")


PLOTS: dict[str, tuple[Callable[[Axes, dict[str, Any]], None], tuple[str, ...]]] = {
    "throughput": (throughput, ("race", "sides")),
    "latency": (latency, ("race", "turns")),
    "memory": (memory, ("race", "turns")),
    "frontier": (frontier, ("frontier",)),
    "scaling": (scaling, ("race", "scaling")),
    "growth": (growth, ("race", "growth")),
}


def has(found: dict[str, Any], way: tuple[str, ...]) -> bool:
    """Whether that part was measured."""
    part: Any = found
    for key in way:
        part = part.get(key)
        if not part:
            return False
    return True


def main() -> None:
    found, folder = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2])
    mpl.rcParams["svg.hashsalt"] = "bench"
    for name, (draw, needed) in PLOTS.items():
        if has(found, needed):
            figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
            draw(axes, found)
            axes.grid(alpha=0.3)
            for suffix in ("svg", "png"):
                figure.savefig(folder / f"{name}.{suffix}", dpi=150)
            plt.close(figure)
            print(folder / f"{name}.svg")


if __name__ == "__main__":
    main()

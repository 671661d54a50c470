"""From all turns of a run to its figures and verdicts, as results.json has them. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perf import budget, confirming, race, report
from perf.figures import Spread, compared, growth, percentile, tail


@dataclass
class Turns:
    """What all rounds found."""

    bursts: dict[str, list[race.Burst]] = field(default_factory=lambda: {"peer": [], "ours": []})
    singles: dict[str, list[list[float]]] = field(default_factory=lambda: {"peer": [], "ours": []})
    colds: list[float] = field(default_factory=list)
    confirming: list[confirming.Confirming] = field(default_factory=list)
    scaling: dict[int, float] = field(default_factory=dict)
    growth: dict[int, list[float]] = field(default_factory=dict)


def of(found: Turns, *, plain: bool) -> dict[str, Any]:
    """As results.json has it."""
    summed: dict[str, Any] = {}
    if not plain:
        columns = {side: _columns(found, side) for side in report.SIDES}
        summed |= {
            "sides": {
                side: {key: Spread.of(values).to_json() for key, values in each.items()}
                for side, each in columns.items()
            },
            "ratios": {
                key: compared(values, columns["peer"][key]).to_json() for key, values in columns["ours"].items()
            },
            "cpu": {side: _cpu(bursts) for side, bursts in found.bursts.items()},
            "turns": {side: [_turn(burst) for burst in bursts] for side, bursts in found.bursts.items()},
            "singles": found.singles,
        }
    if found.colds:
        summed["cold"] = {**tail(found.colds), "count": len(found.colds), "seconds": found.colds}
    if found.confirming:
        summed["confirming"] = _confirming(found.confirming)
    if found.scaling:
        summed["scaling"] = [{"concurrency": each, "per_second": rate} for each, rate in found.scaling.items()]
    if found.growth:
        summed["growth"] = _growth(found.growth)
    return summed


def _columns(found: Turns, side: str) -> dict[str, list[float]]:
    bursts = found.bursts[side]
    return {
        "per_second": [burst.per_second for burst in bursts],
        "single_p50": [statistics.median(times) for times in found.singles[side]],
        "burst_p50": [percentile(burst.latencies, 0.5) for burst in bursts],
        "burst_p95": [percentile(burst.latencies, 0.95) for burst in bursts],
        "rss_bytes": [float(burst.memory.peak_rss) for burst in bursts],
        "pss_bytes": [float(burst.memory.peak_pss) for burst in bursts],
    }


def _cpu(bursts: Sequence[race.Burst]) -> dict[str, float]:
    """Processor seconds per image of each part: the median round."""
    return {part: statistics.median(burst.cpu[part] / burst.count for burst in bursts) for part in bursts[0].cpu}


def _turn(burst: race.Burst) -> dict[str, Any]:
    memory = [(sample.seconds, sample.rss_bytes, sample.pss_bytes) for sample in burst.memory.samples]
    return {
        "seconds": burst.seconds,
        "latencies": burst.latencies,
        "confirms": burst.confirms,
        "memory": memory,
        "cpu": burst.cpu,
    }


def _confirming(found: Sequence[confirming.Confirming]) -> dict[str, Any]:
    """The median round of each figure."""
    rounds = [each.to_json() for each in found]
    medians = {key: statistics.median(each[key] for each in rounds) for key in rounds[0]}
    return {**medians, "rounds": rounds}


def _growth(found: Mapping[int, Sequence[float]]) -> dict[str, Any]:
    runs: list[dict[str, Any]] = [
        {"count": count, "seconds": Spread.of(times).to_json()} for count, times in sorted(found.items())
    ]
    first, last = runs[0], runs[-1]
    medians = [(run["count"], run["seconds"]["median"]) for run in (first, last)]
    return {"runs": runs, "times": medians[1][1] / medians[0][1], "per_asset": growth(*medians)}


def verdicts(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was asked of a whole run, as far as it was measured."""
    values: dict[str, float] = {}
    allowed = budget.bounds()
    raced, pixel = found.get("race", {}), found.get("pixels")
    if "ratios" in raced:
        ratios, rate = raced["ratios"], raced["sides"]["ours"]["per_second"]["median"]
        values |= {"throughput_ratio": ratios["per_second"]["median"], "rss_ratio": ratios["rss_bytes"]["median"]}
        values["single_ratio"] = ratios["single_p50"]["median"]
        if pixel:
            values["pixel_share"] = rate / pixel["per_second"]["ours"]["median"]
    if pixel:
        own, peer = pixel["quality"]["ours"], pixel["quality"]["peer"]
        values |= {"ssim_lost": peer["ssim"] - own["ssim"], "bytes_ratio": own["bytes"] / peer["bytes"]}
    if "cold" in raced:
        values["cold_p95_seconds"] = raced["cold"]["p95"]
    if "growth" in raced:
        values["growth_per_asset"] = raced["growth"]["per_asset"]
    if "confirming" in raced:
        values |= {f"confirm_{key}_ms": raced["confirming"][key] * 1000 for key in ("p50", "p99")}
        values["confirm_refused"] = max(each["refused"] for each in raced["confirming"]["rounds"])
    if streamed := found.get("stream"):
        values |= {
            "stream_ratio": streamed["ratio"]["median"],
            "stream_grown_mib": streamed["grown_bytes"] / report.MIB,
        }
    if scaled := found.get("scale"):
        values |= _scaled(scaled)
    asked = {name: bound for name, bound in allowed["race"].items() if name in values}
    judged = budget.judged(values, asked)
    if "sides" in raced:
        peers = raced["sides"]["peer"]["per_second"]["median"]
        judged += budget.judged({"per_second": peers}, allowed["peer"])
    return [each.to_json() for each in judged]


def _scaled(found: Mapping[str, Any]) -> dict[str, float]:
    """What is asked of very many assets."""
    siege = found["siege"]
    return {
        "backlog_cpu_ratio": found["large"]["cpu"]["operator"] / found["small"]["cpu"]["operator"],
        "siege_lost": siege["lost"],
        "siege_operator_mib": siege["rss"]["operator"] / report.MIB,
        "siege_restart_seconds": siege["restart_seconds"],
        "siege_few_wait": siege["few_longest_seconds"] / siege["many_median_seconds"],
    }

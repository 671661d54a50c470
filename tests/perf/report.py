"""What a run found, as Markdown. Pure: reads nothing but the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

MIB = 1 << 20
SIDES = ("peer", "ours")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column is text, the others are numbers."""
    width = [max(3, *(len(row[index]) for row in (head, *rows))) for index in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = (cell.rjust(size) if index else cell.ljust(size)
                        for index, (cell, size) in enumerate(zip(cells, width, strict=True)))  # fmt: skip
        return f"| {' | '.join((first, *rest))} |"

    rule = [f"{'-' * (size - 1)}{':' if index else '-'}" for index, size in enumerate(width)]
    return "\n".join([line(head), f"| {' | '.join(rule)} |", *map(line, rows)])


def ranged(spread: Mapping[str, float], digits: int = 2, scale: float = 1.0) -> str:
    """A median and between what it lay."""
    median, low, high = (f"{spread[key] * scale:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} ({low}–{high})"


def pixels(found: Mapping[str, Any]) -> str:
    """Pixel work alone."""
    quality = found["quality"]
    base = quality["peer"]["bytes"]
    rows = []
    for way, spread in sorted(found["per_second"].items(), key=lambda entry: -entry[1]["median"]):
        known = quality.get(way)
        likeness = [f"{known['ssim']:.4f}", f"{known['bytes'] / base:.3f}"] if known else ["", ""]
        rows.append([way, ranged(spread), *likeness])
    return table(("pixel work alone", "images/s (lowest–highest)", "SSIM", "bytes"), rows)


def frontier(rows: Sequence[Mapping[str, Any]]) -> str:
    """Every way, the fastest first; one that another beats in speed, likeness and bytes is no choice."""
    shown = []
    for row in sorted(rows, key=lambda row: -row["per_second"]):
        mark = "" if dominated(row, rows) else "*"
        shown.append([row["way"], f"{row['per_second']:.1f}", f"{row['ssim']:.4f}", f"{row['bytes']:.3f}", mark])
    return table(("way (* on the frontier)", "images/s", "SSIM", "bytes", ""), shown)


def dominated(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether another is at least as good in all and better in one."""

    def goods(each: Mapping[str, Any]) -> tuple[float, float, float]:
        return each["per_second"], each["ssim"], -each["bytes"]

    mine = goods(row)
    return any(
        other != mine and all(theirs >= own for theirs, own in zip(other, mine, strict=True))
        for other in map(goods, rows)
    )


def beside(sides: Mapping[str, Any], ratios: Mapping[str, Any]) -> str:
    """Both sides beside each other, and how many times the peer's ours is."""
    rows = [
        _row("throughput, images/s", "per_second", sides, ratios, 2),
        _row("one image, worker warm, p50, s", "single_p50", sides, ratios, 3),
        _row("confirm to done in the burst, p50, s", "burst_p50", sides, ratios, 1),
        _row("confirm to done in the burst, p95, s", "burst_p95", sides, ratios, 1),
        _row("peak RSS of workers (sum), MiB", "rss_bytes", sides, ratios, 0, 1 / MIB),
        _row("peak PSS of workers, MiB", "pss_bytes", sides, ratios, 0, 1 / MIB),
    ]
    return table(("median (lowest–highest round)", "peer", "ours", "ours / peer"), rows)


def race(found: Mapping[str, Any]) -> str:
    """What was raced, as far as it was measured: without the peer there is nothing to hold ours against."""
    lines = [beside(found["sides"], found["ratios"])] if "sides" in found else []
    for side, cpu in found.get("cpu", {}).items():
        told = ", ".join(f"{part} {seconds * 1000:.0f} ms" for part, seconds in cpu.items())
        lines.append(f"Processor time per image, {side}: {told}")
    if cold := found.get("cold"):
        lines.append(
            f"One image, no worker running: p50 {cold['p50']:.2f} s, p95 {cold['p95']:.2f} s ({cold['count']})"
        )
    if rate := found.get("confirming"):
        lines.append(
            f"Confirm at {rate['per_second']:.0f} requests/s while images are processed: "
            f"p50 {rate['p50'] * 1000:.0f} ms, p95 {rate['p95'] * 1000:.0f} ms, p99 {rate['p99'] * 1000:.0f} ms "
            f"({rate['count']} requests, {rate['refused']:.0f} refused, {rate['late']:.0f} sent more than 10 ms late)"
        )
    if grown := found.get("growth"):
        told = ", ".join(f"{run['count']} in {run['seconds']['median']:.1f} s" for run in grown["runs"])
        lines.append(f"Growth: {told}; {grown['times']:.2f} times the time")
    if scaling := found.get("scaling"):
        told = ", ".join(f"{run['concurrency']}: {run['per_second']:.2f}" for run in scaling)
        lines.append(f"Images/s by images decoded at once: {told}")
    return "\n\n".join(lines)


def _row(
    title: str, key: str, sides: Mapping[str, Any], ratios: Mapping[str, Any], digits: int, scale: float = 1.0
) -> list[str]:
    return [title, *(ranged(sides[side][key], digits, scale) for side in SIDES), f"{ranged(ratios[key])} x"]


def stream(found: Mapping[str, Any]) -> str:
    """A large file to many clients."""
    own, nginx = (ranged(found[way], 0, 1e-6) for way in ("ours", "nginx"))
    return (
        f"{found['size_bytes'] / 1e6:.0f} MB to {found['clients']} clients at once: {own} MB/s, nginx {nginx} MB/s, "
        f"{ranged(found['ratio'])} x; the API's RSS grew by {found['grown_bytes'] / MIB:.0f} MiB"
    )


def scale(found: Mapping[str, Any]) -> str:
    """Very many assets without pixels: what each cost, and how a siege went."""
    rows = []
    for name, load in found.items():
        told = [f"{load['assets']:,}", f"{load['assets'] / load['seconds']:.0f}"]
        parts = ("operator", "API server", "etcd")
        told += [f"{load['cpu'][part] * 1000:.1f}" for part in parts]
        rows.append([name, *told, *(f"{load['rss'][part] / MIB:.0f}" for part in parts)])
    head = ("without pixels", "assets", "a second", "operator, ms", "API server, ms", "etcd, ms")
    held = found["siege"]
    return "\n\n".join(
        [
            table((*head, "operator, MiB", "API server, MiB", "etcd, MiB"), rows),
            f"Siege: {held['lost']} of {held['assets']:,} lost; with {held['live']:,} objects "
            f"`kubectl get mediaassets` took {held['kubectl_seconds']:.1f} s for {held['kubectl_lines']:,} lines, "
            f"{held['kubectl_quiet_seconds']:.1f} s when all was done; "
            f"after the operator was killed it bound again within {held['restart_seconds']:.1f} s; the owner of ten "
            f"waited at most {held['few_longest_seconds']:.0f} s, "
            f"the one of the rest {held['many_median_seconds']:.0f} s (median).",
        ]
    )


def whole(found: Mapping[str, Any]) -> str:
    """One document of all that was measured."""
    on = found["machine"]
    parts = [
        "# Measured side by side",
        f"{on['cores']} cores ({on['cpu']}), load {on['load_before']:.1f} before; "
        f"{found['photos']['count']} photographs, {found['photos']['bytes'] / 1e6:.0f} MB; "
        f"cluster: {found['cluster']}; {found['rounds']} alternating rounds.",
    ]
    if "race" in found:
        parts.append(race(found["race"]))
    if "stream" in found:
        parts.append(stream(found["stream"]))
    if "scale" in found:
        parts.append(scale(found["scale"]))
    if "pixels" in found:
        parts.append(pixels(found["pixels"]))
    if "frontier" in found:
        parts.append(frontier(found["frontier"]))
    if found.get("verdicts"):
        parts.append(verdicts(found["verdicts"]))
    return "\n\n".join(parts) + "\n"


def verdicts(found: Sequence[Mapping[str, Any]]) -> str:
    """Each threshold of the budget, what was measured when it was set, and what is measured now."""
    rows = [
        [each["name"], each["asked"], each["known"], f"{each['value']:.4g}", "ok" if each["ok"] else "MISSED"]
        for each in found
    ]
    return table(("budget", "asked", "when set", "now", ""), rows)

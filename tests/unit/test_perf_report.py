"""What a run found, for people."""

from __future__ import annotations

from typing import Any

import pytest

from perf import report


def test_a_table_has_text_on_the_left_and_numbers_on_the_right() -> None:
    shown = report.table(("way", "rate"), [["ours", "12.5"], ["the peer", "6"]])
    assert shown.splitlines() == [
        "| way      | rate |",
        "| -------- | ---: |",
        "| ours     | 12.5 |",
        "| the peer |    6 |",
    ]


def test_a_spread_is_shown_as_a_median_and_its_range() -> None:
    assert report.ranged({"median": 2.0, "low": 1.5, "high": 2.25}) == "2.00 (1.50–2.25)"
    assert report.ranged({"median": 2 << 20, "low": 1 << 20, "high": 3 << 20}, 0, 1 / report.MIB) == "2 (1–3)"


def way(per_second: float, ssim: float, size: float) -> dict[str, Any]:
    return {"way": f"{per_second}", "per_second": per_second, "ssim": ssim, "bytes": size}


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(way(11, 0.97, 1.0), True, id="another is faster and as good"),
        pytest.param(way(11, 0.96, 1.0), False, id="another is faster and worse"),
        pytest.param(way(9, 0.98, 0.9), False, id="another is slower, better and smaller"),
        pytest.param(way(10, 0.97, 0.9), True, id="another is smaller and the same otherwise"),
        pytest.param(way(10, 0.97, 1.0), False, id="another is the same"),
    ],
)
def test_a_way_that_another_beats_in_everything_is_off_the_frontier(other: dict[str, Any], expected: bool) -> None:
    mine = way(10, 0.97, 1.0)
    assert report.dominated(mine, [mine, other]) is expected


def test_the_frontier_is_shown_with_the_fastest_first() -> None:
    rows = report.frontier([way(8, 0.97, 1.0), way(12, 0.96, 1.0), way(7, 0.95, 1.1)]).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["12", "8", "7"]
    assert [row.split("|")[5].strip() for row in rows] == ["*", "*", ""]


def test_the_race_shows_both_sides_and_how_many_times_the_peers_ours_is() -> None:
    def side(scale: float) -> dict[str, Any]:
        keys = ("per_second", "single_p50", "burst_p50", "burst_p95", "rss_bytes", "pss_bytes")
        return {key: {"median": scale, "low": scale, "high": scale} for key in keys}

    shown = report.race({"sides": {"peer": side(5.0), "ours": side(10.0)}, "ratios": side(2.0)})
    row = next(line for line in shown.splitlines() if "throughput" in line)
    assert [cell.strip() for cell in row.strip("|").split("|")][1:] == [
        "5.00 (5.00–5.00)",
        "10.00 (10.00–10.00)",
        "2.00 (2.00–2.00) x",
    ]


def test_pixel_work_has_bytes_as_a_multiple_of_the_peers() -> None:
    rate = {"median": 1.0, "low": 1.0, "high": 1.0}
    quality = {"ours": {"ssim": 0.97, "bytes": 1020}, "peer": {"ssim": 0.975, "bytes": 1000}}
    shown = report.pixels({"per_second": {"ours": rate, "peer": rate, "pyvips": rate}, "quality": quality})
    assert "1.020" in next(line for line in shown.splitlines() if line.startswith("| ours"))


def test_streaming_is_told_in_a_sentence() -> None:
    rates = {"median": 6e8, "low": 5e8, "high": 7e8}
    ratio = {"median": 0.6, "low": 0.5, "high": 0.7}
    found = {"clients": 50, "size_bytes": 200_000_000, "ours": rates, "nginx": rates, "ratio": ratio}
    shown = report.stream({**found, "grown_bytes": 70 << 20})
    assert shown.startswith("200 MB to 50 clients at once: 600 (500–700) MB/s, nginx 600 (500–700) MB/s, 0.60")
    assert shown.endswith("grew by 70 MiB")


def test_a_run_without_the_other_side_tells_what_it_measured() -> None:
    runs = [{"count": count, "seconds": {"median": seconds}} for count, seconds in ((400, 20.0), (4000, 200.0))]
    machine = {"cores": 2, "cpu": "any", "load_before": 0.0}
    raced = {"growth": {"runs": runs, "times": 10.0, "per_asset": 1.0}}
    photos = {"count": 120, "bytes": 95e6}
    told = report.whole({"machine": machine, "cluster": "local", "rounds": 3, "photos": photos, "race": raced})
    assert told.endswith("Growth: 400 in 20.0 s, 4000 in 200.0 s; 10.00 times the time\n")


def test_very_many_assets_are_told_as_a_table_and_in_a_sentence() -> None:
    cpu, rss = {"operator": 0.009, "API server": 0.02, "etcd": 0.004}, {"operator": 250 << 20}
    load = {"assets": 1000, "seconds": 20.0, "cpu": cpu, "rss": {**rss, "API server": 900 << 20, "etcd": 300 << 20}}
    held = {"lost": 0, "live": 9_600, "kubectl_seconds": 2.25, "kubectl_lines": 9_600, "restart_seconds": 7.4}
    held["kubectl_quiet_seconds"] = 1.5
    waits = {"few_longest_seconds": 6.1, "many_median_seconds": 900.0}
    shown = report.scale({"small": load, "siege": {**held, **waits, **load}}).splitlines()
    assert [cell.strip() for cell in shown[2].strip("|").split("|")] == [
        *("small", "1,000", "50", "9.0", "20.0", "4.0", "250", "900", "300")
    ]
    assert shown[-1].startswith("Siege: 0 of 1,000 lost; with 9,600 objects `kubectl get mediaassets` took 2.2 s")
    assert shown[-1].endswith(
        "again within 7.4 s; the owner of ten waited at most 6 s, the one of the rest 900 s (median)."
    )

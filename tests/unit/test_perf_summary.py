"""From the turns of a run to its figures and verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from perf.confirming import Confirming
from perf.memory import Memory, Sample
from perf.race import Burst
from perf.scale import Load, Scale, Siege
from perf.streaming import Streaming
from perf.summary import Turns, of, verdicts

MIB = 1 << 20


def burst(seconds: float, rss: int) -> Burst:
    memory = Memory([Sample(0.0, rss // 2, rss // 4), Sample(0.5, rss, rss // 2)])
    return Burst(10, seconds, [0.01] * 10, [seconds] * 10, memory, {"workers": 2.0})


@pytest.fixture
def turns() -> Turns:
    return Turns(
        bursts={
            "peer": [burst(2.0, 1000 * MIB) for _ in range(3)],
            "ours": [burst(seconds, 190 * MIB) for seconds in (0.8, 1.0, 0.9)],
        },
        singles={"peer": [[0.5, 0.4, 0.6]] * 3, "ours": [[0.2, 0.2, 0.9]] * 3},
        colds=[1.0, 2.0, 5.0],
        confirming=[Confirming(50.0, [0.02] * 99 + [0.3], 0, refused) for refused in ([], ["busy"], [])],
        growth={400: [40.0, 41.0, 42.0], 4000: [420.0, 410.0, 500.0]},
    )


def missed(found: dict[str, Any]) -> set[str]:
    return {verdict["name"] for verdict in verdicts(found) if not verdict["ok"]}


def test_figures_are_medians_of_the_rounds_and_ratios_are_ours_by_theirs(turns: Turns) -> None:
    found = of(turns, plain=False)
    assert found["sides"]["ours"]["per_second"]["median"] == pytest.approx(10 / 0.9)
    assert found["ratios"]["per_second"]["median"] == pytest.approx(2.0 / 0.9)
    assert found["ratios"]["rss_bytes"]["median"] == pytest.approx(0.19)
    assert found["ratios"]["single_p50"]["median"] == pytest.approx(0.4)
    assert found["cpu"]["ours"] == {"workers": 0.2}


def test_growth_compares_the_medians_of_the_smallest_and_the_largest_run(turns: Turns) -> None:
    found = of(turns, plain=True)
    assert found["growth"]["times"] == pytest.approx(420 / 41)
    assert found["growth"]["per_asset"] == pytest.approx(42 / 41)
    assert "sides" not in found


def test_a_run_is_judged_by_what_was_asked(turns: Turns) -> None:
    # One confirm was refused, a cold image took five seconds, and the peer is slower than the one to be beaten.
    assert missed({"race": of(turns, plain=False)}) == {
        "race.confirm_refused",
        "race.cold_p95_seconds",
        "peer.per_second",
    }


def test_what_was_not_measured_is_not_judged(turns: Turns) -> None:
    names = {verdict["name"] for verdict in verdicts({"race": of(turns, plain=True)})}
    assert "race.throughput_ratio" not in names
    assert "race.growth_per_asset" in names


def test_our_rate_is_judged_as_a_share_of_our_pixel_work(turns: Turns) -> None:
    quality = {"ours": {"ssim": 0.970, "bytes": 1020}, "peer": {"ssim": 0.974, "bytes": 1000}}
    pixels = {"per_second": {"ours": {"median": 20.0}}, "quality": quality}
    found = {verdict["name"]: verdict for verdict in verdicts({"race": of(turns, plain=False), "pixels": pixels})}
    assert found["race.pixel_share"]["value"] == pytest.approx(10 / 0.9 / 20)
    assert not found["race.pixel_share"]["ok"]
    assert found["race.ssim_lost"]["ok"]


def streamed(rate: float, grown_bytes: int) -> dict[str, Any]:
    return Streaming(50, 200_000_000, [rate] * 3, [1e9, 1.1e9, 0.9e9], [grown_bytes, grown_bytes, 0]).to_json()


def test_streaming_is_judged_beside_nginx_and_by_what_the_api_grew() -> None:
    good = {verdict["name"]: verdict for verdict in verdicts({"stream": streamed(0.6e9, 70 * MIB)})}
    assert good["race.stream_ratio"]["value"] == pytest.approx(0.6)
    assert good["race.stream_grown_mib"]["value"] == 70
    assert missed({"stream": streamed(0.6e9, 70 * MIB)}) == set()
    assert missed({"stream": streamed(0.4e9, 101 * MIB)}) == {"race.stream_ratio", "race.stream_grown_mib"}


def scaled(backlog_cpu: float, operator_mib: int, few_seconds: float) -> dict[str, Any]:
    siege = Siege(100_000, rss={"operator": operator_mib * MIB}, restart_seconds=8.0, many_median_seconds=1000.0)
    siege.few_longest_seconds = few_seconds
    small, large = Load(1000, cpu={"operator": 0.010}), Load(10_000, cpu={"operator": backlog_cpu})
    return Scale(small, large, siege).to_json()


def test_very_many_assets_are_judged_by_what_they_cost_and_by_how_a_siege_went() -> None:
    good = {verdict["name"]: verdict for verdict in verdicts({"scale": scaled(0.009, 250, 40.0)})}
    assert good["race.backlog_cpu_ratio"]["value"] == pytest.approx(0.9)
    assert good["race.siege_operator_mib"]["value"] == 250
    assert good["race.siege_few_wait"]["value"] == pytest.approx(0.04)
    assert missed({"scale": scaled(0.009, 250, 40.0)}) == set()
    assert missed({"scale": scaled(0.014, 401, 101.0)}) == {
        "race.backlog_cpu_ratio",
        "race.siege_operator_mib",
        "race.siege_few_wait",
    }

"""This project beside the system it replaces, on the same machine, in the same minutes: `make bench`.

Round by round, first the peer and then all of this project is started, warmed up, measured and stopped again; S3,
PostgreSQL and Redis run through, and each turn has a bucket and a database of its own in them. Then the pixel work
alone, against libvips as well. What comes of it is below build/perf/results: results.json, results.md and plots.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from media_devcluster.client import Refused
from media_devcluster.processes import StartFailed
from media_devcluster.running import run
from media_devcluster.state import ClusterKind
from perf import (
    confirming,
    corpus,
    environment,
    ours,
    pixels,
    race,
    report,
    scale,
    services,
    streaming,
    summary,
    theirs,
)
from perf.sides import Side

RESULTS = corpus.BUILD / "results"
STAGES = ("race", "pixels", "frontier", "scaling", "growth", "stream", "scale")
DEFAULT_STAGES = ("race", "pixels")
PLOT_SECONDS = 300.0
WARMING, SINGLES, FRONTIER_PHOTOS = 8, 10, 16
SMALL_MEGAPIXELS = (0.3, 0.5)
err = Console(stderr=True, highlight=False)
began = time.monotonic()


@dataclass(frozen=True)
class Course:
    """What one run measures, and how much of it."""

    cluster: ClusterKind
    photos: Sequence[Path]
    small: Path
    rounds: int
    singles: int
    colds: int
    rate: float
    rate_seconds: float
    scaling: tuple[int, ...]
    growth: tuple[tuple[int, Sequence[Path]], ...]
    backlog: int
    assets: int


def tell(line: str) -> None:
    """Progress, for whoever waits."""
    err.print(f"[dim]{time.monotonic() - began:5.0f} s[/dim]  {line}", markup=True)


def teller(head: str) -> race.Tell:
    """Progress of one part."""
    return lambda line: tell(f"{head}: {line}")


async def measure_race(course: Course, *, plain: bool) -> summary.Turns:
    """All rounds. `plain` leaves out the comparison, for who wants only to see how ours scales or grows."""
    found = summary.Turns()
    # A short path: sockets are below it.
    with tempfile.TemporaryDirectory(prefix="media-bench-") as name:
        async with services.started(Path(name), ours.address(course.cluster)) as running:
            for number in range(1, course.rounds + 1) if not plain else ():
                head = f"round {number} of {course.rounds}"
                await _peer(running, course, found, teller(f"{head}, peer"))
                await _ours(running, course, found, teller(f"{head}, ours"))
            for at_once in course.scaling:
                told = teller(f"{at_once} decoded at once")
                async with running.turn() as turn, ours.running(turn, course.cluster, told, at_once) as side:
                    await race.burst(side, course.photos[:WARMING], told)
                    found.scaling[at_once] = (await race.burst(side, course.photos, told)).per_second
            for number in range(1, course.rounds + 1):
                for count, photos in course.growth:
                    told = teller(f"growth {number} of {course.rounds}, {count}")
                    async with running.turn() as turn, ours.running(turn, course.cluster, told) as side:
                        await race.burst(side, photos[:WARMING], told)
                        found.growth.setdefault(count, []).append((await race.burst(side, photos, told)).seconds)
    return found


async def measure_stream(course: Course) -> streaming.Streaming:
    """A large file to many clients, on services of its own."""
    with tempfile.TemporaryDirectory(prefix="media-bench-") as name:
        async with (
            services.started(Path(name), ours.address(course.cluster)) as running,
            running.turn() as turn,
            ours.running(turn, course.cluster, teller("stream")) as side,
        ):
            return await streaming.measure(side, turn, course.rounds, teller("stream"))


async def measure_scale(course: Course) -> scale.Scale:
    """A small and a large backlog, and more than may live in the cluster, each on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="media-bench-") as name:
        async with services.started(Path(name), ours.address(ClusterKind.LOCAL)) as running:
            small = await scale.bursts(running, scale.SMALL_BURST, scale.SMALL_BURSTS, teller("scale, small"))
            large = await scale.bursts(running, course.backlog, 1, teller(f"scale, {course.backlog}"))
            sieged = await scale.siege(running, course.assets, teller(f"scale, {course.assets}"))
    return scale.Scale(small, large, sieged)


async def _peer(running: services.Services, course: Course, found: summary.Turns, told: race.Tell) -> None:
    python = await asyncio.to_thread(environment.python, told)
    async with running.turn() as turn, theirs.running(turn, python) as side:
        await _both(side, "peer", course, found, told)


async def _ours(running: services.Services, course: Course, found: summary.Turns, told: race.Tell) -> None:
    async with running.turn() as turn, ours.running(turn, course.cluster, told) as side:
        if course.colds:
            told(f"{course.colds} images, each without a worker running")
            await side.idle_seconds(ours.SHORT_IDLE_SECONDS)
            for index in range(course.colds):
                await side.no_job()
                found.colds.append(await race.single(side, course.photos[index % len(course.photos)]))
            await side.no_job()
            await side.idle_seconds(ours.IDLE_SECONDS)
        await _both(side, "ours", course, found, told)
        if course.rate:
            rate = {"per_second": course.rate, "seconds": course.rate_seconds}
            found.confirming.append(await confirming.measure(side, course.photos, course.small, told, **rate))


async def _both(side: Side, name: str, course: Course, found: summary.Turns, told: race.Tell) -> None:
    """The same for each side: the warm-up is not counted."""
    await race.burst(side, course.photos[:WARMING], told)
    chosen = [course.photos[index % len(course.photos)] for index in range(course.singles)]
    found.singles[name].append(await race.singles(side, chosen, told))
    found.bursts[name].append(await race.burst(side, course.photos, told))
    told(f"{found.bursts[name][-1].per_second:.2f} images/s")


async def bench(course: Course, stages: Sequence[str], *, whole: bool, results: Path) -> int:
    """Everything that was asked for; 1 where a threshold is missed."""
    found: dict[str, Any] = {
        "machine": environment.machine(),
        "cluster": course.cluster.value,
        "rounds": course.rounds,
        "photos": {"count": len(course.photos), "bytes": sum(path.stat().st_size for path in course.photos)},
    }
    if {"race", "scaling", "growth"} & set(stages):
        plain = "race" not in stages
        found["race"] = summary.of(await measure_race(course, plain=plain), plain=plain)
    if "stream" in stages:
        found["stream"] = (await measure_stream(course)).to_json()
    if "scale" in stages:
        found["scale"] = (await measure_scale(course)).to_json()
    if "pixels" in stages:
        found["pixels"] = await asyncio.to_thread(pixels.measure, course.photos, course.rounds, tell)
    if "frontier" in stages:
        some = course.photos[:FRONTIER_PHOTOS]
        found["frontier"] = await asyncio.to_thread(pixels.frontier, some, tell, whole=whole)
    found["verdicts"] = summary.verdicts(found)
    await asyncio.to_thread(_kept, found, results)
    return int(not all(verdict["ok"] for verdict in found["verdicts"]))


def _kept(found: Mapping[str, Any], results: Path) -> None:
    """Write and print them: JSON, Markdown, and the plots, which another virtual environment draws."""
    results.mkdir(parents=True, exist_ok=True)
    numbers = results / "results.json"
    numbers.write_text(json.dumps(found, indent=1), encoding="utf-8")
    text = report.whole(found)
    (results / "results.md").write_text(text, encoding="utf-8")
    print(text)
    draw = (str(environment.python(tell)), str(Path(__file__).with_name("plots.py")), str(numbers), str(results))
    done = subprocess.run(draw, capture_output=True, text=True, timeout=PLOT_SECONDS, check=False)
    if done.returncode != 0:
        raise environment.NotInstalled(f"The plots cannot be drawn: {done.stderr.strip()[-600:]}")
    tell(f"in {results}: results.json, results.md, {len(done.stdout.splitlines())} plots")


def _numbers(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(word) for word in text.split(",") if word)
    except ValueError:
        raise click.BadParameter("numbers with commas between them, such as 400,4000") from None


@click.command()
@click.option("--count", default=120, show_default=True, type=click.IntRange(min=WARMING), help="Photographs.")
@click.option("--from", "folder", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="A folder of JPEG files to take instead of Debian's pictures.")  # fmt: skip
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1), help="Of each side in turn.")
@click.option("--cluster", type=click.Choice(["local", "embedded"]), default=None,
              help="Where this project runs. [default: a real node for root, else the embedded API]")  # fmt: skip
@click.option("--stage", "stages", multiple=True, type=click.Choice(STAGES), help="What to measure, once for each. "
              f"[default: {', '.join(DEFAULT_STAGES)}]")  # fmt: skip
@click.option("--colds", default=5, show_default=True, help="Images without a worker running, in each round.")
@click.option("--rate", default=50.0, show_default=True, help="Confirms a second while images are processed; 0: none.")
@click.option("--rate-seconds", default=8.0, show_default=True, help="For so long.")
@click.option("--scaling", default="1,2,3,4", show_default=True, callback=_numbers, help="Images decoded at once.")
@click.option("--growth", "counts", default="400,4000", show_default=True, callback=_numbers,
              help="Small photographs, whose times are compared.")  # fmt: skip
@click.option("--backlog", default=10_000, show_default=True, help="Assets of the stage scale that wait at once.")
@click.option("--assets", default=100_000, show_default=True, help="Of its siege: more than live in the cluster.")
@click.option("--whole", is_flag=True, help="The frontier with every combination.")
@click.option("--cores", default="", callback=_numbers, help="Run everything on these cores only, such as 0,1.")
@click.option(
    "--quick", is_flag=True, help="A dozen photographs, one round: to see that it works, not how fast it is."
)
@click.option("--results", default=RESULTS, type=click.Path(path_type=Path), help="Folder for what comes of it.")
def main(
    count: int,
    folder: Path | None,
    rounds: int,
    cluster: str | None,
    stages: tuple[str, ...],
    colds: int,
    rate: float,
    rate_seconds: float,
    scaling: tuple[int, ...],
    counts: tuple[int, ...],
    backlog: int,
    assets: int,
    whole: bool,
    cores: tuple[int, ...],
    quick: bool,
    results: Path,
) -> None:
    """Measure this project beside the system it replaces (ARQ and Redis), turn by turn, and judge the numbers.

    The machine should do nothing else meanwhile. Needs redis-server, libvips-tools, mate-backgrounds,
    gnome-backgrounds and nginx-light of Debian, and for --cluster local what `media-dev up --cluster local` needs.
    Ends with 1 where a threshold of tests/perf/budget.toml is missed.

    \b
    tests/perf/bench.py                                   three rounds, 120 photographs, then the pixels alone
    tests/perf/bench.py --quick --cluster embedded        does it work?
    tests/perf/bench.py --stage frontier --whole          filter x method x gap x draft
    tests/perf/bench.py --stage growth --growth 400,4000  does the cost grow straight?
    tests/perf/bench.py --stage stream                    a large file to 50 clients, beside nginx
    tests/perf/bench.py --stage scale                     100,000 assets; needs root, takes about an hour
    """
    stages = stages or DEFAULT_STAGES
    if cores:
        os.sched_setaffinity(0, cores)
    if quick:
        count, rounds, colds, rate_seconds = min(count, 12), 1, min(colds, 1), min(rate_seconds, 2.0)
        backlog, assets = min(backlog, 500), min(assets, 2000)
    kind = ClusterKind(cluster or ("local" if os.geteuid() == 0 else "embedded"))

    async def work() -> int:
        try:
            photos = await _photographs(corpus.Corpus(count), folder)
            small = corpus.Corpus(WARMING, 2, SMALL_MEGAPIXELS)
            tiny = await _photographs(small, folder)
            grown = tuple((each, [tiny[index % len(tiny)] for index in range(each)]) for each in counts)
            course = Course(
                kind,
                photos,
                min(tiny, key=lambda path: path.stat().st_size),
                rounds,
                min(SINGLES, count // 2),
                colds,
                rate,
                rate_seconds,
                scaling if "scaling" in stages else (),
                grown if "growth" in stages else (),
                backlog,
                assets,
            )
            return await bench(course, stages, whole=whole, results=results)
        except (StartFailed, Refused, race.NotDone, corpus.NoPhotographs, environment.NotInstalled) as failed:
            err.print(f"[bold]{failed}[/bold]")
            for line in getattr(failed, "log", ()):
                err.print(f"  {line}", markup=False)
            return 2

    raise SystemExit(run(work(), tell))


async def _photographs(wanted: corpus.Corpus, folder: Path | None) -> list[Path]:
    def made(done: int, whole: int) -> None:
        if done % 10 == 0 or done == whole:
            tell(f"made {done} of {whole} photographs")

    return await asyncio.to_thread(corpus.photographs, wanted, folder, made)


if __name__ == "__main__":
    main()

"""Very many assets at once: the whole control plane on a real node, with workers that have no pixels to make.

The Job controller is paused, so that no pod is made of a worker Job, and `synthetic` stands in for the workers. The
confirmed uploads are put into the ledger at once, as they lie there when they come faster than they are processed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from media_core.names import ASSETS, GROUP, VERSION
from media_devcluster import checkout
from media_devcluster.kube import Kube
from media_devcluster.processes import Child, Command
from media_devcluster.state import ClusterKind
from perf import ours
from perf.memory import cpu_seconds
from perf.race import NotDone, Tell
from perf.services import Services, Turn

AT_ONCE = 64
"""In hand of the one worker; the operator binds so many and a few more."""
SMALL_BURST, SMALL_BURSTS = 100, 10
LIVE = 10_000
"""So many objects may be in the cluster at once (the chart's `operator.maxLiveAssets`)."""
FULL = 0.95
"""Of those: there is always room being made for the next ones."""
FEW = 10
LOOK_SECONDS = 1.0
TELL_SECONDS = 15.0
STANDSTILL_SECONDS = 180.0
KUBECTL_SECONDS = 120
MANY_OWNER, FEW_OWNER = "many", "few"

CONFIRMED = """
INSERT INTO media.assets (id, owner, asset_type, state, bucket, s3_key, content_type, etag, size_bytes, confirmed_at)
SELECT id, $2, 'IMAGE', 'confirmed', $3,
       format('uploads/image/%s/20260101T000000_%s.jpg', $2::text, replace(id::text, '-', '')),
       'image/jpeg', md5(id::text), 20000, now()
FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $1)) AS uploads
"""
DONE = "SELECT count(*) FROM media.assets WHERE state = 'settled' AND transcode_status = 'COMPLETED'"
LOST = "SELECT count(*) FROM media.assets WHERE state <> 'settled' OR transcode_status <> 'COMPLETED'"
WAITS = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM settled_at - confirmed_at)) AS median,
       max(extract(epoch FROM settled_at - confirmed_at))::float AS longest
FROM media.assets WHERE owner = $1
"""


@dataclass
class Load:
    """What one load cost. `cpu` is processor seconds an asset of each part, `rss` the most bytes that it had."""

    assets: int
    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)
    rss: dict[str, int] = field(default_factory=dict)


@dataclass
class Siege(Load):
    """A load beyond what may live in the cluster, with the operator killed at full backlog."""

    live: int = 0
    lost: int = 0
    restart_seconds: float = 0.0
    """From the kill until more is settled than was bound then: the new one has bound, and seen it done."""
    kubectl_seconds: float = 0.0
    kubectl_lines: int = 0
    kubectl_quiet_seconds: float = 0.0
    """The same when all is done."""
    few_longest_seconds: float = 0.0
    """The longest wait of the owner with ten assets, who comes when the backlog is full."""
    many_median_seconds: float = 0.0


@dataclass(frozen=True)
class Scale:
    """What the stage found: bursts of a few, one of many, and a siege."""

    small: Load
    large: Load
    siege: Siege

    def to_json(self) -> dict[str, Any]:
        """As results.json has it."""
        return asdict(self)


@dataclass
class Scene:
    """The system under load, and where to look."""

    side: ours.Ours
    worker: Child
    ledger: asyncpg.Connection
    kube: Kube
    bucket: str
    tell: Tell

    async def add(self, assets: int, owner: str = MANY_OWNER) -> None:
        """So many confirmed uploads of one owner."""
        await self.ledger.execute(CONFIRMED, assets, owner, self.bucket)

    async def done(self) -> int:
        """So many are completed, as the ledger has it. Raises NotDone where the worker is gone."""
        if not self.worker.alive:
            raise NotDone(f"the synthetic worker ended: {' | '.join(self.worker.tail(3))}")
        return int(await self.ledger.fetchval(DONE))

    async def live(self) -> int:
        """So many objects are in the cluster."""
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{self.side.state.namespace}/{ASSETS}?limit=1"
        page = await self.kube.get(path)
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount") or 0)

    async def until(self, wanted: int, whole: int) -> None:
        """Wait until so many of the whole are completed. Raises NotDone where nothing moves for minutes."""
        moved, last, said = time.monotonic(), -1, 0.0
        while (done := await self.done()) < wanted:
            now = time.monotonic()
            if done != last:
                moved, last = now, done
            if now - moved > STANDSTILL_SECONDS:
                raise NotDone(f"nothing was completed for {STANDSTILL_SECONDS:.0f} s, at {done} of {whole}")
            if now - said > TELL_SECONDS:
                self.tell(f"{done} of {whole} done")
                said = now
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def scene(running: Services, tell: Tell) -> AsyncIterator[Scene]:
    """All of the system, but for workers and Job controller."""
    async with running.turn() as turn, ours.running(turn, ClusterKind.LOCAL, tell, AT_ONCE) as side:
        controllers = side.processes("kube-controller-manager")
        for process in controllers:
            process.suspend()
        worker = Child.start(_command(side, turn))
        ledger = await asyncpg.connect(turn.database_url)
        try:
            async with Kube.connect(Path(side.state.kubeconfig)) as kube:
                yield Scene(side, worker, ledger, kube, turn.store.bucket, tell)
        finally:
            await ledger.close()
            await worker.stop()
            for process in controllers:
                process.resume()


def _command(side: ours.Ours, turn: Turn) -> Command:
    where = ("--kubeconfig", side.state.kubeconfig, "--namespace", side.state.namespace)
    tests = Path(__file__).parents[1]
    return Command(
        name="synthetic worker",
        argv=(sys.executable, "-m", "perf.synthetic", *where),
        log=turn.folder / "synthetic.log",
        folder=turn.folder,
        env={"PYTHONPATH": str(tests)},
    )


@asynccontextmanager
async def costs(scene: Scene, load: Load) -> AsyncIterator[None]:
    """Note what the block costs, a part that ends within it included as far as it was looked at."""
    spent: dict[tuple[str, int], float] = {}
    before: dict[tuple[str, int], float] = {}

    def look() -> None:
        for part, processes in scene.side.parts().items():
            rss = 0
            for process in processes:
                spent[part, process.pid] = max(cpu_seconds([process]), spent.get((part, process.pid), 0.0))
                rss += _rss(process)
            load.rss[part] = max(rss, load.rss.get(part, 0))

    async def again() -> None:
        while True:
            await asyncio.to_thread(look)
            await asyncio.sleep(LOOK_SECONDS)

    await asyncio.to_thread(look)
    before.update(spent)
    began = time.monotonic()
    looking = asyncio.create_task(again())
    try:
        yield
    finally:
        looking.cancel()
        load.seconds = time.monotonic() - began
        await asyncio.to_thread(look)
        for (part, pid), seconds in spent.items():
            load.cpu[part] = load.cpu.get(part, 0.0) + (seconds - before.get((part, pid), 0.0)) / load.assets


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


async def bursts(running: Services, count: int, times: int, tell: Tell) -> Load:
    """`count` at once, when those are done so many again, and so on."""
    async with scene(running, tell) as here:
        load = Load(count * times)
        await _warm(here)
        async with costs(here, load):
            for number in range(1, times + 1):
                await here.add(count)
                wanted = FEW + number * count
                await here.until(wanted, wanted)
        return load


async def siege(running: Services, count: int, tell: Tell) -> Siege:
    """`count` at once, more than can be in the cluster; in the midst of it the operator is killed."""
    async with scene(running, tell) as here:
        load = Siege(count)
        await _warm(here)
        async with costs(here, load):
            await here.add(count - FEW)
            load.live = await _full(here, min(LIVE, count))
            load.kubectl_seconds, load.kubectl_lines = await asyncio.to_thread(_kubectl, here)
            load.restart_seconds = await _restarted(here, count)
            await here.add(FEW, FEW_OWNER)
            await here.until(FEW + count, FEW + count)
        load.kubectl_quiet_seconds, _ = await asyncio.to_thread(_kubectl, here)
        load.lost = await here.ledger.fetchval(LOST)
        load.few_longest_seconds = (await here.ledger.fetchrow(WAITS, FEW_OWNER))["longest"]
        load.many_median_seconds = (await here.ledger.fetchrow(WAITS, MANY_OWNER))["median"]
        return load


async def _warm(here: Scene) -> None:
    """A worker runs; this is counted nowhere."""
    await here.add(FEW, "warm")
    await here.until(FEW, FEW)


async def _full(here: Scene, live: int) -> int:
    """So many objects are there when it is as full as it gets. Raises NotDone."""
    deadline, said = time.monotonic() + 10 * STANDSTILL_SECONDS, 0.0
    while (there := await here.live()) < FULL * live:
        now = time.monotonic()
        if now > deadline:
            raise NotDone(f"the cluster has {there} objects and was to have {live}")
        if now - said > TELL_SECONDS:
            here.tell(f"{there} of {live} objects, {await here.done()} done")
            said = now
        await asyncio.sleep(LOOK_SECONDS)
    return there


def _kubectl(here: Scene) -> tuple[float, int]:
    """Seconds and lines of `kubectl get mediaassets`."""
    command = (checkout.program("kubectl"), f"--kubeconfig={here.side.state.kubeconfig}",
               f"--namespace={here.side.state.namespace}", "get", ASSETS)  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=KUBECTL_SECONDS, check=True)
    return time.monotonic() - began, len(done.stdout.splitlines()) - 1


async def _restarted(here: Scene, whole: int) -> float:
    before = await here.done()
    for process in here.side.processes("media-operator"):
        process.kill()
    began = time.monotonic()
    here.tell(f"the operator is killed, at {before} done")
    bound = 2 * AT_ONCE
    await here.until(min(before + bound + 1, whole), whole)
    return time.monotonic() - began

"""Start-up: settings, connections, and the tasks that together are the operator. Everything is wired here.

The process ends with code 0 when it is asked to, 78 for a wrong setting, and 1 when one of its tasks failed or its
Lease is lost: Kubernetes starts it again, and nothing is lost, because all it knows is in the API server and in
PostgreSQL.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
import uvloop
from aiohttp import web

from media_core import logs
from media_core.asset import AssetType, MediaAsset, VideoBackend
from media_core.backlog import Volume
from media_core.containers import WorkerImage
from media_core.lease import Term
from media_core.settings import load_or_exit
from media_operator.adapters.cluster import Cluster, ClusterError, Kind
from media_operator.adapters.mediaconvert import MediaConvert
from media_operator.adapters.objectstore import ObjectStore
from media_operator.events import Events
from media_operator.handlers import Watching
from media_operator.intake import Intake
from media_operator.leadership import Leadership, own_name
from media_operator.ledger import Ledger
from media_operator.mirror import Mirror
from media_operator.poller import Poller
from media_operator.probes import Health, probes
from media_operator.reconciler import Reconciler
from media_operator.rights import Rights
from media_operator.scheduler import Scheduler
from media_operator.settings import OperatorSettings
from media_operator.submission import Submission
from media_operator.workqueue import WorkQueue
from media_operator.world import World
from media_operator.writing import StatusWriting

log = structlog.get_logger()

LOOKERS = 16
RELIST_SECONDS = 300.0
SECOND_LIST_SECONDS = 15.0
"""What was deleted between our first LIST and kopf's own is in no event; the second LIST finds it soon."""


def utc_now() -> datetime:
    """The clock of everything here."""
    return datetime.now(UTC)


def main() -> None:
    """Entry point of `media-operator`."""
    parser = argparse.ArgumentParser(
        prog="media-operator",
        description="Binds media assets to worker Jobs and mirrors their status. Configured by environment variables; "
        "see the table in the README.",
    )
    parser.parse_args()
    settings = load_or_exit(OperatorSettings)
    logs.configure(settings.log_level, component="operator")
    raise SystemExit(uvloop.run(operate(settings)))


async def operate(settings: OperatorSettings) -> int:
    """Run until SIGTERM or SIGINT (0), or until a task fails or the Lease is lost (1)."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with wired(settings) as operator:
        return await operator.run(stop)


@dataclass(frozen=True)
class Operator:
    """The parts of one operator, wired to each other."""

    settings: OperatorSettings
    leadership: Leadership
    cluster: Cluster
    world: World
    queue: WorkQueue
    scheduler: Scheduler
    reconciler: Reconciler
    mirror: Mirror
    intake: Intake
    events: Events
    poller: Poller | None
    clock: Callable[[], datetime]

    async def run(self, stop: asyncio.Event) -> int:
        """Until `stop` is set (0), or until a task fails or the Lease is lost (1). It works only while it leads."""
        async with AsyncExitStack() as stack:
            await self._serve(stack)
            gc.freeze()  # what start-up made: a collection that walks it takes 70 ms, and everything waits
            log.info("operator_started", namespace=self.settings.namespace, port=self.settings.operator_port)
            if not await _before(stop, self.leadership.acquire()):
                log.info("operator_stopped", failed=[])
                return 0
            return await self._lead(stop)

    async def _lead(self, stop: asyncio.Event) -> int:
        loop = asyncio.get_running_loop()

        def handover(kind: Kind, event: str | None, body: Mapping[str, Any]) -> None:
            loop.call_soon_threadsafe(self.world.take, kind, event, body)

        watching = Watching(self.settings.namespace, handover)
        watching.start()
        work = {
            "leading": self.leadership.keep(),
            "watching": watching.ended(),
            "listing": _list_again_and_again(self.world, self.cluster),
            "scheduling": self.scheduler.run(),
            "mirroring": self.mirror.run(),
            "intake": self.intake.run(),
            "events": self.events.run(),
            **self._rights(),
            **({"polling": self.poller.run()} if self.poller else {}),
            **{f"looking-{number}": self.reconciler.run() for number in range(LOOKERS)},
        }
        try:
            return await _first_end(work, stop)
        finally:
            await self.leadership.release()
            await watching.stop()

    def _rights(self) -> Mapping[str, Coroutine[Any, Any, None]]:
        name = self.settings.rights_name
        return {"rights": Rights(self.cluster, name).run()} if name else {}

    async def _serve(self, stack: AsyncExitStack) -> None:
        def health() -> Health:
            since = self.leadership.since
            missing = self.leadership.unseen()
            if since is not None and not self.world.complete:
                missing = "the first LIST of assets, Jobs and pools is not in yet"
            return Health(since, self.leadership.overdue(), self.scheduler.heartbeat, missing)

        runner = web.AppRunner(probes(health, self.clock), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, self.settings.operator_host, self.settings.operator_port).start()


@asynccontextmanager
async def wired(settings: OperatorSettings, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Operator]:
    """An operator with its connections, which are closed at the end."""
    async with AsyncExitStack() as stack:
        leases = await Cluster.connect(settings.lease_namespace or settings.namespace)
        stack.push_async_callback(leases.close)
        term = Term(settings.pod_name or own_name(), settings.lease_seconds)
        leadership = Leadership(leases, settings.lease_name, term, clock=clock)
        cluster = await Cluster.connect(settings.namespace, may_write=leadership.holds)
        stack.push_async_callback(cluster.close)
        ledger = await Ledger.connect(settings.database_url.get_secret_value())
        stack.push_async_callback(ledger.close)
        store = ObjectStore.connect(settings)
        stack.callback(store.close)

        world, queue, events = World(), WorkQueue(), Events(cluster)
        mirror = Mirror(ledger, written=queue.add)
        scheduler = Scheduler(
            world,
            cluster,
            events,
            worker_image(settings),
            clock=clock,
            unborn=lambda: for_workers(intake.unborn, settings.backend),
        )
        reconciler = Reconciler(
            world,
            cluster,
            ledger,
            mirror,
            store,
            events,
            queue,
            clock=clock,
            video_backend=settings.backend,
            transcoder=settings.mediaconvert_role_arn is not None,
            trouble=scheduler.trouble,
        )
        intake = Intake(world, cluster, ledger, store, settings.max_live_assets)

        def mirrored(asset: MediaAsset | None, name: str) -> None:
            mirror.gone(name) if asset is None else mirror.seen(asset)

        world.look, world.mind, world.mirror = queue.add, scheduler.mind, mirrored
        world.settled = events.settled
        poller = _poller(settings, world, cluster, store, clock, stack)
        if poller is not None:
            world.film = poller.mind
        yield Operator(
            settings, leadership, cluster, world, queue, scheduler, reconciler, mirror, intake, events, poller, clock
        )


def _poller(
    settings: OperatorSettings,
    world: World,
    cluster: Cluster,
    store: ObjectStore,
    clock: Callable[[], datetime],
    stack: AsyncExitStack,
) -> Poller | None:
    """Only where MediaConvert is configured; also where it gets no new videos any more, for those it has."""
    if settings.mediaconvert_role_arn is None:
        return None
    service = MediaConvert.connect(settings)
    stack.callback(service.close)
    writing = StatusWriting(world, cluster)
    submission = Submission(
        world,
        writing,
        store,
        service,
        role=settings.mediaconvert_role_arn,
        max_seconds=settings.max_video_seconds,
        clock=clock,
    )
    return Poller(world, writing, store, service, submission, clock=clock, poll_seconds=settings.video_poll_seconds)


async def _before(stop: asyncio.Event, awaited: Coroutine[Any, Any, None]) -> bool:
    """Whether it came to an end before `stop` was set; what it raises is raised."""
    task, asked = asyncio.create_task(awaited), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([task, asked], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        return task.done()
    finally:
        for each in (task, asked):
            each.cancel()
        await asyncio.gather(task, asked, return_exceptions=True)


async def _first_end(work: Mapping[str, Coroutine[Any, Any, None]], stop: asyncio.Event) -> int:
    """Run it all until `stop` is set (0) or one part ends (1); then end every part."""
    tasks = [asyncio.create_task(job, name=name) for name, job in work.items()]
    asked = asyncio.create_task(stop.wait(), name="stop")
    try:
        done, _ = await asyncio.wait([asked, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (asked, *tasks):
            task.cancel()
        await asyncio.gather(asked, *tasks, return_exceptions=True)
    failed = [task for task in done if task is not asked]
    for task in failed:
        if (error := task.exception()) is not None:
            log.error("task_failed", task=task.get_name(), exc_info=error)
    log.info("operator_stopped", failed=[task.get_name() for task in failed])
    return 1 if failed else 0


def for_workers(unborn: Sequence[Volume], backend: VideoBackend | None) -> list[Volume]:
    """The uploads without an object that a worker will have to do with: videos only where ffmpeg transcodes them."""
    theirs = backend is VideoBackend.FFMPEG
    return [volume for volume in unborn if theirs or volume.asset_type is not AssetType.VIDEO]


def worker_image(settings: OperatorSettings) -> WorkerImage:
    """What the settings say of every worker."""
    environment = {
        "S3_BUCKET_MEDIA": settings.s3_bucket_media,
        "AWS_REGION": settings.aws_region,
        "MEDIA_LOG_LEVEL": settings.log_level,
    }
    if settings.aws_endpoint_url_s3:
        environment["AWS_ENDPOINT_URL_S3"] = settings.aws_endpoint_url_s3
    return WorkerImage(
        image=settings.worker_image,
        service_account=settings.worker_service_account,
        s3_secret=settings.worker_s3_secret,
        environment=environment,
        video_image=settings.video_worker_image,
        max_video_seconds=settings.max_video_seconds,
        max_pixels=settings.max_pixels,
        max_frames=settings.max_frames,
        pull_policy=settings.worker_pull_policy,
    )


async def _list_again_and_again(world: World, cluster: Cluster) -> None:
    wait, pause = 0.5, SECOND_LIST_SECONDS
    while True:
        try:
            await world.list_all(cluster)
        except ClusterError as error:
            log.warning("list_failed", error=str(error), seconds=wait)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 15.0)
            continue
        await asyncio.sleep(pause)
        wait, pause = 0.5, RELIST_SECONDS


if __name__ == "__main__":
    main()

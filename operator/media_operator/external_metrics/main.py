"""Start-up and end of `media-metrics`. Everything is wired here.

It ends with code 0 when it is asked to, 78 for a wrong setting, and 1 when one of its tasks failed. When asked, it
first says that it is not ready, goes on serving until the API server has had time to look elsewhere, finishes what
is under way, and only then closes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
import uvloop
from aiohttp import web

from media_core import logs
from media_core.names import CONFIGURATION_EXIT_CODE
from media_core.settings import load_or_exit
from media_operator.adapters.cluster import ClusterError
from media_operator.external_metrics.apiserver import ApiServer
from media_operator.external_metrics.authorization import Authorization
from media_operator.external_metrics.documents import Refusal, Value
from media_operator.external_metrics.front import LOOK_SECONDS, Front
from media_operator.external_metrics.issuing import Lives
from media_operator.external_metrics.keeping import Keeping, Place
from media_operator.external_metrics.measures import Measures
from media_operator.external_metrics.pools import Pools
from media_operator.external_metrics.probes import probes
from media_operator.external_metrics.server import Served, application
from media_operator.external_metrics.settings import ExternalMetricsSettings
from media_operator.external_metrics.values import answer, fresh

log = structlog.get_logger()

FIRST_LIST_SECONDS = 10.0
"""So long it waits for the pools before it is ready without them: discovery matters to the whole cluster."""
UNDER_WAY_SECONDS = 6.0
"""For requests under way at the end; more than a review may take."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long is waited for what. From not ready to closed takes as long as EndpointSlices need to be heard of."""

    look_seconds: float = LOOK_SECONDS
    leaving_seconds: float = 5.0


def utc_now() -> datetime:
    """The clock of everything here."""
    return datetime.now(UTC)


def main() -> None:
    """Entry point of `media-metrics`."""
    parser = argparse.ArgumentParser(
        prog="media-metrics",
        description="Serves the backlog of each pool as an external metric for the HorizontalPodAutoscaler. "
        "Configured by environment variables; see the table in the README.",
    )
    parser.parse_args()
    settings = load_or_exit(ExternalMetricsSettings)
    logs.configure(settings.log_level, component="metrics")
    raise SystemExit(uvloop.run(serve(settings)))


async def serve(settings: ExternalMetricsSettings) -> int:
    """Run until SIGTERM or SIGINT (0), or until a task fails (1); 78 where no API server is named."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        try:
            api = await ApiServer.connect()
        except ClusterError as error:
            log.error("api_server_unknown", error=str(error))
            return CONFIGURATION_EXIT_CODE
        stack.push_async_callback(api.close)
        return await MetricsServer(settings, api, utc_now).run(stop)


class MetricsServer:
    """The parts of one metrics server, wired to each other."""

    def __init__(
        self,
        settings: ExternalMetricsSettings,
        api: ApiServer,
        clock: Callable[[], datetime],
        lives: Lives = Lives(),
        pace: Pace = Pace(),
    ) -> None:
        self._settings, self._clock, self._pace = settings, clock, pace
        self._pools = Pools(api, settings.namespace, clock)
        self._measures = Measures(lambda: fresh(self._pools.sight, clock()))
        self._missing: str | None = "the pools have not been read yet"
        self._leaving = False
        self._front: Front | None = None
        if settings.apiservice is not None:
            place = Place(settings.service, settings.service_namespace, settings.secret, settings.apiservice)
            self._front = Front(api, Keeping(api, place, clock, lives), self._measures, pace.look_seconds)
        self._authorization = Authorization(api, time.monotonic)

    def _answer(self, pool: str) -> Value | Refusal:
        return answer(self._pools.sight, pool, self._clock())

    def _reason(self) -> str | None:
        return "it is being stopped" if self._leaving else self._missing

    async def run(self, stop: asyncio.Event) -> int:
        """Until `stop` is set (0), or until a task fails (1)."""
        async with AsyncExitStack() as stack:
            plain = probes(self._reason, self._answer, self._measures)
            await self._listen(stack, plain, self._settings.probe_port)
            work = {"pools": self._pools.run(), "opening": self._open(stack)}
            if self._front is not None:
                work["front"] = self._front.run()
            log.info("metrics_server_started", namespace=self._settings.namespace, port=self._settings.port)
            return await self._first_end(work, stop)

    async def _open(self, stack: AsyncExitStack) -> None:
        """The served port, as soon as there is a certificate for it; then ready."""
        if self._front is not None:
            self._missing = "there is no certificate, or no front-proxy authority, yet"
            await self._front.known.wait()
            served = Served(
                namespace=self._settings.namespace,
                front_proxy=self._front.front_proxy,
                authorization=self._authorization,
                answer=self._answer,
                leaving=lambda: self._leaving,
                measures=self._measures,
            )
            runner = await self._listen(stack, application(served), self._settings.port, tls=self._front)
            self._front.connections = runner
        self._missing = "the pools have not been read yet"
        try:
            async with asyncio.timeout(FIRST_LIST_SECONDS):
                await self._pools.listed.wait()
        except TimeoutError:
            log.warning("ready_without_pools")
        self._missing = None
        log.info("metrics_server_ready")
        await asyncio.Event().wait()

    async def _listen(
        self, stack: AsyncExitStack, app: web.Application, port: int, tls: Front | None = None
    ) -> web.AppRunner:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=UNDER_WAY_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        context = tls.door.context if tls is not None else None
        await web.TCPSite(runner, self._settings.host, port, ssl_context=context).start()
        return runner

    async def _first_end(self, work: Mapping[str, Coroutine[Any, Any, None]], stop: asyncio.Event) -> int:
        tasks = [asyncio.create_task(job, name=name) for name, job in work.items()]
        asked = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait([asked, *tasks], return_when=asyncio.FIRST_COMPLETED)
            failed = [task for task in done if task is not asked]
            for task in failed:
                log.error("task_failed", task=task.get_name(), exc_info=task.exception())
            self._leaving = True
            if not failed:
                log.info("metrics_server_leaving", seconds=self._pace.leaving_seconds)
                await asyncio.wait(tasks, timeout=self._pace.leaving_seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (asked, *tasks):
                task.cancel()
            await asyncio.gather(asked, *tasks, return_exceptions=True)
        log.info("metrics_server_stopped", failed=[task.get_name() for task in failed])
        return 1 if failed else 0


if __name__ == "__main__":
    main()

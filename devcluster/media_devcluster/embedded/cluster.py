"""The embedded cluster as one thing to start and stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
import yaml
from aiohttp import web

from media_devcluster.embedded.faults import Faults
from media_devcluster.embedded.garbage import Collector
from media_devcluster.embedded.http import Api
from media_devcluster.embedded.jobs import JobController
from media_devcluster.embedded.podrun import Machine
from media_devcluster.embedded.pods import Kubelet
from media_devcluster.embedded.processes import Reaper
from media_devcluster.embedded.registry import Registry
from media_devcluster.embedded.resources import DEFINITIONS, NAMESPACES, NODES, Catalog
from media_devcluster.embedded.store import Store

log = structlog.get_logger(__name__)

SHUTDOWN_SECONDS = 2.0
PASSED_THROUGH = ("COVERAGE_",)
"""Beginnings of the environment variables that containers get from the cluster: so that children are measured."""


def container_env() -> dict[str, str]:
    """What every container has in its environment before its own entries: commands of this installation first."""
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_THROUGH)}
    return {"PATH": commands, "LANG": "C.UTF-8", **passed}


class EmbeddedCluster:
    """An API server with its controllers, in this process and this event loop."""

    def __init__(
        self,
        crds: Sequence[Path],
        data_dir: Path,
        port: int = 0,
        *,
        clock: Callable[[], float] = time.time,
        bookmark_seconds: float = 30.0,
        history: int = 4096,
        backoff_seconds: float = 1.0,
        stop_grace_seconds: float = 3.0,
    ) -> None:
        self._crds = crds
        self._data_dir = data_dir
        self._port = port
        self._clock = clock
        self._backoff_seconds = backoff_seconds
        self._stop_grace_seconds = stop_grace_seconds
        self.kubeconfig = (data_dir / "kubeconfig").resolve()
        self.store = Store(first_version=int(clock() * 1000), history=history)
        self.registry = Registry(self.store, Catalog(), clock)
        self.faults = Faults(clock, self.store.compact)
        self.api = Api(self.store, self.registry, self.faults, clock, bookmark_seconds)
        self._collector = Collector(self.store, self.registry)
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._data_dir.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            scratch = Path(tempfile.mkdtemp(prefix="pods-"))
            stack.callback(shutil.rmtree, scratch, ignore_errors=True)
            kubelet = Kubelet(self.registry, self._machine(scratch, stack), self._clock)
            jobs = JobController(self.registry, self._clock, backoff_seconds=self._backoff_seconds)
            for name, running in (("garbage", self._collector.run()), ("jobs", jobs.run())):
                task = asyncio.create_task(running, name=name)
                task.add_done_callback(_tell_break)
                stack.push_async_callback(_cancelled, task)
            self.api.subresources["GET", "pods", "log"] = kubelet.logs
            self.api.subresources["POST", "pods", "eviction"] = kubelet.evict
            self._furnish()
            await self._listen(stack)
            stack.push_async_callback(kubelet.stop, self._stop_grace_seconds)
            self._write_kubeconfig()
            self._stack = stack.pop_all()
        log.info("embedded cluster ready", url=self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        log.info("embedded cluster stopped", url=self.url)

    def _machine(self, scratch: Path, stack: AsyncExitStack) -> Machine:
        reaper = Reaper(scratch)
        stack.callback(reaper.close)
        logs = self._data_dir.resolve() / "logs"
        return Machine(scratch, logs, self.kubeconfig, container_env(), reaper, self._backoff_seconds)

    def _furnish(self) -> None:
        self.registry.create(NAMESPACES, "", {"metadata": {"name": "default"}})
        self.registry.create(NODES, "", {"metadata": {"name": "embedded"}})
        for path in self._crds:
            for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                if document:
                    self.registry.create(DEFINITIONS, "", document)

    async def _listen(self, stack: AsyncExitStack) -> None:
        runner = web.ServerRunner(web.Server(self.api.handle, access_log=None), shutdown_timeout=SHUTDOWN_SECONDS)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        stack.callback(self.faults.drop_watches)
        await web.TCPSite(runner, "127.0.0.1", self._port).start()
        self._port = runner.addresses[0][1]

    def _write_kubeconfig(self) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "embedded", "cluster": {"server": self.url}}],
            "users": [{"name": "embedded", "user": {}}],
            "contexts": [
                {
                    "name": "embedded",
                    "context": {"cluster": "embedded", "user": "embedded", "namespace": "default"},
                }
            ],
            "current-context": "embedded",
        }
        self.kubeconfig.write_text(yaml.safe_dump(config), encoding="utf-8")


async def _cancelled(task: asyncio.Task[None]) -> None:
    """Ends a task that runs for ever."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _tell_break(task: asyncio.Task[None]) -> None:
    """A controller only ends by being cancelled; the cluster is of no use without it."""
    if not task.cancelled():
        log.critical("controller broke", controller=task.get_name(), exc_info=task.exception())

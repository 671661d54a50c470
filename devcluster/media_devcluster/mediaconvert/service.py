"""The double as one thing that is started and stopped: in a test's own event loop, or by `__main__` as a process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
import structlog
from aiohttp import web

from media_devcluster.mediaconvert.faults import Faults
from media_devcluster.mediaconvert.http import Api
from media_devcluster.mediaconvert.jobs import Jobs
from media_devcluster.mediaconvert.running import Running
from media_devcluster.objectstore import S3

SHUTDOWN_SECONDS = 1.0
log = structlog.get_logger(__name__)


class MediaConvertDouble:
    """`async with MediaConvertDouble(store, folder) as double:` and give `double.url` to a client as endpoint_url."""

    def __init__(self, store: S3, folder: Path, port: int = 0, *, clock: Callable[[], float] = time.time) -> None:
        self._store, self._folder, self._port = store, folder, port
        s3 = store.client()
        self.faults = Faults(clock)
        self.jobs = Jobs(store.region, clock)
        self.running = Running(self.jobs, self.faults, s3, folder, clock)
        self._api = Api(self.jobs, self.running, self.faults, s3, folder)
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was asked for."""
        return self._api.calls

    def client(self, **options: Any) -> Any:
        """A boto3 client of it."""
        return boto3.client(
            "mediaconvert",
            endpoint_url=self.url,
            region_name=self._store.region,
            aws_access_key_id=self._store.access_key,
            aws_secret_access_key=self._store.secret_key,
            **options,
        )

    async def __aenter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            server = web.Server(self._api.handle, access_log=None)
            runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
            await runner.setup()
            stack.push_async_callback(self.running.stop)
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self._port = runner.addresses[0][1]
            self._stack = stack.pop_all()
        log.info("mediaconvert double ready", url=self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        log.info("mediaconvert double stopped", url=self.url)

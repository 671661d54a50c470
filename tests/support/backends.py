"""PostgreSQL and S3 for tests: one server of each for the session, one migrated database for each test.

The fixtures are in tests/conftest.py; what is here can be imported and used anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from media_api.migrations.main import upgrade
from media_devcluster import objectstore, postgres
from media_devcluster.objectstore import S3
from media_devcluster.processes import Child, Command

TEMPLATE = "migrated"
BUCKET = "media-tests"


@dataclass(frozen=True)
class PostgresServer:
    """A running server, reached by the URL of its first database."""

    url: str

    def database_url(self, name: str) -> str:
        """The same server, another database."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.url)
        assert parts.hostname is not None
        assert parts.port is not None
        return parts.hostname, parts.port

    @asynccontextmanager
    async def empty_database(self) -> AsyncIterator[str]:
        """URL of a database without anything in it."""
        async with self._database("template0") as url:
            yield url

    @asynccontextmanager
    async def migrated_database(self) -> AsyncIterator[str]:
        """URL of a database with the newest schema and no rows: a copy, so that it takes milliseconds."""
        async with self._database(TEMPLATE) as url:
            yield url

    async def prepare(self) -> None:
        """Make the database that the others are copies of."""
        await self._execute(f"CREATE DATABASE {TEMPLATE}")
        await upgrade(self.database_url(TEMPLATE), wait_seconds=10)

    @asynccontextmanager
    async def _database(self, template: str) -> AsyncIterator[str]:
        name = f"test_{uuid4().hex[:12]}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.database_url(name)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url, timeout=10)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """A server with `migrated_database` ready.

    Not in pytest's temporary folder: for root it runs under another account, and each run of pytest closes that
    folder to other accounts.
    """
    with TemporaryDirectory(prefix="media-postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with _children() as begin:
            server = PostgresServer(await postgres.start(folder, folder / "postgres.log", begin))
            await server.prepare()
            yield server


@asynccontextmanager
async def s3_server(folder: Path, bucket: str = BUCKET) -> AsyncIterator[S3]:
    """An S3 server with one bucket."""
    async with _children() as begin:
        yield await objectstore.start(folder, folder / "s3.log", bucket, begin)


@asynccontextmanager
async def _children() -> AsyncIterator[Callable[[Command], Child]]:
    """Starts processes and stops them in the end, whatever happened in between."""
    started: list[Child] = []

    def begin(command: Command) -> Child:
        started.append(Child.start(command))
        return started[-1]

    try:
        yield begin
    finally:
        for child in started:
            await child.stop()


class Mode(Enum):
    """What a gate does with connections."""

    OPEN = "open"
    SHUT = "shut"
    """New ones are refused, old ones are closed: the server was stopped."""
    SILENT = "silent"
    """Nothing is passed on any more, and nothing is closed: the network swallows it."""


@dataclass(slots=True)
class Gate:
    """A TCP proxy in front of a server, to take the server away from one client without touching the others."""

    upstream: tuple[str, int]
    mode: Mode = Mode.OPEN
    port: int = 0
    _server: asyncio.Server | None = None
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _flowing: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._flowing.set()
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shut()

    def url(self, url: str) -> str:
        """The URL of the server, by way of the gate."""
        parts = urlsplit(url)
        credentials = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{credentials}@127.0.0.1:{self.port}".lstrip("@")))

    async def shut(self) -> None:
        """Refuse new connections and break the old ones."""
        self.mode = Mode.SHUT
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()
        self._flowing.set()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def silence(self) -> None:
        """Take everything, pass on nothing."""
        self.mode = Mode.SILENT
        self._flowing.clear()

    async def open(self) -> None:
        """As before; what was said in the meantime is passed on."""
        was, self.mode = self.mode, Mode.OPEN
        self._flowing.set()
        if was is Mode.SHUT:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._flowing.wait()
            upstream_reader, upstream_writer = await asyncio.open_connection(*self.upstream)
            self._writers.add(upstream_writer)
            try:
                await asyncio.gather(self._pump(reader, upstream_writer), self._pump(upstream_reader, writer))
            finally:
                self._writers.discard(upstream_writer)
                upstream_writer.close()
        self._writers.discard(writer)
        writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65536):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()

"""What both sides use, started once for all rounds: S3 (versitygw), PostgreSQL and Redis, as processes here.

Each turn has a database and a bucket of its own in them, so that none finds what another left. A cluster's pods reach
them at the machine's end of the wire to the node.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from media_devcluster import postgres
from media_devcluster.local.binaries import TABLE, build, cache_folder
from media_devcluster.objectstore import S3
from media_devcluster.processes import Child, Command, free_port
from perf.environment import program
from support import versitygw

PODS = "10.0.0.0/8"
POST_SECONDS = 30.0


@dataclass(frozen=True)
class Turn:
    """A database and a bucket that nobody has used yet."""

    database_url: str
    store: S3
    redis_url: str
    folder: Path

    def seen_from(self, address: str) -> Turn:
        """The same as others reach them who know this machine by another address."""
        endpoint, database = urlsplit(self.store.endpoint), urlsplit(self.database_url)
        location = f"{database.username}:{database.password}@{address}:{database.port}"
        store = replace(self.store, endpoint=endpoint._replace(netloc=f"{address}:{endpoint.port}").geturl())
        return replace(self, database_url=database._replace(netloc=location).geturl(), store=store)


class Services:
    """They run until the end of `started`."""

    def __init__(self, folder: Path, server_url: str, store: S3, redis_url: str) -> None:
        self._folder = folder
        self._server_url = server_url
        self._store = store
        self._redis_url = redis_url
        self._turns = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """What one side gets for one turn; what it put there is removed afterwards."""
        self._turns += 1
        name = f"turn{self._turns}"
        bucket, folder = self._folder / "buckets" / name, self._folder / name
        bucket.mkdir()
        folder.mkdir()
        await self._execute(f"CREATE DATABASE {name}")
        url = urlsplit(self._server_url)._replace(path=f"/{name}").geturl()
        try:
            yield Turn(url, replace(self._store, bucket=name), f"{self._redis_url}/{self._turns % 16}", folder)
        finally:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")
            for left in (bucket, folder, self._folder / "metadata" / name):
                await asyncio.to_thread(shutil.rmtree, left, True)

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._server_url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@asynccontextmanager
async def started(folder: Path, address: str = "127.0.0.1") -> AsyncIterator[Services]:
    """Start them in that folder; `address` is where they listen. Raises StartFailed and NotInstalled."""
    children: list[Child] = []

    def begin(command: Command) -> Child:
        children.append(Child.start(command))
        return children[-1]

    try:
        (folder / "postgres").mkdir(parents=True)
        url = await postgres.start(folder / "postgres", folder / "postgres.log", _listening(begin, address))
        store = await _versitygw(folder, address, begin)
        yield Services(folder, url, store, await _redis(folder, begin))
    finally:
        for child in reversed(children):
            await child.stop()


def _listening(begin: Callable[[Command], Child], address: str) -> Callable[[Command], Child]:
    """PostgreSQL as the stack starts it, at that address, and pods let in (by password, as everybody)."""

    def begun(command: Command) -> Child:
        with (command.folder / "pg_hba.conf").open("a", encoding="ascii") as rules:
            rules.write(f"host all all {PODS} scram-sha-256\n")
        return begin(replace(command, argv=(*command.argv, "-c", f"listen_addresses={address}")))

    return begun


async def _versitygw(folder: Path, address: str, begin: Callable[[Command], Child]) -> S3:
    module = next(module for module in TABLE if module.name == "versitygw")
    server = (await asyncio.to_thread(build, cache_folder(), lambda line: None, [module]))["versitygw"]
    return await versitygw.started(server, folder, "probe", begin, address)


async def _redis(folder: Path, begin: Callable[[Command], Child]) -> str:
    """Without persistence: nothing is written to disk that could slow it down."""
    port = free_port()
    options = ("--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--daemonize", "no")
    command = Command(
        name="redis",
        argv=(program("redis-server", "redis-server"), *options),
        log=folder / "redis.log",
        folder=folder,
        patience_seconds=POST_SECONDS,
    )

    await begin(command).ready(lambda: listens(port))
    return f"redis://127.0.0.1:{port}"


async def listens(port: int) -> bool:
    """Whether something takes connections there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True

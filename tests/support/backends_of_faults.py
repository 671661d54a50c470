"""PostgreSQL and S3 for tests of faults: one of each for a session, and PostgreSQL can be away for a while."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from media_devcluster import objectstore, postgres
from media_devcluster.objectstore import S3
from media_devcluster.processes import Child, Command


@dataclass
class Backends:
    """What outlives a test. `server_url` names the migrated database that tests copy."""

    server_url: str
    store: S3
    children: dict[str, Child] = field(default_factory=dict)

    async def execute(self, statement: str) -> None:
        """One statement in the server's own database."""
        connection = await asyncpg.connect(self.server_url.rsplit("/", 1)[0] + "/postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def stop_postgres(self) -> None:
        """PostgreSQL shuts down and drops every client."""
        await self.children[postgres.NAME].stop()

    async def start_postgres(self) -> None:
        """The same server on the same port and files."""
        child = self.children[postgres.NAME] = Child.start(self.children[postgres.NAME].command)

        async def answers() -> bool:
            try:
                await self.execute("SELECT 1")
            except (OSError, asyncpg.PostgresError):
                return False
            return True

        await child.ready(answers)


@asynccontextmanager
async def running_backends(folder: Path) -> AsyncIterator[Backends]:
    """Both started, the schema migrated; stopped at the end."""
    children: dict[str, Child] = {}

    def begin(command: Command) -> Child:
        return children.setdefault(command.name, Child.start(command))

    try:
        for name in (postgres.NAME, objectstore.NAME):
            (folder / name).mkdir()
        url = await postgres.start(folder / "postgres", folder / "postgres.log", begin)
        store = await objectstore.start(folder / "s3", folder / "s3.log", "media-faults", begin)
        await _migrate(url)
        yield Backends(url, store, children)
    finally:
        for child in reversed(children.values()):
            await child.stop()


async def _migrate(url: str) -> None:
    command = str(Path(sys.executable).with_name("media-migrate"))
    process = await asyncio.create_subprocess_exec(command, env={"MEDIA_DATABASE_URL": url, "PATH": "/usr/bin:/bin"})
    async with asyncio.timeout(60):
        assert await process.wait() == 0

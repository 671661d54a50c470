"""`media-migrate`: brings the schema `media` to the version this program needs, and says where it stands.

It waits for PostgreSQL, and holds an advisory lock while it works, so any number of them may run at once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from media_core import logs
from media_core.settings import DatabaseSettings, load_or_exit

log = structlog.get_logger()

LOCK = 0x6D656469  # "medi", as a number
PAUSE_SECONDS = 0.5
CONNECT_SECONDS = 5.0


class DatabaseAway(Exception):
    """PostgreSQL did not answer until the deadline."""


def main() -> None:
    """Entry point of `media-migrate`."""
    parser = argparse.ArgumentParser(
        prog="media-migrate",
        description="Migrates the database named by MEDIA_DATABASE_URL. Safe to run again, and at once with others.",
        epilog="Exit codes: 0 up to date; 1 behind (status) or database away; 78 a setting is wrong.",
    )
    parser.add_argument(
        "action", nargs="?", choices=("upgrade", "status"), default="upgrade", help="what to do (default: upgrade)"
    )
    parser.add_argument(
        "--wait", type=float, default=60.0, metavar="SECONDS", help="how long to wait for the database (default: 60)"
    )
    given = parser.parse_args()
    settings = load_or_exit(DatabaseSettings)
    logs.configure(settings.log_level, component="migrate")
    url = settings.database_url.get_secret_value()
    try:
        if given.action == "upgrade":
            before, after = asyncio.run(upgrade(url, given.wait))
            log.info("database_migrated", before=before, after=after)
        else:
            raise SystemExit(_report(*asyncio.run(status(url, given.wait))))
    except DatabaseAway as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


async def upgrade(url: str, wait_seconds: float = 60.0) -> tuple[str | None, str | None]:
    """To the newest version; the versions before and after. Raises DatabaseAway."""
    async with _connection(url, wait_seconds) as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        await connection.execute(text("CREATE SCHEMA IF NOT EXISTS media"))
        await connection.commit()
        before = await connection.run_sync(_version)
        await connection.commit()
        await connection.run_sync(_upgrade)
        await connection.commit()
        return before, await connection.run_sync(_version)


async def status(url: str, wait_seconds: float = 60.0) -> tuple[str | None, str]:
    """The version of the database, and the newest there is. Raises DatabaseAway."""
    async with _connection(url, wait_seconds) as connection:
        return await connection.run_sync(_version), newest()


def newest() -> str:
    """The version this program needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def _report(current: str | None, head: str) -> int:
    print(f"database: {current or 'not migrated'}\nprogram:  {head}")
    return 0 if current == head else 1


@asynccontextmanager
async def _connection(url: str, wait_seconds: float) -> AsyncIterator[AsyncConnection]:
    """One connection; its end is also the end of the lock."""
    opened = await _opened(url, wait_seconds)

    async def creator() -> asyncpg.Connection:
        return opened

    engine = create_async_engine("postgresql+asyncpg://", async_creator=creator, pool_size=1, max_overflow=0)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def _opened(url: str, wait_seconds: float) -> asyncpg.Connection:
    """Opened by asyncpg itself, so that a URL means here what it means to the other programs."""
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            return await asyncpg.connect(
                url.replace("postgresql+asyncpg://", "postgresql://"),
                timeout=CONNECT_SECONDS,
                server_settings={"application_name": "media-migrate"},
            )
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
            if time.monotonic() >= deadline:
                raise DatabaseAway(f"PostgreSQL did not answer for {wait_seconds:.0f} seconds: {error}") from error
            log.info("database_awaited", error=str(error))
        except asyncpg.PostgresError as error:
            raise DatabaseAway(f"PostgreSQL refused the connection: {error}") from error
        await asyncio.sleep(PAUSE_SECONDS)


def _config(**attributes: Any) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes.update(attributes)
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(_config(connection=connection), "head")


def _version(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table_schema": "media"}).get_current_revision()


if __name__ == "__main__":
    main()

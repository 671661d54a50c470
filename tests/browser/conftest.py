"""Fixtures of the tests in a real browser: Chromium, the API with PostgreSQL and S3, and a film made by ffmpeg."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, async_playwright

from media_core.ladder import Film
from media_devcluster.objectstore import S3
from support import films
from support.api_site import ApiSite, api_site
from support.backends import PostgresServer, postgres_server, s3_server
from support.browsing import Visit, visit
from support.clips import clip

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "browser"
SECONDS, RATE = 24.0, 12


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[PostgresServer]:
    """A PostgreSQL server."""
    async with postgres_server() as server:
        yield server


@pytest.fixture
async def database(postgres: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    """A connection to the test's database."""
    async with postgres.migrated_database() as url:
        connection = await asyncpg.connect(url, timeout=10)
        yield connection
        await connection.close()


@pytest.fixture(scope="session")
async def object_store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[S3]:
    """An S3 server with a bucket that pages of any origin may upload to."""
    async with s3_server(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(scope="session")
async def s3(object_store: S3) -> Any:
    """A boto3 client of it."""
    return await asyncio.to_thread(object_store.client)


@pytest.fixture
async def api(database: asyncpg.Connection, postgres: PostgresServer, object_store: S3) -> AsyncIterator[ApiSite]:
    """A running API; what a cluster would do, the tests do themselves."""
    name = await database.fetchval("SELECT current_database()")
    async with api_site(postgres.database_url(name), object_store, None) as site:
        yield site


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The browser of this machine."""
    program = shutil.which("chromium")
    assert program is not None, "the tests in a browser need chromium: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def visitor(chromium: Browser, api: ApiSite, request: pytest.FixtureRequest) -> AsyncIterator[Visit]:
    """Somebody with a browser, who is not signed in; in the end nothing may have been complained of."""
    async with visit(chromium, api, SHOTS, ROOT / "build" / "web" / "axe.min.js") as guest:
        yield guest
        assert guest.complaints == []


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film in 1080p with sound."""
    folder = tmp_path_factory.mktemp("original")
    front = ("-movflags", "+faststart")
    return clip(folder, "holiday.mp4", width=1920, height=1080, seconds=SECONDS, fps=RATE, options=front)


@pytest.fixture(scope="session")
def film() -> Film:
    """What a probe finds of it."""
    return Film(1920, 1080, 0, SECONDS, has_audio=True)


@pytest.fixture(scope="session")
def transcoded(original: Path, film: Film, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All that is made of it, by path."""
    return films.made(original, film, tmp_path_factory.mktemp("film") / "out")

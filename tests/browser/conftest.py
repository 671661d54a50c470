"""Fixtures of the tests in a real browser: Chromium, the API with PostgreSQL and S3, and a film made by ffmpeg."""

from __future__ import annotations

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
from support.browsing import Visit, visit
from support.clips import clip

ROOT = Path(__file__).parents[2]
SHOTS = ROOT / "build" / "browser"
SECONDS, RATE = 24.0, 12


@pytest.fixture
async def api(database_url: str, object_store: S3) -> AsyncIterator[ApiSite]:
    """A running API; what a cluster would do, the tests do themselves."""
    async with api_site(database_url, object_store, None) as site:
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


@pytest.fixture
def cinema(
    database: asyncpg.Connection, s3: Any, api: ApiSite, film: Film, transcoded: dict[str, bytes]
) -> films.Cinema:
    """What a backend would do with the film."""
    return films.Cinema(database, s3, api.store.bucket, film, transcoded)


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

"""Fixtures of the tests with a real S3 server: versitygw, which the chart embeds and which checks what it is sent.

pytest tests/realstore --versitygw PATH
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from media_devcluster.objectstore import S3
from media_devcluster.processes import Child, Command
from support import versitygw


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--versitygw", type=Path, default=None, help="the program versitygw")


@pytest.fixture(scope="session")
async def store(request: pytest.FixtureRequest) -> AsyncIterator[S3]:
    """The server as the chart runs it, on a port of its own, with one bucket."""
    program: Path | None = request.config.getoption("--versitygw")
    if program is None:
        pytest.fail("a real S3 server is needed: --versitygw PATH")
    children: list[Child] = []

    def begin(command: Command) -> Child:
        children.append(Child.start(command))
        return children[-1]

    with TemporaryDirectory(prefix="realstore-") as name:
        try:
            yield await versitygw.started(program, Path(name), "media-tests", begin)
        finally:
            for child in children:
                await child.stop()

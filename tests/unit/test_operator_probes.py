"""The operator's probes, over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer

from media_operator.probes import STALE_AFTER, Health, probes
from support.build import NOW

STANDING_BY = Health(leading_since=None, overdue=None, tick=None, missing=None)
LEADING = Health(leading_since=NOW, overdue=None, tick=None, missing=None)
LATE = timedelta(seconds=1)


async def answers(health: Health, later: timedelta) -> dict[str, tuple[int, str]]:
    """Status and text of each probe, so much later than NOW."""
    async with TestClient(TestServer(probes(lambda: health, lambda: NOW + later))) as client:
        found = {}
        for path in ("/livez", "/readyz", "/metrics"):
            answer = await client.get(path)
            found[path] = (answer.status, await answer.text())
        return found


@pytest.mark.parametrize(
    ("health", "later", "livez", "readyz"),
    [
        pytest.param(LEADING, STALE_AFTER, (200, "ok\n"), (200, "ok\n"), id="it leads, and has not had time to tick"),
        pytest.param(
            replace(LEADING, tick=NOW + STALE_AFTER),
            2 * STALE_AFTER,
            (200, "ok\n"),
            (200, "ok\n"),
            id="its scheduler ticks",
        ),
        pytest.param(
            LEADING, STALE_AFTER + LATE, (503, "no tick for 61 s\n"), (200, "ok\n"), id="no tick for a minute"
        ),
        pytest.param(
            replace(LEADING, missing="the first LIST"),
            LATE,
            (200, "ok\n"),
            (503, "the first LIST\n"),
            id="it has not listed yet",
        ),
        pytest.param(
            replace(LEADING, overdue="not renewed", tick=NOW),
            LATE,
            (503, "the Lease is lost: not renewed\n"),
            (200, "ok\n"),
            id="its renewals hang",
        ),
        pytest.param(STANDING_BY, timedelta(days=9), (200, "ok\n"), (200, "standing by\n"), id="it stands by"),
        pytest.param(
            replace(STANDING_BY, missing="the Lease was not read yet"),
            timedelta(days=9),
            (200, "ok\n"),
            (503, "the Lease was not read yet\n"),
            id="it does not reach the API server",
        ),
    ],
)
async def test_an_operator_is(
    health: Health, later: timedelta, livez: tuple[int, str], readyz: tuple[int, str]
) -> None:
    found = await answers(health, later)
    assert (found["/livez"], found["/readyz"]) == (livez, readyz)
    assert found["/metrics"][0] == 200
    assert "media_leader" in found["/metrics"][1]

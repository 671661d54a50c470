"""The operator's probes, over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta

from aiohttp.test_utils import TestClient, TestServer

from media_operator.probes import STALE_AFTER, probes
from support.build import NOW


async def answers(last_tick: datetime | None, missing: str | None, later: timedelta) -> dict[str, tuple[int, str]]:
    """Status and text of each probe, so much later than the start."""
    now = NOW

    def clock() -> datetime:
        return now

    app = probes(lambda: last_tick, lambda: missing, clock)
    now = NOW + later
    async with TestClient(TestServer(app)) as client:
        found = {}
        for path in ("/livez", "/readyz", "/metrics"):
            answer = await client.get(path)
            found[path] = (answer.status, await answer.text())
        return found


async def test_a_scheduler_that_ticks_is_alive_and_one_that_has_listed_is_ready() -> None:
    found = await answers(NOW + STALE_AFTER, None, STALE_AFTER)
    assert found["/livez"] == (200, "ok\n")
    assert found["/readyz"] == (200, "ok\n")
    assert found["/metrics"][0] == 200
    assert "media_backlog_seconds" in found["/metrics"][1]


async def test_a_scheduler_without_a_tick_for_a_minute_is_not_alive() -> None:
    found = await answers(None, "the first LIST", STALE_AFTER + timedelta(seconds=1))
    assert found["/livez"] == (503, "no tick for 61 s\n")
    assert found["/readyz"] == (503, "the first LIST\n")

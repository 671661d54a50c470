"""/livez, /readyz and /metrics: whether the operator is alive, whether it works or could, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

STALE_AFTER = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Health:
    """What the probes go by."""

    leading_since: datetime | None
    """None: it stands by, or does not know yet whether it leads."""
    overdue: str | None
    """Why it should have ended: it leads, and its Lease is over."""
    tick: datetime | None
    """The scheduler's last one."""
    missing: str | None
    """What it waits for before it can work, or before it can stand by."""

    def ailment(self, now: datetime) -> str | None:
        """Why it should be ended, or None."""
        if self.leading_since is None:
            return None
        if self.overdue is not None:
            return f"the Lease is lost: {self.overdue}"
        age = now - max(self.tick or self.leading_since, self.leading_since)
        return f"no tick for {age.total_seconds():.0f} s" if age > STALE_AFTER else None


def probes(health: Callable[[], Health], clock: Callable[[], datetime]) -> web.Application:
    """The pages. One that stands by is alive and ready: a rolling update goes on to the next."""

    async def livez(_request: web.Request) -> web.Response:
        ailment = health().ailment(clock())
        return web.Response(text="ok\n") if ailment is None else web.Response(status=503, text=f"{ailment}\n")

    async def readyz(_request: web.Request) -> web.Response:
        seen = health()
        if seen.missing is not None:
            return web.Response(status=503, text=f"{seen.missing}\n")
        return web.Response(text="standing by\n" if seen.leading_since is None else "ok\n")

    async def measured(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", measured)])
    return app

"""/livez, /readyz and /metrics: whether the operator is alive, whether it knows its namespace, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

STALE_AFTER = timedelta(seconds=60)


def probes(
    heartbeat: Callable[[], datetime | None], ready: Callable[[], str | None], clock: Callable[[], datetime]
) -> web.Application:
    """`heartbeat()` is the scheduler's last tick; `ready()` names what is missing, or None."""
    started = clock()

    async def livez(_request: web.Request) -> web.Response:
        last = heartbeat() or started
        age = clock() - last
        if age > STALE_AFTER:
            return web.Response(status=503, text=f"no tick for {age.total_seconds():.0f} s\n")
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        missing = ready()
        return web.Response(text="ok\n") if missing is None else web.Response(status=503, text=f"{missing}\n")

    async def measured(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", measured)])
    return app

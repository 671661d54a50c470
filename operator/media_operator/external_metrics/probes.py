"""/livez, /readyz, /metrics and /backlog/<pool>, without TLS and without asking who it is.

The backlog stands on this port because those who want it here, Prometheus and KEDA's `metrics-api` trigger, have no
certificate of the API server's to show, and it is no more than /metrics tells anyway. Who reaches the port is for the
NetworkPolicy to say.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from media_operator.external_metrics.documents import Refusal, Value
from media_operator.external_metrics.measures import Measures


def probes(
    missing: Callable[[], str | None], answer: Callable[[str], Value | Refusal], measures: Measures
) -> web.Application:
    """`missing()` names what keeps it from serving, or None."""

    async def livez(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        reason = missing()
        return web.Response(text="ok\n") if reason is None else web.Response(status=503, text=f"{reason}\n")

    async def measured(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(measures.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def backlog(request: web.Request) -> web.Response:
        found = answer(request.match_info["pool"])
        if isinstance(found, Refusal):
            return web.json_response({"error": found.message}, status=found.code)
        body = {"pool": found.pool, "backlogSeconds": found.seconds, "backlogTime": found.time.isoformat()}
        return web.json_response(body)

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", measured)])
    app.add_routes([web.get("/backlog/{pool}", backlog)])
    return app

"""For those who run it: health, metrics, and the description of the API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from media_api.cluster import ClusterUnavailable
from media_api.ledger import LedgerUnavailable
from media_api.ports import PORTS
from media_api.routing import Endpoint
from media_api.storage import StorageUnavailable

STOPPING = web.AppKey("stopping", asyncio.Event)
WHOLE = web.AppKey("whole", asyncio.Event)
"""Set once PostgreSQL and object storage have both answered."""


async def healthz(_request: web.Request) -> web.Response:
    """The process answers. Dependencies are left out: starting again would not bring them back."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether requests should come here.

    Not before everything has been there once, so that a rollout with wrong settings stops. After that a dependency
    that is away is away for every replica: were they all unready, nobody would get the 503 that says when to come
    back, nor what can be answered without it. Without Kubernetes uploads are still accepted.
    """
    ports = request.app[PORTS]
    postgresql, s3, kubernetes = await asyncio.gather(
        _tried(ports.ledger.ping()), _tried(ports.storage.ping()), _tried(ports.cluster.ping())
    )
    checks = {"postgresql": postgresql, "s3": s3, "kubernetes": kubernetes}
    missing = [name for name in ("postgresql", "s3") if checks[name] != "ok"]
    if not missing:
        request.app[WHOLE].set()
    status, code = _readiness(request.app, whole_now=not missing and kubernetes == "ok")
    body = {"status": status, "missing": missing, "checks": checks}
    return web.json_response(body, status=code, headers={"Cache-Control": "no-store"})


def _readiness(app: web.Application, *, whole_now: bool) -> tuple[str, int]:
    if app[STOPPING].is_set():
        return "stopping", 503
    if not app[WHOLE].is_set():
        return "unready", 503
    return ("ready", 200) if whole_now else ("degraded", 200)


async def metrics(request: web.Request) -> web.Response:
    """For Prometheus."""
    return web.Response(body=request.app[PORTS].metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _tried(ping: Awaitable[None]) -> str:
    try:
        await ping
    except (LedgerUnavailable, StorageUnavailable, ClusterUnavailable) as error:
        return str(error)
    return "ok"


ENDPOINTS = (
    Endpoint("/healthz", healthz, "Whether the process answers", "operations", answers={200: ("It does.", None)}),
    Endpoint(
        "/readyz",
        readyz,
        "Whether everything it needs is there",
        "operations",
        answers={
            200: ("It is; or it was once, and `degraded` says that something is away.", None),
            503: ("It never was, and `missing` says what is not; or it is stopping.", None),
        },
    ),
    Endpoint("/metrics", metrics, "Metrics for Prometheus", "operations", answers={200: ("Text format.", None)}),
)

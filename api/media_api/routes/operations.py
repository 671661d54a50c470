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


async def healthz(_request: web.Request) -> web.Response:
    """The process answers. Dependencies are left out: starting again would not bring them back."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether requests should come here. Without Kubernetes uploads are still accepted: degraded, but ready."""
    ports = request.app[PORTS]
    postgresql, s3, kubernetes = await asyncio.gather(
        _tried(ports.ledger.ping()), _tried(ports.storage.ping()), _tried(ports.cluster.ping())
    )
    checks = {"postgresql": postgresql, "s3": s3, "kubernetes": kubernetes}
    missing = [name for name in ("postgresql", "s3") if checks[name] != "ok"]
    stopping = request.app[STOPPING].is_set()
    status = "stopping" if stopping else "unready" if missing else "degraded" if kubernetes != "ok" else "ready"
    body = {"status": status, "missing": missing, "checks": checks}
    return web.json_response(body, status=503 if missing or stopping else 200, headers={"Cache-Control": "no-store"})


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
        answers={200: ("It is, or only Kubernetes is missing.", None), 503: ("`missing` says what is not.", None)},
    ),
    Endpoint("/metrics", metrics, "Metrics for Prometheus", "operations", answers={200: ("Text format.", None)}),
)

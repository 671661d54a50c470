"""The application: ports in, routes out. Everything that is served is wired here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

from aiohttp import web

from media_api import auth, openapi, takeover
from media_api.backlog import Backlog
from media_api.cluster import Cluster
from media_api.creation import Creation
from media_api.ledger import Ledger
from media_api.metrics import Metrics
from media_api.middleware import MIDDLEWARES, with_headers
from media_api.ports import PORTS, Ports
from media_api.routes import assets, operations, playback, player, serving, uploads
from media_api.routes.operations import STOPPING, WHOLE
from media_api.settings import ApiSettings
from media_api.storage import Storage

_SERVED = (
    *uploads.ENDPOINTS,
    *playback.ENDPOINTS,
    *assets.ENDPOINTS,
    *serving.ENDPOINTS,
    *player.ENDPOINTS,
    *operations.ENDPOINTS,
)
ENDPOINTS = (*_SERVED, *openapi.endpoints(_SERVED))


def build_app(ports: Ports) -> web.Application:
    """The application on these ports."""
    app = web.Application(middlewares=MIDDLEWARES, client_max_size=ports.settings.max_request_bytes)
    app[PORTS] = ports
    app[STOPPING], app[WHOLE] = asyncio.Event(), asyncio.Event()
    for endpoint in ENDPOINTS:
        for method in endpoint.methods:
            app.router.add_route(method, endpoint.path, endpoint.handler)
    app.on_response_prepare.append(with_headers)
    app.cleanup_ctx.append(_taking_over)
    return app


@asynccontextmanager
async def connect(settings: ApiSettings) -> AsyncIterator[Ports]:
    """The ports by the settings; nothing has to be there yet. Raises SettingsInvalid."""
    async with AsyncExitStack() as stack:
        tokens = await auth.tokens(settings, time.monotonic)
        ledger = await Ledger.connect(settings.database_url.get_secret_value(), settings.database_connections)
        stack.push_async_callback(ledger.close)
        storage = Storage.connect(settings)
        stack.callback(storage.close)
        cluster = Cluster(settings.namespace, settings.kubeconfig, time.monotonic)
        stack.push_async_callback(cluster.close)
        most = max(settings.max_backlog, settings.max_live_assets)
        backlog, measured = Backlog(ledger, most, time.monotonic), Metrics()
        creation = Creation(backlog, cluster, measured, settings.max_live_assets)
        stack.push_async_callback(creation.close)
        yield Ports(
            settings=settings,
            ledger=ledger,
            storage=storage,
            cluster=cluster,
            creation=creation,
            tokens=tokens,
            backlog=backlog,
            metrics=measured,
            streams=asyncio.Semaphore(settings.max_streams),
            clock=utc_now,
        )


async def _taking_over(app: web.Application) -> AsyncIterator[None]:
    ports = app[PORTS]
    task = asyncio.create_task(takeover.run(ports.ledger, ports.storage, ports.settings.limits), name="takeover")
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def utc_now() -> datetime:
    """The clock of everything here."""
    return datetime.now(UTC)

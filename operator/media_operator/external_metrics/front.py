"""What the served port stands on, looked at again and again: our keyring, and the API server's front-proxy authority.

When either changes, the door is hung anew. When it is the authority, the connections that were made under the old
one are closed after the request in hand, because their clients are no longer known.
"""

from __future__ import annotations

import asyncio
import ssl

import structlog
from aiohttp import web

from media_operator.adapters.cluster import ClusterError
from media_operator.external_metrics.apiserver import ApiServer
from media_operator.external_metrics.certificates import Keyring
from media_operator.external_metrics.door import Door
from media_operator.external_metrics.identity import CONFIG_MAP, FrontProxy, FrontProxyUnknown
from media_operator.external_metrics.keeping import Keeping
from media_operator.external_metrics.measures import Measures

log = structlog.get_logger()

LOOK_SECONDS = 15.0
AGAIN_SECONDS = 1.0
DROP_SECONDS = 6.0
"""For the requests in hand; more than a review may take."""


class Front:
    """`known` is set once there is something to serve with."""

    def __init__(self, api: ApiServer, keeping: Keeping, measures: Measures, look_seconds: float) -> None:
        self._api, self._keeping, self._measures, self._look_seconds = api, keeping, measures, look_seconds
        self._hung: tuple[FrontProxy, str] | None = None
        self.door = Door()
        self.known = asyncio.Event()
        self.connections: web.AppRunner | None = None

    def front_proxy(self) -> FrontProxy:
        """As it was last read; only after `known`."""
        assert self._hung is not None
        return self._hung[0]

    async def run(self) -> None:
        """For ever. What cannot be read or written now stays as it was, and is tried again."""
        while True:
            wait = self._look_seconds
            try:
                keyring = await self._keeping.look()
                await self._hang(FrontProxy.read(await self._api.get(CONFIG_MAP)), keyring)
            except (ClusterError, FrontProxyUnknown, ssl.SSLError) as error:
                wait = self._look_seconds if self.known.is_set() else AGAIN_SECONDS
                log.warning("front_not_looked_at", error=str(error), seconds=wait)
            await asyncio.sleep(wait)

    async def _hang(self, front_proxy: FrontProxy, keyring: Keyring) -> None:
        old = self._hung
        if old == (front_proxy, keyring.chain):
            return
        self.door.hang(keyring.chain, front_proxy.authority)
        self._hung = front_proxy, keyring.chain
        self._measures.certificate_end.set(keyring.certificate.not_valid_after_utc.timestamp())
        log.info("door_hung", until=keyring.certificate.not_valid_after_utc.isoformat())
        self.known.set()
        if old is not None and old[0] != front_proxy:
            await self._drop_connections()

    async def _drop_connections(self) -> None:
        """Those that there are now. Left half closed, as `close` alone leaves them, they would never answer again."""
        server = self.connections.server if self.connections is not None else None
        connections = server.connections if server is not None else []
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.shutdown(DROP_SECONDS) for connection in connections))

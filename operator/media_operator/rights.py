"""The operator's rights in the assets' namespace, which have to outlive the assets.

When that namespace is deleted, everything in it goes at once: the assets wait for their purge, and the RoleBinding by
which the operator may carry it out goes before them. The chart therefore gives the RoleBinding a finalizer, where the
operator lives in another namespace. It is taken off here, once the last asset has gone. The role itself belongs to no
namespace, so that nothing but this one object has to be held.
"""

from __future__ import annotations

import asyncio

import structlog

from media_core.finalizers import without_finalizer
from media_core.names import RIGHTS_FINALIZER
from media_operator.adapters.cluster import Cluster, ClusterError, Kind

log = structlog.get_logger()

LOOK_SECONDS = 3.0


class Rights:
    """The RoleBinding of that name, held as long as there are assets."""

    def __init__(self, cluster: Cluster, name: str, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._cluster = cluster
        self._name = name
        self._look_seconds = look_seconds

    async def run(self) -> None:
        """Look again and again, until cancelled. Without the rights there is nothing to do but to say so once."""
        told = ""
        while True:
            try:
                await self.look()
                told = ""
            except ClusterError as error:
                if (why := str(error)) != told:
                    log.warning("rights_not_seen", role_binding=self._name, error=why)
                told = why
            await asyncio.sleep(self._look_seconds)

    async def look(self) -> bool:
        """Whether it let go, as it does when the binding is being deleted and none is left. Raises ClusterError."""
        body = await self._cluster.get(Kind.ROLE_BINDING, self._name)
        if body is None or "deletionTimestamp" not in body["metadata"]:
            return False
        async for page, _ in self._cluster.pages(Kind.ASSET):
            if page:
                return False
        return await let_go(self._cluster, self._name)


async def let_go(cluster: Cluster, name: str) -> bool:
    """Take our finalizer from the RoleBinding; whether it had it. Raises ClusterError, Conflict among them."""
    body = await cluster.get(Kind.ROLE_BINDING, name)
    patch = without_finalizer(body, RIGHTS_FINALIZER) if body is not None else None
    if patch is None:
        return False
    await cluster.merge(Kind.ROLE_BINDING, name, patch)
    log.info("rights_let_go", role_binding=name)
    return True

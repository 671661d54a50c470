"""Writing an asset's status: whole, under the version it was decided on, and the answer goes into the cache."""

from __future__ import annotations

from media_core.asset import AssetStatus, MediaAsset
from media_core.names import API_VERSION, ASSET_KIND
from media_operator import metrics
from media_operator.adapters.cluster import Cluster, Conflict, Kind, NotFound
from media_operator.world import World


class StatusWriting:
    """The scheduler's writes: where somebody was first, their word counts and the next tick decides anew."""

    def __init__(self, world: World, cluster: Cluster) -> None:
        self._world, self._cluster = world, cluster

    async def replace(self, asset: MediaAsset, status: AssetStatus) -> bool:
        """Whether the status was written; where somebody was first, their word is taken in instead."""
        try:
            body = await self._cluster.replace_status(Kind.ASSET, status_body(asset, status))
        except (Conflict, NotFound):
            metrics.CONFLICTS.inc()
            fresh = await self._cluster.get(Kind.ASSET, asset.name)
            if fresh is None:
                self._world.assets.lose(asset.name, asset.uid)
            else:
                self._world.wrote(Kind.ASSET, fresh)
            return False
        self._world.wrote(Kind.ASSET, body)
        return True


def status_body(asset: MediaAsset, status: AssetStatus) -> dict[str, object]:
    """The object to PUT on /status: the whole new status under the version it was decided on."""
    return {
        "apiVersion": API_VERSION,
        "kind": ASSET_KIND,
        "metadata": {
            "name": asset.name,
            "namespace": asset.metadata.namespace,
            "uid": asset.uid,
            "resourceVersion": asset.metadata.resource_version,
        },
        "spec": asset.spec.to_json(),
        "status": status.to_json(),
    }

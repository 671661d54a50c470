"""What an asset can have left in object storage: every key that a deletion has to purge."""

from __future__ import annotations

from media_core.asset import AssetSpec, AssetStatus
from media_core.keys import purge_keys
from media_core.pool import MediaWorkerPool
from media_core.renditions import DEFAULT_RENDITIONS, Rendition


def leavings(
    asset_id: str, spec: AssetSpec, status: AssetStatus | None, pool: MediaWorkerPool | None
) -> tuple[str, ...]:
    """The original, and the renditions of its result, of its pool as it is, and of the defaults.

    More than the result names, because a run that was cut short may have stored some and reported none.
    """
    renditions: tuple[Rendition, ...] = (*DEFAULT_RENDITIONS, *(pool.spec.renditions if pool else ()))
    names = {rendition.name for rendition in renditions}
    if status and status.result:
        names |= {variant.name for variant in status.result.variants}
    return purge_keys(spec.asset_type, spec.owner, asset_id, spec.source.key, sorted(names))

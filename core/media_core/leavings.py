"""What an asset can have left in object storage: every key, and every folder, that a deletion has to purge."""

from __future__ import annotations

from media_core.asset import AssetSpec, AssetStatus, AssetType
from media_core.keys import OriginalKey, parse, rendition_key, video_base
from media_core.pool import MediaWorkerPool
from media_core.renditions import DEFAULT_RENDITIONS, Rendition


def leavings(
    asset_id: str, spec: AssetSpec, status: AssetStatus | None, pool: MediaWorkerPool | None, bucket: str
) -> tuple[str, ...]:
    """The original, and of what is no video the renditions: of its result, of its pool as it is, and of the defaults.

    More than the result names, because a run that was cut short may have stored some and reported none. An original
    that is none of the service's own (ForeignSource) is not the service's to delete.
    """
    renditions: tuple[Rendition, ...] = (*DEFAULT_RENDITIONS, *(pool.spec.renditions if pool else ()))
    names = {rendition.name for rendition in renditions}
    if status and status.result:
        names |= {variant.name for variant in status.result.variants}
    own = spec.source.bucket == bucket and isinstance(parse(spec.source.key), OriginalKey)
    if spec.asset_type is AssetType.VIDEO:
        names.clear()
    renditions_of_it = (rendition_key(spec.asset_type, spec.owner, asset_id, name) for name in sorted(names))
    return (*((spec.source.key,) if own else ()), *renditions_of_it)


def folders(asset_id: str, spec: AssetSpec) -> tuple[str, ...]:
    """The folders to purge with all that is in them: how many segments a video has, nobody can compute."""
    return (video_base(spec.owner, asset_id),) if spec.asset_type is AssetType.VIDEO else ()

"""Proving what MediaConvert made, before anybody is told that it is there: each step asks object storage itself."""

from __future__ import annotations

from media_core import proof
from media_core.asset import MediaAsset, Result
from media_core.keys import film_key, video_base
from media_core.ladder import CAPTURED, MASTER, THUMBNAIL, VIDEO
from media_core.playlist import MOST_BYTES
from media_operator.adapters.objectstore import ObjectStore


async def prove(store: ObjectStore, asset: MediaAsset, shown: tuple[int, int]) -> Result:
    """The result of a film of that size, once all of it is there.

    Raises PlaylistBroken or ObjectMissing where it is not whole, and StoreUnavailable where object storage does not
    tell: then nothing is known yet.
    """

    def key(path: str) -> str:
        return film_key(asset.spec.owner, asset.name, path)

    files = {}
    for rung in proof.rungs(await store.text(key(MASTER), MOST_BYTES)):
        files[rung] = proof.segments(rung.name, await store.text(key(rung.path), MOST_BYTES))
        await store.size(key(files[rung][0]))
    await store.size(key(VIDEO))
    base = video_base(asset.spec.owner, asset.name)
    sizes = {found.removeprefix(base): size for found, size in (await store.sizes(base)).items()}
    if CAPTURED in sizes:
        await store.copy(key(CAPTURED), key(THUMBNAIL))
        await store.delete([key(CAPTURED)])
        sizes[THUMBNAIL] = sizes[CAPTURED]
    return proof.result(shown, files, sizes)

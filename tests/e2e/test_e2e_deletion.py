"""What goes when something is deleted: an asset with its media, a namespace full of assets."""

from __future__ import annotations

from pathlib import Path

from support.deadlines import eventually
from support.site import Site

SAMPLES = Path(__file__).parents[2] / "samples"


async def test_kubectl_delete_removes_what_the_asset_has_in_object_storage(site: Site) -> None:
    asset_id = await site.upload(SAMPLES / "sunset.jpg")
    await site.completed(asset_id)
    assert len(await site.stored(asset_id)) == 3
    original = (await site.row(asset_id) or {})["s3_key"]
    assert await site.stored(original) == [original]

    await site.kubectl("delete", "mediaasset", asset_id, "--timeout=60s")

    assert await site.stored(asset_id) == []
    assert await site.stored(original) == []
    row = await site.row(asset_id)
    assert row is not None
    assert row["state"] == "deleted"


async def test_an_asset_that_is_kept_by_its_policy_keeps_its_media(site: Site) -> None:
    asset_id = await site.upload(SAMPLES / "sunset.jpg")
    await site.completed(asset_id)
    await site.kubectl("patch", "mediaasset", asset_id, "--type=merge", "-p", '{"spec": {"deletionPolicy": "Retain"}}')

    await site.kubectl("delete", "mediaasset", asset_id, "--timeout=60s")

    assert len(await site.stored(asset_id)) == 3


async def test_what_is_deleted_by_the_api_leaves_the_cluster_too(site: Site) -> None:
    asset_id = await site.upload(SAMPLES / "sunset.jpg")
    await site.completed(asset_id)

    async with site.client() as client:
        await client.delete(asset_id)

    async def gone() -> bool:
        return await site.asset(asset_id) is None and not await site.stored(asset_id)

    await eventually(gone, 60, pause=0.2)

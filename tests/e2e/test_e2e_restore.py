"""Backup and restore of the cluster's objects. A restore drops status, and settled work is not done again (F17).

The steps are those of docs/backup.md.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from support.deadlines import eventually
from support.site import Site

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.mark.failure("F17")
@pytest.mark.timeout(240)
async def test_objects_restored_without_status_get_it_from_the_ledger_and_nothing_runs_twice(site: Site) -> None:
    asset_ids = [await site.upload(SAMPLES / name) for name in ("sunset.jpg", "coffee.png")]
    await site.completed(*asset_ids)
    await site.quiet()
    before = {asset_id: await site.status(asset_id) for asset_id in asset_ids}
    written = await _last_modified(site, asset_ids)
    backup = json.loads(await site.kubectl("get", "mediaassets", *asset_ids, "-o", "json"))

    await site.kubectl("scale", "deployment", f"{site.release}-operator", "--replicas=0")
    await eventually(lambda: _gone(site), 60, pause=0.5)
    try:
        for asset_id in asset_ids:
            await site.kubectl(
                "patch", "mediaasset", asset_id, "--type=merge", "-p", '{"metadata": {"finalizers": []}}'
            )
        await site.kubectl("delete", "mediaassets", *asset_ids, "--timeout=30s")
        for item in backup["items"]:
            for field in ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields"):
                item["metadata"].pop(field, None)
        await site.kubectl("create", "-f", "-", stdin=json.dumps(backup))
        for asset_id in asset_ids:
            assert await site.status(asset_id) == {"phase": "Pending"}, "a create drops the status"
    finally:
        await site.kubectl("scale", "deployment", f"{site.release}-operator", "--replicas=2")

    for asset_id in asset_ids:
        status = await site.phase(asset_id, "Completed", seconds=60)
        for kept in ("result", "binding", "attempts"):
            assert status[kept] == before[asset_id][kept]
    assert await _last_modified(site, asset_ids) == written, "no rendition was written again"
    await site.completed(*asset_ids)


async def _gone(site: Site) -> bool:
    return not await site.component_pods("operator")


async def _last_modified(site: Site, asset_ids: list[str]) -> dict[str, object]:
    store = await site.store()
    keys = [key for asset_id in asset_ids for key in await site.stored(asset_id)]
    client = store.client()

    def looked() -> dict[str, object]:
        return {key: client.head_object(Bucket=store.bucket, Key=key)["LastModified"] for key in keys}

    return await asyncio.to_thread(looked)

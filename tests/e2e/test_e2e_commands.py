"""media-dev's commands with a stack whose API is a pod of a node, and no process of this machine."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from media_devcluster import checkout
from support.site import Site

SAMPLES = Path(__file__).parents[2] / "samples"
SECONDS = 150.0


async def test_media_dev_uploads_to_a_real_cluster_and_says_what_came_of_it(site: Site) -> None:
    told = await _media_dev(site, "upload", "--wait", "--json", str(SAMPLES / "sunset.jpg"))
    (row,) = told["assets"]
    assert row["transcode_status"] == "COMPLETED", row
    assert {variant["name"] for variant in row["variants"]} == {"thumbnail", "medium", "large"}
    assert await site.asset(row["asset_id"]) is not None


async def test_media_dev_says_what_runs_on_a_real_cluster(site: Site) -> None:
    told = await _media_dev(site, "status", "--json")
    assert told["running"] is True


async def _media_dev(site: Site, *arguments: str) -> dict[str, Any]:
    assert site.node is not None
    folder = site.node.layout.folder.parent
    process = await asyncio.create_subprocess_exec(
        checkout.program("media-dev"),
        *arguments,
        "--data-dir",
        str(folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    told: dict[str, Any] = json.loads(out)
    return told

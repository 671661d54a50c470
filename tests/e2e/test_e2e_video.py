"""A film on the real cluster: ffmpeg as a container beside its worker, and what of it is played and deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from media_core.names import VIDEO_POOL
from media_devcluster.film import SECONDS, make
from support.clips import probed, streams
from support.deadlines import eventually
from support.site import Site


@pytest.mark.timeout(300)
async def test_a_film_is_transcoded_by_a_container_without_secrets_played_and_deleted(
    site: Site, tmp_path: Path
) -> None:
    await make(tmp_path / "clip.mp4")
    asset_id = await site.upload(tmp_path / "clip.mp4")
    pod = await eventually(lambda: _pod(site), 60, pause=0.2)
    decoder = pod["spec"]["initContainers"][0]
    assert decoder["command"] == ["media-transcoder"]
    assert "env" not in decoder
    assert "envFrom" not in decoder
    assert "token" not in {mount["name"] for mount in decoder["volumeMounts"]}

    async def underway() -> bool:
        return ((await site.status(asset_id)).get("video") or {}).get("progressPercent", 0) > 0

    await eventually(underway, 120, pause=0.2)
    await site.completed(asset_id, seconds=180)
    assert "Completed" in await site.kubectl("get", "mediaasset", asset_id, "--no-headers")
    async with site.client() as client:
        shown = await client.settled(asset_id, 10)
    stream, film, picture = (
        site.state.api_url + str(url)
        for url in (
            shown.hls_url,
            next(variant.url for variant in shown.variants if variant.name == "video"),
            shown.thumbnail_url,
        )
    )
    for url in (stream, film):
        (video,) = await asyncio.to_thread(streams, url, "video")
        assert (video["codec_name"], video["width"], video["height"]) == ("h264", 1280, 720)
        assert (await asyncio.to_thread(streams, url, "audio"))[0]["codec_name"] == "aac"
        told = await asyncio.to_thread(probed, url)
        assert float(told["format"]["duration"]) == pytest.approx(SECONDS, abs=0.5)
    (still,) = await asyncio.to_thread(streams, picture, "video")
    assert (still["width"], still["height"]) == (640, 360)

    await site.kubectl("delete", "mediaasset", asset_id, "--timeout=60s")
    assert await site.stored(asset_id) == []


async def _pod(site: Site) -> dict[str, object] | None:
    pods = await site.worker_pods(VIDEO_POOL)
    return pods[0] if pods else None

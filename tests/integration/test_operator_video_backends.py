"""Videos wait for the backend that is configured, and say for what: told on a cluster without the ffmpeg programs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_devcluster.objectstore import S3
from support.backends import PostgresServer
from support.poller_site import PollerSite, poller_site
from support.service import Object

ANY_BYTES = b"not looked at"


@pytest.fixture
async def site(postgres: PostgresServer, object_store: S3, tmp_path: Path) -> AsyncIterator[PollerSite]:
    async with poller_site(postgres, object_store, tmp_path) as running:
        yield running


async def because(site: PollerSite, asset: str, reason: str) -> Object:
    """Its summary, as soon as that is the reason."""

    def so(status: Object) -> bool:
        return any((each["type"], each["reason"]) == ("Succeeded", reason) for each in status.get("conditions", ()))

    status = await site.service.until(asset, so)
    return {**status, "told": status["conditions"][0]["message"]}


async def test_a_video_waits_for_a_backend_and_then_for_what_that_one_needs(site: PollerSite) -> None:
    await site.operator(MEDIA_VIDEO_BACKEND="none")
    asset = await site.upload(ANY_BYTES)
    assert (await because(site, asset, "NoBackend"))["phase"] == "Pending"
    await site.service.here.stop()

    site.double.faults.add("refuse", status=403)
    await site.operator()
    seen = await because(site, asset, "TranscoderMisconfigured")
    assert (seen["phase"], seen["video"]["backend"], seen.get("attempts", 0)) == ("Pending", "mediaconvert", 0)
    assert "MEDIACONVERT_ROLE_ARN" in seen["told"]
    await site.service.here.stop()

    await site.operator(MEDIA_VIDEO_BACKEND="ffmpeg")
    seen = await because(site, asset, "PoolMissing")
    assert (seen["video"], "named video" in seen["told"]) == ({"backend": "ffmpeg"}, True)
    await site.service.pool("video", replicas=0, concurrency=1, prefetch=0)
    assert "0 replicas" in (await because(site, asset, "NoFreeWorker"))["told"]


async def test_a_deleted_video_that_was_never_submitted_is_purged_at_once(site: PollerSite) -> None:
    site.double.faults.add("refuse", status=403)
    await site.operator()
    asset = await site.upload(ANY_BYTES)
    await because(site, asset, "TranscoderMisconfigured")
    await site.service.delete(asset)
    await site.service.gone(asset)
    assert site.service.stored(asset) == []
    assert site.jobs() == []

"""Videos that the cluster's own workers transcode: they go the way of images, through the pool of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from media_core.asset import AssetStatus, AssetType, MediaAsset, Phase, VideoBackend, VideoStatus
from media_core.backlog import Volume
from media_core.reasons import Reason
from media_core.statuses import bound
from media_operator.adapters.cluster import Cluster, Kind
from media_operator.events import Events
from media_operator.main import for_workers
from media_operator.scheduler import Scheduler
from media_operator.world import World
from support.build import NOW, a_pool, a_pool_body, a_status, an_asset, an_asset_body, an_id, an_image

JSON = dict[str, Any]
FILM = a_status(video=VideoStatus(backend=VideoBackend.FFMPEG))
MEGABYTE = 1_000_000


class Answers:
    """The API server for what a tick writes: it takes all of it, and remembers the Jobs."""

    namespace = "media"

    def __init__(self, world: World) -> None:
        self._world = world
        self.jobs: list[JSON] = []

    async def replace_status(self, kind: Kind, body: JSON) -> JSON:
        known = an_asset_body(self._world.assets[body["metadata"]["name"]])
        return _newer({**known, "status": body["status"]})

    async def merge(self, kind: Kind, name: str, patch: JSON, *, subresource: str) -> JSON:
        pool = self._world.pools[name]
        body = a_pool_body(pool)
        return _newer({**body, "status": {**body["status"], **patch["status"]}})

    async def create(self, kind: Kind, manifest: JSON) -> JSON:
        self.jobs.append(manifest)
        known = {"uid": an_id("job"), "resourceVersion": "9", "creationTimestamp": "2026-01-02T03:04:05Z"}
        return {**manifest, "metadata": {**manifest["metadata"], **known}, "status": {"ready": 1, "active": 1}}


def _newer(body: JSON) -> JSON:
    version = str(int(body["metadata"]["resourceVersion"]) + 1)
    return {**body, "metadata": {**body["metadata"], "resourceVersion": version}}


class Ticking:
    """A scheduler, and the world it looks at."""

    def __init__(
        self, *pools: str, unborn: Sequence[Volume] = (), backend: VideoBackend | None = VideoBackend.FFMPEG
    ) -> None:
        self.world = World()
        for pool in pools:
            body = a_pool_body(a_pool(pool, concurrency=1, prefetch=0))
            self.world.take(Kind.POOL, None, body)
        self.world.complete = True
        self.answers = Answers(self.world)
        cluster = cast(Cluster, self.answers)
        self.scheduler = Scheduler(
            self.world,
            cluster,
            Events(cluster),
            an_image(),
            clock=lambda: NOW,
            unborn=lambda: for_workers(unborn, backend),
        )

    def film(self, name: str, status: AssetStatus = FILM, **spec: Any) -> None:
        asset = an_asset(name, status, asset_type=AssetType.VIDEO, **spec)
        self.world.take(Kind.ASSET, None, an_asset_body(asset))

    def asset(self, name: str) -> MediaAsset:
        return self.world.assets[an_id(name)]

    def status(self, name: str) -> AssetStatus:
        status = self.asset(name).status
        assert status is not None
        return status


@pytest.mark.parametrize("named", ["video", "default"])
async def test_a_video_gets_a_worker_of_its_pool_and_is_bound_to_it(named: str) -> None:
    here = Ticking("default", "video")
    here.film("a", pool=named)
    await here.scheduler.tick("default")
    assert here.answers.jobs == []
    await here.scheduler.tick("video")
    (job,) = here.answers.jobs
    assert job["metadata"]["labels"]["media.docfliq.com/pool"] == "video"
    await here.scheduler.tick("video")
    status = here.status("a")
    assert (status.phase, status.assigned_job, status.binding) == (Phase.SCHEDULED, job["metadata"]["name"], 1)
    assert status.video == VideoStatus(backend=VideoBackend.FFMPEG)


async def test_a_video_that_runs_alone_gets_a_worker_of_its_own_with_twice_the_memory() -> None:
    here = Ticking("video")
    here.film("a", a_status(isolated=True, video=VideoStatus(backend=VideoBackend.FFMPEG)))
    await here.scheduler.tick("video")
    (job,) = here.answers.jobs
    assert job["metadata"]["labels"]["media.docfliq.com/isolated"] == an_id("a")


async def test_a_video_whose_pool_is_missing_is_told_so() -> None:
    here = Ticking("default")
    here.film("a")
    await here.scheduler.tick("video")
    assert here.status("a").reason == Reason.POOL_MISSING
    assert "named video" in (here.status("a").message or "")


@pytest.mark.parametrize("backend", [None, VideoBackend.MEDIACONVERT])
async def test_a_video_of_another_backend_is_no_workers(backend: VideoBackend | None) -> None:
    here = Ticking("default", "video")
    here.film("a", a_status(video=backend and VideoStatus(backend=backend)))
    for pool in ("default", "video"):
        await here.scheduler.tick(pool)
    assert here.answers.jobs == []
    assert [here.world.pools[pool].status.queued for pool in ("default", "video")] == [0, 0]


@pytest.mark.parametrize(
    ("backend", "films", "seconds"),
    [
        pytest.param(VideoBackend.FFMPEG, 1, 55, id="where ffmpeg transcodes them"),
        pytest.param(VideoBackend.MEDIACONVERT, 0, 0, id="not where MediaConvert does"),
        pytest.param(None, 0, 0, id="not where nobody does"),
    ],
)
async def test_uploads_without_an_object_count_for_the_pool_that_will_have_them(
    backend: VideoBackend | None, films: int, seconds: int
) -> None:
    unborn = [Volume(AssetType.IMAGE, 2, 2 * MEGABYTE), Volume(AssetType.VIDEO, 1, 50 * MEGABYTE)]
    here = Ticking("default", "video", unborn=unborn, backend=backend)
    for pool in ("default", "video"):
        await here.scheduler.tick(pool)
    assert here.world.pools["default"].status.queued == 2
    video = here.world.pools["video"].status
    assert (video.queued, video.backlog_seconds) == (films, seconds)


def test_a_new_binding_shows_no_progress_of_an_earlier_one() -> None:
    seen = VideoStatus(backend=VideoBackend.FFMPEG, progress_percent=60, duration_seconds=20)
    status = bound(a_status(video=seen), "video-ab12-1", NOW)
    assert status.video == seen.model_copy(update={"progress_percent": None})

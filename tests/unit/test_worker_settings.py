from __future__ import annotations

import json

from media_core.asset import AssetMeta
from media_core.manifests import WorkerImage, worker_job
from media_core.pool import MediaWorkerPool, PoolSpec
from media_core.renditions import DEFAULT_RENDITIONS, Rendition
from media_core.settings import documented
from media_worker.settings import WorkerSettings

REQUIRED = {"S3_BUCKET_MEDIA": "media-bucket", "MEDIA_JOB_NAME": "default-ab12-1"}


def test_a_worker_needs_a_bucket_and_a_job_and_nothing_else() -> None:
    settings = WorkerSettings.model_validate(REQUIRED)
    assert settings.renditions == DEFAULT_RENDITIONS
    assert settings.lifetime.hard_limit == 3600 + 2 * 1800


def test_everything_the_job_manifest_sets_is_a_setting() -> None:
    pool = MediaWorkerPool(metadata=AssetMeta(name="default", uid="ab12cd34"), spec=PoolSpec())
    container = worker_job(pool, WorkerImage("image", "account", "secret"), 1)["spec"]["template"]["spec"][
        "containers"
    ][0]
    known = {row.name for row in documented(WorkerSettings)}
    assert {entry["name"] for entry in container["env"]} <= known


def test_renditions_are_read_from_json() -> None:
    asked = json.dumps([{"name": "tiny", "size": 32}])
    settings = WorkerSettings.model_validate({**REQUIRED, "MEDIA_RENDITIONS": asked})
    assert settings.recipe.renditions == (Rendition(name="tiny", size=32),)


def test_threads_for_storage_follow_what_can_be_wanted_at_once() -> None:
    few = WorkerSettings.model_validate({**REQUIRED, "MEDIA_CONCURRENCY": "1", "MEDIA_PREFETCH": "0"})
    many = WorkerSettings.model_validate({**REQUIRED, "MEDIA_CONCURRENCY": "64"})
    assert (few.storage_threads, many.storage_threads) == (4, 32)


def test_every_setting_is_documented() -> None:
    assert [row.name for row in documented(WorkerSettings) if not row.description] == []

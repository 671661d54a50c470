from __future__ import annotations

import json
from pathlib import Path

import pytest

from media_core.asset import AssetMeta
from media_core.containers import WorkerImage
from media_core.manifests import worker_job
from media_core.names import DEFAULT_POOL, VIDEO_POOL
from media_core.pool import MediaWorkerPool, PoolSpec
from media_core.renditions import DEFAULT_RENDITIONS, Rendition
from media_core.settings import documented
from media_worker.settings import WorkerSettings

REQUIRED = {"S3_BUCKET_MEDIA": "media-bucket", "MEDIA_JOB_NAME": "default-ab12-1"}


def test_a_worker_needs_a_bucket_and_a_job_and_nothing_else() -> None:
    settings = WorkerSettings.model_validate(REQUIRED)
    assert settings.renditions == DEFAULT_RENDITIONS
    assert settings.lifetime.hard_limit == 3600 + 2 * 1800


@pytest.mark.parametrize("name", [DEFAULT_POOL, VIDEO_POOL])
def test_everything_the_job_manifest_sets_is_a_setting(name: str) -> None:
    pool = MediaWorkerPool(metadata=AssetMeta(name=name, uid="ab12cd34"), spec=PoolSpec())
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


def test_a_folder_for_films_makes_a_worker_of_films() -> None:
    settings = WorkerSettings.model_validate({**REQUIRED, "MEDIA_FILM_FOLDER": "/run/film"})
    assert settings.film_folder == Path("/run/film")
    recipe = settings.film_recipe(settings.film_folder)
    assert (recipe.bucket, recipe.max_original_bytes, recipe.max_seconds) == ("media-bucket", 5 << 30, 14_400)
    assert recipe.folder_bytes == 20 << 30


def test_every_setting_is_documented() -> None:
    assert [row.name for row in documented(WorkerSettings) if not row.description] == []

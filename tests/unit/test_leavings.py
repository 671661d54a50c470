"""What a deletion has to purge."""

from __future__ import annotations

import pytest

from media_api.settings import ApiSettings
from media_core.asset import AssetType, Source
from media_core.leavings import folders, leavings
from media_core.renditions import Rendition
from media_operator.intake import PURGE_AGAIN_SECONDS
from support.build import BUCKET, a_pool, a_source, an_asset, completed


def names(keys: tuple[str, ...]) -> list[str]:
    return [key.rsplit("/", 1)[1] for key in keys[1:]]


def test_the_original_and_every_rendition_a_run_may_have_stored_are_purged() -> None:
    asset = an_asset(status=completed())
    pool = a_pool(renditions=(Rendition(name="huge", size=4000),))
    keys = leavings(asset.name, asset.spec, asset.status, pool, BUCKET)
    assert keys[0] == asset.spec.source.key
    assert names(keys) == ["huge.webp", "large.webp", "medium.webp", "thumbnail.webp"]


def test_without_status_or_pool_the_default_renditions_are_purged() -> None:
    asset = an_asset()
    keys = leavings(asset.name, asset.spec, None, None, BUCKET)
    assert names(keys) == ["large.webp", "medium.webp", "thumbnail.webp"]


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(a_source(bucket="others"), id="in another bucket"),
        pytest.param(a_source(key="backups/everything.tar"), id="under a key of another kind"),
    ],
)
def test_an_original_that_is_not_the_services_own_is_left_where_it_is(source: Source) -> None:
    asset = an_asset(source=source)
    keys = leavings(asset.name, asset.spec, None, None, BUCKET)
    assert source.key not in keys
    assert len(keys) == 3


def test_keys_are_purged_again_only_after_every_upload_url_has_expired() -> None:
    (longest,) = (rule.le for rule in ApiSettings.model_fields["upload_url_seconds"].metadata if hasattr(rule, "le"))
    assert longest < PURGE_AGAIN_SECONDS


def test_of_a_video_the_original_and_its_whole_folder_are_purged() -> None:
    asset = an_asset(asset_type=AssetType.VIDEO)
    assert leavings(asset.name, asset.spec, None, a_pool("video"), BUCKET) == (asset.spec.source.key,)
    assert folders(asset.name, asset.spec) == (f"processed/video/user-1/{asset.name}/",)


def test_of_an_image_no_folder_is_purged() -> None:
    asset = an_asset()
    assert folders(asset.name, asset.spec) == ()

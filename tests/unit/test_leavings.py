"""What a deletion has to purge."""

from __future__ import annotations

from media_api.settings import ApiSettings
from media_core.leavings import leavings
from media_core.renditions import Rendition
from media_operator.intake import PURGE_AGAIN_SECONDS
from support.build import a_pool, an_asset, completed


def names(keys: tuple[str, ...]) -> list[str]:
    return [key.rsplit("/", 1)[1] for key in keys[1:]]


def test_the_original_and_every_rendition_a_run_may_have_stored_are_purged() -> None:
    asset = an_asset(status=completed())
    pool = a_pool(renditions=(Rendition(name="huge", size=4000),))
    keys = leavings(asset.name, asset.spec, asset.status, pool)
    assert keys[0] == asset.spec.source.key
    assert names(keys) == ["huge.webp", "large.webp", "medium.webp", "thumbnail.webp"]


def test_without_status_or_pool_the_default_renditions_are_purged() -> None:
    asset = an_asset()
    assert names(leavings(asset.name, asset.spec, None, None)) == ["large.webp", "medium.webp", "thumbnail.webp"]


def test_keys_are_purged_again_only_after_every_upload_url_has_expired() -> None:
    (longest,) = (rule.le for rule in ApiSettings.model_fields["upload_url_seconds"].metadata if hasattr(rule, "le"))
    assert longest < PURGE_AGAIN_SECONDS

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from media_core.asset import AssetType
from media_core.keys import (
    EXTENSIONS,
    OriginalKey,
    RenditionKey,
    film_key,
    original_key,
    owner_segment,
    parse,
    rendition_key,
    video_base,
)
from media_core.ladder import CAPTURED, MASTER, THUMBNAIL, VIDEO, playlist_path, segment_path
from support.build import NOW

ID = UUID("01234567-89ab-4def-8123-456789abcdef")
ORIGINAL = f"uploads/image/user-1/20260102T030405_{ID.hex}.jpg"
RENDITION = f"processed/image/user-1/{ID}/large.webp"
VARIANTS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
OWNERS = st.one_of(st.text(min_size=1, max_size=255), st.from_regex(r"(s_)?[A-Za-z0-9_-]{1,63}", fullmatch=True))
CRD = Path(__file__).parents[2] / "crds" / "mediaasset.yaml"


def test_an_original_is_named_by_time_and_asset() -> None:
    assert original_key(AssetType.IMAGE, "user-1", ID, "image/jpeg", NOW) == ORIGINAL


def test_the_time_in_a_key_is_utc() -> None:
    local = datetime.fromisoformat("2026-01-02T05:04:05+02:00")
    assert original_key(AssetType.IMAGE, "user-1", ID, "image/jpeg", local) == ORIGINAL
    assert local.astimezone(UTC) == NOW


def test_a_rendition_is_named_by_asset_and_variant() -> None:
    assert rendition_key(AssetType.IMAGE, "user-1", str(ID), "large") == RENDITION


def test_a_content_type_that_may_not_be_uploaded_has_no_key() -> None:
    with pytest.raises(KeyError):
        original_key(AssetType.IMAGE, "user-1", ID, "image/svg+xml", NOW)


@pytest.mark.parametrize(
    ("owner", "segment"),
    [
        pytest.param("user-1", "user-1", id="a plain subject is its own segment"),
        pytest.param("A" * 63, "A" * 63, id="as long as a segment may be"),
        pytest.param("A" * 64, None, id="one character too long is replaced by a digest"),
        pytest.param("../../etc", None, id="a subject that climbs is replaced by a digest"),
        pytest.param("auth0|5f7c", None, id="a subject with a bar is replaced by a digest"),
        pytest.param("user-1\n", None, id="a line end at the end is not overlooked"),
        pytest.param("élodie", None, id="letters beyond ASCII are replaced by a digest"),
        pytest.param("", None, id="no subject at all has a segment still"),
        pytest.param("s_" + "0" * 40, None, id="a subject that looks like a digest cannot take another's place"),
    ],
)
def test_an_owner_is_one_path_segment(owner: str, segment: str | None) -> None:
    found = owner_segment(owner)
    assert found == segment if segment else re.fullmatch("s_[0-9a-f]{40}", found)


@given(OWNERS, OWNERS)
@example("../user", "s_" + "0" * 40)
def test_two_owners_never_share_a_segment(one: str, other: str) -> None:
    assert (owner_segment(one) == owner_segment(other)) == (one == other)
    assert owner_segment(owner_segment("../" + one)) != owner_segment("../" + one)


@given(st.sampled_from(AssetType), OWNERS, st.uuids(), st.sampled_from(sorted(EXTENSIONS)))
def test_every_key_of_an_original_is_one_of_ours(kind: AssetType, owner: str, asset: UUID, content: str) -> None:
    key = original_key(kind, owner, asset, content, NOW)
    assert parse(key) == OriginalKey(key)
    assert len(key.split("/")) == 4


@given(st.sampled_from(AssetType), OWNERS, st.uuids(), VARIANTS)
def test_every_key_of_a_rendition_leads_back_to_its_asset(
    kind: AssetType, owner: str, asset: UUID, variant: str
) -> None:
    key = rendition_key(kind, owner, str(asset), variant)
    assert parse(key) == RenditionKey(key, kind, owner_segment(owner), asset)


@pytest.mark.parametrize("kind", AssetType)
def test_the_schema_takes_the_keys_the_core_makes(kind: AssetType) -> None:
    version = yaml.safe_load(CRD.read_text())["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    pattern = spec["properties"]["source"]["properties"]["key"]["pattern"]
    for content_type in EXTENSIONS:
        assert re.search(pattern, original_key(kind, "auth0|5f7c", ID, content_type, NOW))


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("", id="nothing"),
        pytest.param("/" + ORIGINAL, id="a leading slash"),
        pytest.param(ORIGINAL + "\n", id="a line end at the end"),
        pytest.param(ORIGINAL + "\0", id="a zero byte at the end"),
        pytest.param(ORIGINAL + "/..", id="a parent segment at the end"),
        pytest.param(f"uploads/image/../user-1/{ID.hex}.jpg", id="a parent segment between"),
        pytest.param("uploads/image/user-1/../../secret.jpg", id="a way out"),
        pytest.param("uploads/image/user-1/..jpg", id="a name of dots"),
        pytest.param("uploads/image/user-1//x.jpg", id="an empty segment"),
        pytest.param("uploads/image/./x.jpg", id="a segment that is a dot"),
        pytest.param("uploads/image/user-1/x.tar.gz", id="two extensions"),
        pytest.param("uploads/image/user-1/x", id="no extension"),
        pytest.param("uploads/image/user-1/x.JPG", id="an extension in capitals"),
        pytest.param("uploads/audio/user-1/x.mp3", id="a type that is none of ours"),
        pytest.param("UPLOADS/image/user-1/x.jpg", id="a folder in capitals"),
        pytest.param("uploads\\image\\user-1\\x.jpg", id="backslashes"),
        pytest.param("uploads/image/user-1/x%2f..%2fy.jpg", id="slashes that are still encoded"),
        pytest.param("uploads/image/user%2d1/x.jpg", id="a dash that is still encoded"),
        pytest.param("uploads/image/usér/x.jpg", id="a letter beyond ASCII"),
        pytest.param("uploads/image/user-١/x.jpg", id="a digit beyond ASCII"),
        pytest.param("uploads/image/user-1/x.jpg?versionId=1", id="a query"),
        pytest.param("uploads/image/user-1/x.jpg#y", id="a fragment"),
        pytest.param("uploads/image/" + "a" * 65 + "/x.jpg", id="an owner that is too long"),
        pytest.param("processed/image/user-1/not-an-id/large.webp", id="a rendition of no asset"),
        pytest.param(f"processed/image/user-1/{str(ID).upper()}/large.webp", id="an id in capitals"),
        pytest.param(f"processed/image/user-1/{ID.hex}/large.webp", id="an id without dashes"),
        pytest.param(f"processed/image/user-1/{ID}/../{ID}/large.webp", id="a rendition by a way around"),
        pytest.param(f"processed/image/user-1/{ID}/", id="a folder"),
        pytest.param(f"processed/video/user-1/{ID}/" + "a/" * 300 + "x.ts", id="longer than any key of ours"),
        pytest.param("https://elsewhere.test/" + ORIGINAL, id="an address"),
        pytest.param("s3://media/" + ORIGINAL, id="a bucket"),
    ],
)
def test_a_key_of_another_form_is_not_ours(key: str) -> None:
    assert parse(key) is None


FILM_PATHS = st.one_of(
    st.sampled_from((MASTER, VIDEO, THUMBNAIL)),
    st.sampled_from(("720p", "1080p", "4k", "32p")).map(playlist_path),
    st.builds(segment_path, st.sampled_from(("720p", "4k")), st.integers(0, 99_999)),
)


@given(OWNERS, st.uuids(), FILM_PATHS)
def test_every_key_of_a_film_leads_back_to_its_asset(owner: str, asset: UUID, path: str) -> None:
    key = film_key(owner, str(asset), path)
    assert key == video_base(owner, str(asset)) + path
    assert parse(key) == RenditionKey(key, AssetType.VIDEO, owner_segment(owner), asset)


def test_the_folder_of_a_film_is_its_own() -> None:
    assert video_base("user-1", str(ID)) == f"processed/video/user-1/{ID}/"
    assert ".." not in video_base("../../etc", str(ID))


def test_a_picture_that_is_not_proven_yet_has_a_key_and_is_not_served() -> None:
    assert parse(film_key("user-1", str(ID), CAPTURED)) is None


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("", id="nothing"),
        pytest.param("/video.mp4", id="a leading slash"),
        pytest.param("../video.mp4", id="a way out"),
        pytest.param("hls/../video.mp4", id="a way around"),
        pytest.param("video.mp4\n", id="a line end at the end"),
        pytest.param("hls/master_720p_1.ts", id="a segment with another number of digits"),
        pytest.param("hls/master_720P.m3u8", id="a rung in capitals"),
        pytest.param("hls/master_.m3u8", id="a rung without a name"),
        pytest.param("hls/master_720p_00001.mp4", id="a segment of another kind"),
        pytest.param("hls/720p.m3u8", id="a playlist of another name"),
        pytest.param("thumbnail.0000001.jpg", id="a second picture"),
        pytest.param("hls/master_720p_0000١.ts", id="a digit beyond ASCII"),
    ],
)
def test_a_path_that_no_ladder_gives_has_no_key(path: str) -> None:
    with pytest.raises(ValueError, match="no file of a film"):
        film_key("user-1", str(ID), path)


def test_a_video_may_have_folders_of_segments() -> None:
    key = f"processed/video/user-1/{ID}/hls/720p/segment_00001.ts"
    assert parse(key) == RenditionKey(key, AssetType.VIDEO, "user-1", ID)


@given(st.text(alphabet=st.sampled_from("upload/image.processed_-%2e\\A0٣é\n\0"), max_size=80))
@example("uploads/image/a/..%2f.jpg")
def test_what_is_ours_has_no_segment_that_leads_elsewhere(key: str) -> None:
    if parse(key) is not None:
        assert all(segment and not segment.startswith(".") for segment in key.split("/"))
        assert quote(key) == key

"""What may be uploaded, and whether it is what was announced."""

from __future__ import annotations

import pytest

from media_api.uploads import Announced, Found, Limits, content_types, refuse_announced, refuse_found
from media_core.asset import AssetType
from media_core.keys import EXTENSIONS

LIMITS = Limits(dict.fromkeys(AssetType, 1000))
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"


def found(size: int = 500, head: bytes = JPEG) -> Found:
    return Found(size, "etag", None, head)


def test_every_content_type_with_a_key_extension_belongs_to_exactly_one_type() -> None:
    accepted = [name for asset_type in AssetType for name in content_types(asset_type)]
    assert sorted(accepted) == sorted(EXTENSIONS)


@pytest.mark.parametrize(
    ("announced", "problem"),
    [
        pytest.param(Announced(AssetType.IMAGE, "image/jpeg"), None, id="a JPEG of unknown size"),
        pytest.param(Announced(AssetType.IMAGE, "image/jpeg", 1000), None, id="exactly at the limit"),
        pytest.param(Announced(AssetType.IMAGE, "image/jpeg", 1001), "too-large", id="one byte over it"),
        pytest.param(Announced(AssetType.IMAGE, "image/svg+xml"), "unsupported-content-type", id="an SVG"),
        pytest.param(Announced(AssetType.IMAGE, "application/pdf"), "unsupported-content-type", id="a PDF as image"),
        pytest.param(Announced(AssetType.SCORM, "application/zip"), None, id="a SCORM package"),
    ],
)
def test_what_may_be_uploaded(announced: Announced, problem: str | None) -> None:
    refused = refuse_announced(announced, LIMITS)
    assert (refused.kind.slug if refused else None) == problem


@pytest.mark.parametrize(
    ("announced", "seen", "problem"),
    [
        pytest.param(Announced(AssetType.IMAGE, "image/jpeg"), found(), None, id="as announced"),
        pytest.param(Announced(AssetType.IMAGE, "image/jpeg", 500), found(), None, id="of the declared size"),
        pytest.param(Announced(AssetType.IMAGE, "image/jpeg", 499), found(), "size-mismatch", id="of another size"),
        pytest.param(Announced(AssetType.IMAGE, "image/jpeg"), found(0, b""), "empty-file", id="empty"),
        pytest.param(Announced(AssetType.IMAGE, "image/jpeg"), found(1001), "too-large", id="too large"),
        pytest.param(Announced(AssetType.IMAGE, "image/png"), found(), "wrong-content", id="of another type"),
        pytest.param(
            Announced(AssetType.IMAGE, "image/jpeg"), found(9, b"<script>"), "wrong-content", id="no picture"
        ),
        pytest.param(
            Announced(AssetType.IMAGE, "image/heif"),
            found(head=b"\x00\x00\x00\x14ftypheic\x00\x00\x00\x00mif1"),
            None,
            id="HEIC under its other name",
        ),
        pytest.param(
            Announced(AssetType.SCORM, "application/x-zip-compressed"),
            found(head=b"PK\x03\x04"),
            None,
            id="an archive under its other name",
        ),
    ],
)
def test_whether_it_is_what_was_announced(announced: Announced, seen: Found, problem: str | None) -> None:
    refused = refuse_found(announced, seen, LIMITS)
    assert (refused.kind.slug if refused else None) == problem
    if refused:
        assert refused.detail.endswith(".")

"""What a file is: by its first bytes, then by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_core.asset import AssetType
from media_devcluster.guessing import Unusable, asset_type_of, guess, look_at

PNG = b"\x89PNG\r\n\x1a\n" + bytes(16)
PDF = b"%PDF-1.7\n"
ZIP = b"PK\x03\x04" + bytes(26)
MP4 = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"


@pytest.mark.parametrize(
    ("head", "name", "found"),
    [
        pytest.param(PNG, "photo.jpg", "image/png", id="the bytes win over the name"),
        pytest.param(PDF, "paper", "application/pdf", id="a name without an extension does not matter"),
        pytest.param(ZIP, "course.zip", "application/zip", id="a zip file"),
        pytest.param(MP4, "film", "video/mp4", id="a film"),
        pytest.param(b"not a picture", "photo.JPG", "image/jpeg", id="bytes that say nothing leave it to the name"),
        pytest.param(b"", "photo.heic", "image/heic", id="an empty file is what its name says"),
        pytest.param(b"abc", "notes.txt", "text/plain", id="something else is named too"),
        pytest.param(b"abc", "notes", None, id="nothing is known of it"),
    ],
)
def test_content_type(head: bytes, name: str, found: str | None) -> None:
    assert guess(head, name) == found


@pytest.mark.parametrize(
    ("content_type", "asset_type"),
    [
        ("image/avif", AssetType.IMAGE),
        ("video/quicktime", AssetType.VIDEO),
        ("application/pdf", AssetType.PDF),
        ("application/zip", AssetType.SCORM),
        ("text/plain", None),
    ],
)
def test_asset_type(content_type: str, asset_type: AssetType | None) -> None:
    assert asset_type_of(content_type) is asset_type


def test_a_missing_file_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="There is no such file"):
        look_at(tmp_path / "missing.jpg")


def test_a_folder_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="It is a folder"):
        look_at(tmp_path)


def test_a_text_is_refused_with_what_can_be_uploaded(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(Unusable, match="text/plain; images, videos, PDFs"):
        look_at(tmp_path / "notes.txt")


def test_a_file_is_announced_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(PNG)
    media = look_at(tmp_path / "photo")
    assert (media.size_bytes, media.content_type, media.asset_type) == (len(PNG), "image/png", AssetType.IMAGE)


def test_an_empty_file_is_refused_before_it_is_announced(tmp_path: Path) -> None:
    empty = tmp_path / "empty.png"
    empty.touch()
    with pytest.raises(Unusable, match=r"^The file is empty\.$"):
        look_at(empty)

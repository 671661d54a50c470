"""The contact sheet as a page."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from uuid import UUID

from fast_thumbhash import rgba_to_thumb_hash

from media_api.models import PlaybackAnswer, VariantAnswer
from media_core.asset import AssetType, TranscodeStatus
from media_devcluster.carrying import Carried
from media_devcluster.guessing import Media
from media_devcluster.sheet import Card, render, write
from media_devcluster.thumbhash import data_url

ASSET = UUID("4c1e4b6e-6d0a-4f0e-9d0c-1b1f7c0f2a11")
HASH = base64.b64encode(bytes(rgba_to_thumb_hash(4, 4, bytes([200, 30, 40, 255] * 16)))).decode()


def completed(name: str = "photo.jpg", content_type: str = "image/jpeg") -> Card:
    variant = VariantAnswer(name="large", key="k", url="/media/serve/k", width=1200, height=900, bytes=99_000)
    shown = PlaybackAnswer(
        asset_id=ASSET,
        transcode_status=TranscodeStatus.COMPLETED,
        hls_url=None,
        thumbnail_url="/media/serve/k",
        original_url="/media/serve/o",
        asset_type=AssetType.IMAGE,
        message="3 renditions are ready.",
        reason="Completed",
        variants=[variant],
        width=1600,
        height=1200,
        frames=1,
        placeholder=HASH,
        dominant_color="#c81e28",
        progress_percent=None,
        duration_seconds=None,
    )
    media = Media(Path(name), 400_000, content_type, AssetType.IMAGE)
    carried = Carried(Path(name), TranscodeStatus.COMPLETED, "", str(ASSET), media, shown, seconds=0.5)
    return Card(carried, "media/001/original.jpg", {"large": "media/001/large.webp"})


class Links(HTMLParser):
    """Everything the page refers to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_refers_to_nothing_but_files_beside_it() -> None:
    links = Links(render([completed()])).found
    assert "media/001/original.jpg" in links
    assert "media/001/large.webp" in links
    assert all(link.startswith(("media/", "data:image/png;base64,")) for link in links)


def test_the_page_shows_sizes_colour_and_time() -> None:
    page = render([completed()])
    for text in ("1600 × 1200", "1200 × 900", "99 kB (25%)", "#c81e28", "completed in 0.50 s"):
        assert text in page


def test_a_failed_file_is_shown_with_its_reason() -> None:
    row = Carried(Path("bad.jpg"), TranscodeStatus.FAILED, "The image cannot be decoded: it is truncated.")
    page = render([Card(row, None, {})])
    assert "The image cannot be decoded: it is truncated." in page
    assert "0 of 1 completed" in page


def test_a_hostile_file_name_is_text_and_no_markup() -> None:
    page = render([completed(name='"><script>alert(1).jpg')])
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_an_original_that_browsers_do_not_show_is_stood_in_for_by_its_rendition() -> None:
    page = render([completed("photo.heic", "image/heic")])
    assert "HEIC original: shown is its rendition" in page
    assert re.search(r'<img src="media/001/large.webp" alt="its largest rendition"', page)


def test_a_placeholder_becomes_a_picture() -> None:
    url = data_url(HASH)
    assert url is not None
    assert base64.b64decode(url.partition(",")[2]).startswith(b"\x89PNG")


def test_a_placeholder_that_is_none_is_left_out() -> None:
    assert data_url("AA==") is None
    assert data_url("not base64!") is None


def test_the_page_is_written_as_index_html(tmp_path: Path) -> None:
    assert write(tmp_path, [completed()]).read_text(encoding="utf-8").startswith("<!doctype html>")
    assert (tmp_path / "index.html").exists()

"""Video in media-dev: how it is called, what the sheet shows of a film, and that its page tells the true ladder."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest
from click.testing import CliRunner

from media_api.models import PlaybackAnswer, VariantAnswer
from media_core.asset import AssetType, TranscodeStatus
from media_core.ladder import Film, ladder
from media_devcluster.carrying import Carried
from media_devcluster.cli import _with_backend, main
from media_devcluster.guessing import Media
from media_devcluster.mediaconvert import starting
from media_devcluster.sheet import Card, render

PAGE = Path(__file__).resolve().parents[2] / "docs/video.md"


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        pytest.param(["--video"], ["--video=mediaconvert"], id="alone it is the double"),
        pytest.param(["--video", "a.mp4"], ["--video=mediaconvert", "a.mp4"], id="a file behind it stays a file"),
        pytest.param(["--video", "--json"], ["--video=mediaconvert", "--json"], id="so does an option"),
        pytest.param(["--video", "ffmpeg"], ["--video", "ffmpeg"], id="a backend that is named is that"),
        pytest.param(["--video=ffmpeg", "a.mp4"], ["--video=ffmpeg", "a.mp4"], id="also with an equals sign"),
        pytest.param(["a.jpg"], ["a.jpg"], id="without it nothing changes"),
    ],
)
def test_video_may_stand_without_a_backend(given: list[str], meant: list[str]) -> None:
    assert _with_backend(given) == meant


def test_a_double_does_not_go_with_a_local_cluster(tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["up", "--cluster", "local", "--video", "--data-dir", str(tmp_path)])
    assert refused.exit_code == 2
    assert "--cluster local takes --video ffmpeg" in refused.output


def test_the_operator_is_told_of_the_double() -> None:
    told = starting.environment("http://127.0.0.1:9")
    assert told["MEDIACONVERT_ENDPOINT"] == "http://127.0.0.1:9"
    assert told["MEDIACONVERT_ROLE_ARN"].startswith("arn:aws:iam::")


def film_card() -> Card:
    made = [("720p", "hls/master_720p.m3u8"), ("video", "video.mp4"), ("thumbnail", "thumbnail.jpg")]
    variants = [
        VariantAnswer(name=name, key=key, url=f"/media/serve/{key}", width=1280, height=720, bytes=900_000)
        for name, key in made
    ]
    shown = PlaybackAnswer(
        asset_id=UUID("4c1e4b6e-6d0a-4f0e-9d0c-1b1f7c0f2a11"),
        transcode_status=TranscodeStatus.COMPLETED,
        hls_url="/media/stream/hls/master.m3u8",
        thumbnail_url="/media/serve/thumbnail.jpg",
        original_url="/media/serve/o",
        asset_type=AssetType.VIDEO,
        message=None,
        reason="Completed",
        variants=variants,
        width=1280,
        height=720,
        frames=None,
        placeholder=None,
        dominant_color=None,
        progress_percent=None,
        duration_seconds=20,
    )
    media = Media(Path("film.mp4"), 4_000_000, "video/mp4", AssetType.VIDEO)
    carried = Carried(Path("film.mp4"), TranscodeStatus.COMPLETED, "", "id", media, shown, seconds=9.5)
    files = {"video": "media/001/video.mp4", "thumbnail": "media/001/thumbnail.jpg"}
    return Card(carried, "media/001/original.mp4", files)


def test_the_sheet_plays_a_film_and_shows_its_thumbnail_and_every_rung() -> None:
    page = render([film_card()])
    assert '<video src="media/001/original.mp4" controls preload="metadata" poster="media/001/thumbnail.jpg">' in page
    assert '<img src="media/001/thumbnail.jpg"' in page
    assert 'href="media/001/video.mp4"' in page
    assert "<b>720p</b><br>1280 × 720" in page
    assert "20 s" in page


def test_the_ladder_on_the_page_is_the_ladder() -> None:
    table = (
        PAGE.read_text(encoding="utf-8").partition("<!-- ladder: begin -->")[2].partition("<!-- ladder: end -->")[0]
    )
    told = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \|$", table, re.MULTILINE)
    rungs = ladder(Film(3840, 2160, has_audio=True))
    assert told == [(r.name, str(r.height), str(r.max_bitrate), str(r.audio_bitrate)) for r in rungs]

"""A film from upload to playback on the local stack, by either backend."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from media_core.asset import TranscodeStatus, VideoBackend
from media_core.keys import video_base
from media_devcluster.carrying import carry_all
from media_devcluster.client import Client
from media_devcluster.film import SECONDS, make
from media_devcluster.stack import Plan, Stack
from support.clips import probed, streams

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
USER = "ada"
WAIT_SECONDS = 200.0


class Heard:
    """The states a file was seen in, and what was said of it."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.sentences: list[str] = []

    def sent(self, file: Path, done: int, total: int) -> None:
        """Not of interest."""

    def now(self, file: Path, state: str) -> None:
        if state not in self.states:
            self.states.append(state)

    def said(self, file: Path, sentence: str) -> None:
        if sentence not in self.sentences:
            self.sentences.append(sentence)


def downloaded(s3: Any, bucket: str, prefix: str, folder: Path) -> list[str]:
    """All objects below the prefix as files; their names relative to it."""
    found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    names = [item["Key"].removeprefix(prefix) for item in found]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, prefix + name, str(folder / name))
    return names


@pytest.mark.parametrize("backend", VideoBackend)
async def test_a_film_is_completed_and_every_rung_the_mp4_and_the_thumbnail_can_be_read(backend: VideoBackend) -> None:
    with TemporaryDirectory(prefix="film-") as name:
        folder = Path(name)
        await make(folder / "clip.mp4")
        heard = Heard()
        async with Stack(Plan(folder / "stack", video=backend)) as stack:
            async with Client(stack.state.api_url, stack.token(USER)) as client:
                (row,) = await carry_all(client, [folder / "clip.mp4"], wait_seconds=WAIT_SECONDS, progress=heard)
            assert row.status is TranscodeStatus.COMPLETED, row
            assert heard.states[-3:] == ["pending", "processing", "completed"]
            assert row.asset_id is not None
            assert row.playback is not None
            assert str(row.playback.hls_url).endswith("/hls/master.m3u8")
            assert str(row.playback.thumbnail_url).endswith("/thumbnail.jpg")
            assert stack.store is not None
            s3, bucket = stack.store.client(), stack.store.bucket
            made = folder / "made"
            names = await asyncio.to_thread(downloaded, s3, bucket, video_base(USER, row.asset_id), made)

        assert {path for path in names if not path.endswith(".ts")} == {
            "hls/master.m3u8",
            "hls/master_720p.m3u8",
            "thumbnail.jpg",
            "video.mp4",
        }
        for path in ("hls/master_720p.m3u8", "video.mp4"):
            (picture,) = streams(made / path, "video")[:1]
            assert (picture["codec_name"], picture["width"], picture["height"]) == ("h264", 1280, 720)
            assert streams(made / path, "audio")[0]["codec_name"] == "aac"
            assert float(probed(made / path)["format"]["duration"]) == pytest.approx(SECONDS, abs=0.5)
        (still,) = streams(made / "thumbnail.jpg", "video")
        assert (still["width"], still["height"]) == (640, 360)
        assert [variant.name for variant in row.playback.variants] == ["720p", "video", "thumbnail"]
        assert all(variant.bytes > 0 for variant in row.playback.variants)

"""What a whole film looks like in object storage, and what is missing from one that is not."""

from __future__ import annotations

import pytest

from media_core import proof
from media_core.asset import Variant
from media_core.playlist import PlaylistBroken
from media_core.proof import Listed

SHOWN = (720, 1280)
RUNG = Listed("720p", 720, 1280)
FIRST, SECOND = "hls/master_720p_00001.ts", "hls/master_720p_00002.ts"
SIZES = {FIRST: 100, SECOND: 50, "video.mp4": 70, "thumbnail.jpg": 7}


def master(*lines: str) -> str:
    return "\n".join(("#EXTM3U", *lines, ""))


def test_the_rungs_are_those_the_master_names() -> None:
    text = master(
        "#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=720x1280",
        "master_720p.m3u8",
        "#EXT-X-STREAM-INF:BANDWIDTH=2,RESOLUTION=1080x1920",
        "master_1080p.m3u8",
    )
    assert proof.rungs(text) == (RUNG, Listed("1080p", 1080, 1920))
    assert RUNG.path == "hls/master_720p.m3u8"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param(master("#EXT-X-STREAM-INF:BANDWIDTH=1", "master_720p.m3u8"), id="a rung without a size"),
        pytest.param(
            master("#EXT-X-STREAM-INF:BANDWIDTH=1,RESOLUTION=1x1", "../../others/master_720p.m3u8"),
            id="a rung elsewhere",
        ),
    ],
)
def test_a_master_is_broken_that_is(text: str) -> None:
    with pytest.raises(PlaylistBroken):
        proof.rungs(text)


def test_the_segments_are_those_the_playlist_names() -> None:
    text = master("#EXTINF:4,", "master_720p_00001.ts", "#EXTINF:4,", "master_720p_00002.ts", "#EXT-X-ENDLIST")
    assert proof.segments("720p", text) == (FIRST, SECOND)


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(("#EXTINF:4,", "master_720p_00001.ts"), id="without an end"),
        pytest.param(("#EXT-X-ENDLIST",), id="without a segment"),
        pytest.param(("#EXTINF:4,", "master_1080p_00001.ts", "#EXT-X-ENDLIST"), id="of another rung's segments"),
        pytest.param(("#EXTINF:4,", "http://elsewhere/1.ts", "#EXT-X-ENDLIST"), id="of somebody else's segments"),
    ],
)
def test_a_playlist_is_broken_that_is(lines: tuple[str, ...]) -> None:
    with pytest.raises(PlaylistBroken):
        proof.segments("720p", master(*lines))


def test_the_result_is_the_film_as_shown_and_all_that_was_made_of_it() -> None:
    result = proof.result(SHOWN, {RUNG: (FIRST, SECOND)}, SIZES)
    assert (result.width, result.height) == (720, 1280)
    assert result.variants == (
        Variant(name="720p", width=720, height=1280, bytes=150),
        Variant(name="video", width=720, height=1280, bytes=70),
        Variant(name="thumbnail", width=360, height=640, bytes=7),
    )


def test_a_film_is_not_whole_without_each_of_its_rungs() -> None:
    with pytest.raises(PlaylistBroken, match="does not name 1080p"):
        proof.result((1080, 1920), {RUNG: (FIRST, SECOND)}, SIZES)


@pytest.mark.parametrize("path", sorted(SIZES))
@pytest.mark.parametrize("empty", [True, False])
def test_a_film_is_not_whole_without_each_of_its_files(path: str, empty: bool) -> None:
    sizes = {**SIZES, path: 0} if empty else {known: size for known, size in SIZES.items() if known != path}
    with pytest.raises(PlaylistBroken, match=path):
        proof.result(SHOWN, {RUNG: (FIRST, SECOND)}, sizes)

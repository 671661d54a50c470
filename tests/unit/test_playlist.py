from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.playlist import MediaPlaylist, PlaylistBroken, Segment, Variant, parse_master, parse_media

MASTER = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-STREAM-INF:BANDWIDTH=5500000,AVERAGE-BANDWIDTH=3000000,CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720
master_720p.m3u8
#EXT-X-STREAM-INF:RESOLUTION=1920x1080,CODECS="avc1.640028,mp4a.40.2",FRAME-RATE=25.000,BANDWIDTH=9000000
master_1080p.m3u8
"""
MEDIA = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:1
#EXT-X-PLAYLIST-TYPE:VOD
#EXTINF:4,
master_720p_00001.ts
#EXTINF:2.48,a title
master_720p_00002.ts
#EXT-X-ENDLIST
"""
VARIANTS = (
    Variant("master_720p.m3u8", 5_500_000, (1280, 720)),
    Variant("master_1080p.m3u8", 9_000_000, (1920, 1080)),
)
FILM = MediaPlaylist((Segment("master_720p_00001.ts", 4.0), Segment("master_720p_00002.ts", 2.48)), ended=True)


def test_a_master_names_its_variants() -> None:
    assert parse_master(MASTER) == VARIANTS


def test_a_media_playlist_names_its_segments() -> None:
    assert parse_media(MEDIA) == FILM
    assert FILM.seconds == pytest.approx(6.48)


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda text: text.replace("\n", "\r\n"), id="line ends of another system"),
        pytest.param(lambda text: "\ufeff" + text, id="a byte order mark"),
        pytest.param(lambda text: text.replace("\n", "\n\n"), id="empty lines"),
        pytest.param(lambda text: text.replace("\n", "  \n"), id="spaces at the end of lines"),
        pytest.param(lambda text: text.rstrip("\n"), id="no line end at the end"),
        pytest.param(lambda text: text.replace(":3\n", ':3\n#EXT-X-NEW:A="1"\n# a remark\n'), id="tags nobody knows"),
    ],
)
def test_a_playlist_may_be_written_in_several_ways(written: Callable[[str], str]) -> None:
    assert parse_master(written(MASTER)) == VARIANTS
    assert parse_media(written(MEDIA)) == FILM


def test_a_variant_need_not_tell_its_size() -> None:
    (variant,) = parse_master("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8")
    assert variant == Variant("a.m3u8", 1, None)


def test_a_size_inside_a_quoted_value_is_not_the_size() -> None:
    (variant,) = parse_master('#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,NAME="x,RESOLUTION=1x1"\na.m3u8')
    assert variant.resolution is None


def test_a_playlist_without_an_end_is_one_that_goes_on() -> None:
    assert not parse_media(MEDIA.replace("#EXT-X-ENDLIST\n", "")).ended
    assert parse_media("#EXTM3U\n") == MediaPlaylist((), ended=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "does not begin", id="nothing"),
        pytest.param("<html>", "does not begin", id="another kind of text"),
        pytest.param("#EXTM3U8\n", "does not begin", id="another beginning"),
        pytest.param(MEDIA, "is a media playlist", id="a media playlist"),
        pytest.param("#EXTM3U\n", "names no variant", id="no variant"),
        pytest.param("#EXTM3U\na.m3u8\n", "not described", id="an address alone"),
        pytest.param("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n", "last variant", id="cut short"),
        pytest.param(
            "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n#EXT-X-STREAM-INF:BANDWIDTH=2\na.m3u8",
            "A variant has no address",
            id="a variant without an address",
        ),
        pytest.param("#EXTM3U\n#EXT-X-STREAM-INF:CODECS=x\na.m3u8", "bandwidth", id="a variant without a bandwidth"),
        pytest.param("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=-1\na.m3u8", "bandwidth", id="a negative bandwidth"),
        pytest.param("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=٣\na.m3u8", "bandwidth", id="digits beyond ASCII"),
    ],
)
def test_what_is_no_master_is_refused(text: str, told: str) -> None:
    with pytest.raises(PlaylistBroken, match=told):
        parse_master(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", "does not begin", id="nothing"),
        pytest.param(MASTER, "is a master", id="a master"),
        pytest.param("#EXTM3U\n#EXT-X-ENDLIST\n", "names no segment", id="ended without a segment"),
        pytest.param("#EXTM3U\na.ts\n", "has no length", id="an address alone"),
        pytest.param("#EXTM3U\n#EXTINF:4,\n", "last segment", id="cut short"),
        pytest.param("#EXTM3U\n#EXTINF:4,\n#EXTINF:4,\na.ts", "A segment has no address", id="no address"),
        pytest.param("#EXTM3U\n#EXTINF:nan,\na.ts", "no length of a segment", id="a length that is no number"),
        pytest.param("#EXTM3U\n#EXTINF:,\na.ts", "no length of a segment", id="no length"),
        pytest.param("#EXTM3U\n#EXTINF:-4,\na.ts", "no length of a segment", id="a negative length"),
    ],
)
def test_what_is_no_media_playlist_is_refused(text: str, told: str) -> None:
    with pytest.raises(PlaylistBroken, match=told):
        parse_media(text)


LINES = st.sampled_from(("#EXTM3U", "#EXTINF:4,", "#EXT-X-STREAM-INF:BANDWIDTH=1", "a.ts", "#EXT-X-ENDLIST", "", "#"))
TEXTS = st.one_of(st.text(), st.lists(st.one_of(LINES, st.text(max_size=9)), max_size=9).map("\n".join))


@given(TEXTS.map(lambda text: "#EXTM3U\n" + text))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_master, parse_media):
        with suppress(PlaylistBroken):
            assert parse(text)

"""Films over the API: playback in every state, playlists and segments passed through, and who may have them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urljoin, urlsplit

import asyncpg
import pytest

from media_core.ladder import Film
from media_core.names import DEFAULT_POOL, VIDEO_POOL
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from support import films
from support.api_site import ALICE, JPEG, ApiSite, api_site

MP4 = b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isomavc1" + bytes(400)
FILM = Film(1920, 1080, 0, 8.0, has_audio=True)
SEGMENT = b"\x47" + bytes(187)
FILES = {
    "hls/master.m3u8": films.master(films.ladder(FILM)).encode(),
    **{
        f"hls/master_{rung}.m3u8": (
            "#EXTM3U\n#EXT-X-TARGETDURATION:4\n"
            f"#EXTINF:4,\nmaster_{rung}_00001.ts\n#EXTINF:4,\nmaster_{rung}_00002.ts\n#EXT-X-ENDLIST\n"
        ).encode()
        for rung in ("720p", "1080p")
    },
    **{f"hls/master_{rung}_0000{number}.ts": SEGMENT * number for rung in ("720p", "1080p") for number in (1, 2)},
    "video.mp4": MP4,
    "thumbnail.jpg": JPEG,
}
PAGE = "https://app.example.org"


@pytest.fixture
async def asset_id(api: ApiSite) -> str:
    """A film that was uploaded."""
    asked = await api.upload(MP4, asset_type="VIDEO", content_type="video/mp4", original_filename="holiday.mp4")
    return str(asked.json["asset_id"])


@pytest.fixture
async def base(api: ApiSite, asset_id: str, database: asyncpg.Connection, s3: object) -> str:
    """The same, transcoded; where its files are."""
    await films.settled(database, s3, api.store.bucket, asset_id, FILM, FILES)
    return f"processed/video/{ALICE}/{asset_id}/"


@pytest.fixture
async def open_api(database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster) -> AsyncIterator[ApiSite]:
    """An API that pages of another origin may use."""
    async with api_site(database_url, object_store, embedded_cluster, MEDIA_CORS_ORIGINS=PAGE) as site:
        yield site


async def test_a_film_that_waits_is_played_by_its_original(api: ApiSite, asset_id: str) -> None:
    played = (await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)).json
    assert list(played)[:5] == ["asset_id", "transcode_status", "hls_url", "thumbnail_url", "original_url"]
    assert (played["transcode_status"], played["hls_url"], played["thumbnail_url"]) == ("PENDING", None, None)
    assert played["original_url"].startswith(f"/media/serve/uploads/video/{ALICE}/")
    assert played["original_url"].endswith(".mp4")


async def test_a_film_that_is_processed_tells_how_far_it_is(
    api: ApiSite, asset_id: str, database: asyncpg.Connection
) -> None:
    await films.processing(database, asset_id, 40)
    played = (await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)).json
    assert (played["transcode_status"], played["progress_percent"], played["hls_url"]) == ("PROCESSING", 40, None)
    assert played["original_url"]
    assert played["variants"] == []


async def test_a_film_that_failed_says_why_and_still_has_its_original(
    api: ApiSite, asset_id: str, database: asyncpg.Connection
) -> None:
    await database.execute(
        "UPDATE media.assets SET state = 'settled', transcode_status = 'FAILED', reason = 'Undecodable', "
        "message = 'It has no picture.', settled_at = now(), "
        """status = '{"phase": "Failed", "video": {"progressPercent": 40}}' WHERE id = $1""",
        asset_id,
    )
    played = (await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)).json
    assert (played["transcode_status"], played["hls_url"], played["message"]) == ("FAILED", None, "It has no picture.")
    assert played["progress_percent"] is None
    assert played["original_url"]


async def test_a_film_that_is_completed_has_stream_thumbnail_mp4_and_every_rung(
    api: ApiSite, asset_id: str, base: str
) -> None:
    played = (await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)).json
    assert played["transcode_status"] == "COMPLETED"
    assert played["hls_url"] == f"/media/stream/{base}hls/master.m3u8"
    assert played["thumbnail_url"] == f"/media/serve/{base}thumbnail.jpg"
    assert played["original_url"].startswith("/media/serve/uploads/video/")
    assert {variant["name"]: variant["url"] for variant in played["variants"]} == {
        "720p": f"/media/stream/{base}hls/master_720p.m3u8",
        "1080p": f"/media/stream/{base}hls/master_1080p.m3u8",
        "video": f"/media/serve/{base}video.mp4",
        "thumbnail": f"/media/serve/{base}thumbnail.jpg",
    }
    assert (played["width"], played["height"], played["duration_seconds"]) == (1920, 1080, 8)
    assert (played["frames"], played["progress_percent"]) == (None, None)


@pytest.mark.parametrize("root", ["", "/api/v1"], ids=["short path", "long path"])
async def test_a_player_that_follows_relative_urls_gets_every_byte_of_every_rung(
    api: ApiSite, base: str, root: str
) -> None:
    master = f"{root}/media/stream/{base}hls/master.m3u8"
    segments: list[bytes] = []
    for playlist in named((await api.call("GET", master, owner=None)).body, master):
        assert urlsplit(playlist).path.startswith(f"{root}/media/stream/")
        for segment in named((await api.call("GET", playlist, owner=None)).body, playlist):
            answer = await api.call("GET", segment, owner=None)
            assert (answer.status, answer.headers["Content-Type"]) == (200, "video/mp2t")
            segments.append(answer.body)
    assert segments == [SEGMENT, SEGMENT * 2] * 2


def named(playlist: bytes, its_url: str) -> list[str]:
    """What a playlist names, as a player resolves it."""
    return [urljoin(its_url, line) for line in playlist.decode().splitlines() if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("path", "content_type", "cache"),
    [
        ("hls/master.m3u8", "application/vnd.apple.mpegurl", "public, max-age=10"),
        ("hls/master_720p.m3u8", "application/vnd.apple.mpegurl", "public, max-age=10"),
        ("hls/master_720p_00002.ts", "video/mp2t", "public, max-age=300, immutable"),
        ("video.mp4", "video/mp4", "public, max-age=300"),
        ("thumbnail.jpg", "image/jpeg", "public, max-age=300"),
    ],
)
async def test_each_file_has_its_type_and_no_cache_may_keep_it_longer_than_five_minutes(
    api: ApiSite, base: str, path: str, content_type: str, cache: str
) -> None:
    for method in ("GET", "HEAD"):
        answer = await api.call(method, f"/media/stream/{base}{path}", owner=None)
        assert (answer.status, answer.headers["Content-Type"]) == (200, content_type)
        assert answer.headers["Cache-Control"] == cache
        assert answer.headers["Content-Length"] == str(len(FILES[path]))
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        known = {"If-None-Match": answer.headers["ETag"]}
        assert (await api.call(method, f"/media/stream/{base}{path}", owner=None, headers=known)).status == 304


async def test_a_part_of_a_segment_is_sent_alone(api: ApiSite, base: str) -> None:
    path = f"/media/stream/{base}hls/master_720p_00002.ts"
    part = await api.call("GET", path, owner=None, headers={"Range": "bytes=0-3"})
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, SEGMENT[:4], "bytes 0-3/376")


@pytest.mark.parametrize("kind", ["serve", "stream"])
async def test_no_other_file_beside_the_film_is_handed_out(api: ApiSite, base: str, s3: object, kind: str) -> None:
    others = {
        "a rung it does not name": "hls/master_4k.m3u8",
        "a segment of such a rung": "hls/master_4k_00001.ts",
        "a segment by another name": "hls/master_720p_1.ts",
        "the picture as it was captured": "thumbnail.0000000.jpg",
        "another picture": "poster.jpg",
        "another film": "hls/video.mp4",
        "another playlist": "hls/other.m3u8",
        "a page": "hls/index.html",
        "an image's rendition": "thumbnail.webp",
    }
    for path in others.values():
        s3.put_object(Bucket=api.store.bucket, Key=base + path, Body=b"secret")  # type: ignore[attr-defined]
    for what, path in others.items():
        assert (await api.call("GET", f"/media/{kind}/{base}{path}", owner=None)).status == 404, what
    foreign = f"{base.replace(ALICE, 'bob')}hls/master.m3u8"
    assert (await api.call("GET", f"/media/{kind}/{foreign}", owner=None)).status == 404


async def test_nothing_of_a_film_is_handed_out_before_it_is_completed(
    api: ApiSite, base: str, asset_id: str, database: asyncpg.Connection
) -> None:
    await films.processing(database, asset_id, 99)
    for path in FILES:
        assert (await api.call("GET", f"/media/stream/{base}{path}", owner=None)).status == 404, path


@pytest.mark.failure("F16")
async def test_nothing_of_a_film_is_handed_out_after_its_deletion(api: ApiSite, base: str, asset_id: str) -> None:
    assert (await api.call("DELETE", f"/api/v1/media/assets/{asset_id}")).status == 202
    for path in FILES:
        for kind in ("serve", "stream"):
            assert (await api.call("GET", f"/media/{kind}/{base}{path}", owner=None)).status == 404, path
    assert (await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)).status == 404


async def test_pages_of_a_configured_origin_may_read_playlists_and_segments_and_others_may_not(
    open_api: ApiSite, database: asyncpg.Connection, s3: object
) -> None:
    asked = await open_api.upload(MP4, asset_type="VIDEO", content_type="video/mp4", original_filename="a.mp4")
    await films.settled(database, s3, open_api.store.bucket, asked.json["asset_id"], FILM, FILES)
    base = f"/media/stream/processed/video/{ALICE}/{asked.json['asset_id']}/hls/"
    for path in ("master.m3u8", "master_720p.m3u8", "master_720p_00001.ts", "missing.ts"):
        welcome = await open_api.call("GET", base + path, owner=None, headers={"Origin": PAGE})
        assert welcome.headers["Access-Control-Allow-Origin"] == PAGE, path
        assert "Content-Range" in welcome.headers["Access-Control-Expose-Headers"]
        stranger = await open_api.call("GET", base + path, owner=None, headers={"Origin": "https://evil.example"})
        assert "Access-Control-Allow-Origin" not in stranger.headers, path
        assert "Origin" in stranger.headers["Vary"], "a cache must not give one page what it has for another"
    wanted = {"Origin": PAGE, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "range"}
    asked_first = await open_api.call("OPTIONS", base + "master_720p_00001.ts", owner=None, headers=wanted)
    assert asked_first.status == 204
    assert "Range" in asked_first.headers["Access-Control-Allow-Headers"]


@pytest.mark.parametrize(
    ("fields", "content", "pool"),
    [
        ({"asset_type": "VIDEO", "content_type": "video/mp4", "original_filename": "a.mp4"}, MP4, VIDEO_POOL),
        ({}, JPEG, DEFAULT_POOL),
    ],
    ids=["a film: to those who can transcode", "an image: to the others"],
)
async def test_the_object_goes_to_the_pool_that_knows_its_type(
    api: ApiSite, fields: dict[str, str], content: bytes, pool: str
) -> None:
    asked = await api.upload(content, **fields)
    made = await api.object_of(asked.json["asset_id"])
    assert made is not None
    assert made["spec"]["pool"] == pool

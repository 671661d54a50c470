"""Playback, redirects to files, and files passed through."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg
import pytest
from yarl import URL

from media_core.asset import AssetType
from media_core.keys import rendition_key
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from support.api_site import ALICE, JPEG, ApiSite, api_site
from support.deadlines import eventually
from support.s3_faults import FaultyS3, gets

WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(1000)
RESULT = {
    "width": 4000,
    "height": 3000,
    "frames": 1,
    "placeholder": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    "dominantColor": "#a1b2c3",
    "variants": [
        {"name": "thumbnail", "width": 150, "height": 113, "bytes": len(WEBP)},
        {"name": "medium", "width": 600, "height": 450, "bytes": len(WEBP)},
    ],
    "recipeVersion": 1,
}


async def completed(api: ApiSite, database: asyncpg.Connection, s3: Any) -> tuple[str, str]:
    """A completed image with its renditions in the bucket; its id, and the key of the thumbnail."""
    asset_id: str = (await api.upload()).json["asset_id"]
    status = {"phase": "Completed", "binding": 1, "result": RESULT}
    await database.execute(
        "UPDATE media.assets SET state = 'settled', transcode_status = 'COMPLETED', status = $2, settled_at = now(), "
        "reason = 'Completed', message = 'Two renditions were made.' WHERE id = $1",
        asset_id,
        json.dumps(status),
    )
    for name in ("thumbnail", "medium", "secret"):
        key = rendition_key(AssetType.IMAGE, ALICE, asset_id, name)
        s3.put_object(Bucket=api.store.bucket, Key=key, Body=WEBP, ContentType="text/html")
    return asset_id, rendition_key(AssetType.IMAGE, ALICE, asset_id, "thumbnail")


async def test_playback_of_a_completed_image_has_the_seeds_keys_first_and_everything_a_page_needs(
    api: ApiSite, database: asyncpg.Connection, s3: Any
) -> None:
    asset_id, thumbnail = await completed(api, database, s3)
    played = await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)
    assert played.status == 200
    assert list(played.json)[:5] == ["asset_id", "transcode_status", "hls_url", "thumbnail_url", "original_url"]
    assert played.json["transcode_status"] == "COMPLETED"
    assert played.json["thumbnail_url"] == f"/media/serve/{thumbnail}"
    assert played.json["original_url"].startswith("/media/serve/uploads/image/alice/")
    assert played.json["hls_url"] is None
    assert (played.json["width"], played.json["height"], played.json["frames"]) == (4000, 3000, 1)
    assert (played.json["dominant_color"], played.json["placeholder"]) == ("#a1b2c3", RESULT["placeholder"])
    assert played.json["variants"][0] == {
        "name": "thumbnail",
        "key": thumbnail,
        "url": f"/media/serve/{thumbnail}",
        "width": 150,
        "height": 113,
        "bytes": len(WEBP),
    }


async def test_playback_of_an_image_that_waits_says_so(api: ApiSite) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    played = await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)
    assert (played.json["transcode_status"], played.json["variants"], played.json["width"]) == ("PENDING", [], None)
    assert played.json["message"].endswith(".")


async def test_urls_are_absolute_where_a_public_base_is_set(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    base = "https://cdn.example.org"
    async with api_site(database_url, object_store, embedded_cluster, MEDIA_PUBLIC_BASE_URL=f"{base}/") as api:
        asset_id = (await api.upload()).json["asset_id"]
        played = await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)
        assert played.json["original_url"].startswith(f"{base}/media/serve/uploads/image/")


@pytest.mark.parametrize("root", ["", "/api/v1"], ids=["short path", "long path"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_image_is_served_by_a_redirect_that_forces_type_and_disposition(
    api: ApiSite, root: str, method: str
) -> None:
    asked = await api.upload(original_filename='Grüße "1".jpg')
    served = await api.call(method, f"{root}/media/serve/{asked.json['s3_key']}", owner=None)
    assert served.status == 302
    query = parse_qs(urlsplit(served.headers["Location"]).query)
    assert query["response-content-type"] == ["image/jpeg"]
    assert query["response-content-disposition"] == [
        "inline; filename=\"Gr__e _1_.jpg\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%221%22.jpg"
    ]
    max_age = int(served.headers["Cache-Control"].removeprefix("private, max-age="))
    assert max_age < int(query["X-Amz-Expires"][0])
    assert served.headers["Referrer-Policy"] == "no-referrer"
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert served.body == b""


async def test_the_redirect_leads_to_the_bytes(api: ApiSite) -> None:
    asked = await api.upload()
    served = await api.call("GET", f"/media/serve/{asked.json['s3_key']}", owner=None)
    async with api.http.get(served.headers["Location"]) as answer:
        assert await answer.read() == JPEG
        assert answer.headers["Content-Type"] == "image/jpeg"


@pytest.mark.parametrize(
    ("asset_type", "content_type", "content"),
    [("PDF", "application/pdf", b"%PDF-1.7"), ("SCORM", "application/zip", b"PK\x03\x04rest")],
)
async def test_documents_and_packages_are_served_as_attachments(
    api: ApiSite, asset_type: str, content_type: str, content: bytes
) -> None:
    asked = await api.upload(content, asset_type=asset_type, content_type=content_type)
    key = asked.json["s3_key"]
    query = parse_qs(urlsplit((await api.call("GET", f"/media/serve/{key}")).headers["Location"]).query)
    assert query["response-content-type"] == [content_type]
    assert query["response-content-disposition"][0].startswith("attachment;")
    streamed = await api.call("GET", f"/media/stream/{key}")
    assert streamed.headers["Content-Disposition"].startswith("attachment;")
    assert streamed.body == content


async def test_renditions_are_webp_whatever_object_storage_says(
    api: ApiSite, database: asyncpg.Connection, s3: Any
) -> None:
    _, thumbnail = await completed(api, database, s3)
    query = parse_qs(urlsplit((await api.call("GET", f"/media/serve/{thumbnail}")).headers["Location"]).query)
    assert query["response-content-type"] == ["image/webp"]
    streamed = await api.call("GET", f"/media/stream/{thumbnail}", owner=None)
    assert (streamed.status, streamed.headers["Content-Type"], streamed.body) == (200, "image/webp", WEBP)
    assert streamed.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("kind", ["serve", "stream"])
async def test_only_what_a_row_vouches_for_is_handed_out(
    api: ApiSite, database: asyncpg.Connection, s3: Any, kind: str
) -> None:
    asset_id, thumbnail = await completed(api, database, s3)
    draft = await api.ask()
    s3.put_object(Bucket=api.store.bucket, Key=draft.json["s3_key"], Body=JPEG)
    s3.put_object(Bucket=api.store.bucket, Key="uploads/image/alice/foreign.jpg", Body=JPEG)
    original = (await api.call("GET", f"/api/v1/media/assets/{asset_id}")).json["s3_key"]
    refused = {
        "a draft": draft.json["s3_key"],
        "a key without a row": "uploads/image/alice/foreign.jpg",
        "a rendition the status does not name": thumbnail.replace("thumbnail", "secret"),
        "another owner's folder": thumbnail.replace("/alice/", "/bob/"),
        "another type's folder": thumbnail.replace("/image/", "/video/"),
        "a rendition of another form": thumbnail.replace(".webp", ".html"),
        "nothing": "",
        "another prefix": "private/secrets.txt",
        "traversal": f"uploads/image/alice/../alice/{original.rpartition('/')[2]}",
        "encoded traversal": f"uploads/image/alice/%2e%2e/alice/{original.rpartition('/')[2]}",
        "double slash": original.replace("/alice/", "//alice/"),
        "encoded twice": quote(quote(original, safe=""), safe=""),
        "a NUL": original + "%00",
        "a backslash": original.replace("/", "%5c"),
        "bytes that are no UTF-8": "uploads/%ff",
        "a long key": "uploads/image/alice/" + "a" * 600 + ".jpg",
    }
    for what, key in refused.items():
        answer = await api.http.get(_raw(f"{api.url}/media/{kind}/{key}"), allow_redirects=False)
        async with answer:
            assert answer.status == 404, what
            assert (await answer.json(content_type=None))["type"].endswith("/not-found"), what
    once = await api.http.get(_raw(f"{api.url}/media/{kind}/{quote(original, safe='')}"), allow_redirects=False)
    async with once:
        assert once.status == (302 if kind == "serve" else 200), "encoded once is the same key"


@pytest.mark.failure("F16")
@pytest.mark.parametrize("kind", ["serve", "stream"])
async def test_nothing_of_a_deleted_asset_is_handed_out(
    api: ApiSite, database: asyncpg.Connection, s3: Any, kind: str
) -> None:
    asset_id, thumbnail = await completed(api, database, s3)
    original = (await api.call("GET", f"/api/v1/media/assets/{asset_id}")).json["s3_key"]
    await api.call("DELETE", f"/api/v1/media/assets/{asset_id}")
    for key in (thumbnail, original):
        assert (await api.call("GET", f"/media/{kind}/{key}")).status == 404


CONTENT = JPEG + bytes(range(256)) * 2000
ETAG = f'"{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}"'


@pytest.mark.parametrize(
    ("sent", "status", "part"),
    [
        pytest.param({}, 200, slice(None), id="no range: all of it"),
        pytest.param({"Range": "bytes=0-0"}, 206, slice(0, 1), id="the first byte"),
        pytest.param({"Range": "bytes=100-299999"}, 206, slice(100, 300_000), id="the middle, over several chunks"),
        pytest.param({"Range": "bytes=1000-"}, 206, slice(1000, None), id="from there on"),
        pytest.param({"Range": "bytes=-10"}, 206, slice(-10, None), id="the last bytes"),
        pytest.param({"Range": "bytes=10-99999999"}, 206, slice(10, None), id="beyond the end: up to the end"),
        pytest.param({"Range": "bytes=0-1,5-6"}, 200, slice(None), id="several ranges: all of it"),
        pytest.param({"Range": "lines=1-2"}, 200, slice(None), id="another unit: all of it"),
        pytest.param({"Range": "bytes=0-9", "If-Range": ETAG}, 206, slice(0, 10), id="a range of this version"),
        pytest.param({"Range": "bytes=0-9", "If-Range": '"old"'}, 200, slice(None), id="a range of another version"),
        pytest.param({"If-None-Match": '"other"'}, 200, slice(None), id="another version is cached"),
    ],
)
async def test_ranges_of_a_stream(api: ApiSite, sent: dict[str, str], status: int, part: slice) -> None:
    key = (await api.upload(CONTENT)).json["s3_key"]
    streamed = await api.call("GET", f"/media/stream/{key}", headers=sent, owner=None)
    assert streamed.status == status
    assert streamed.body == CONTENT[part]
    assert streamed.headers["ETag"] == ETAG
    assert streamed.headers["Content-Length"] == str(len(CONTENT[part]))
    if status == 206:
        first, last, _ = part.indices(len(CONTENT))
        assert streamed.headers["Content-Range"] == f"bytes {first}-{last - 1}/{len(CONTENT)}"


async def test_a_range_behind_the_end_is_refused_with_the_size(api: ApiSite) -> None:
    key = (await api.upload(CONTENT)).json["s3_key"]
    refused = await api.call("GET", f"/media/stream/{key}", headers={"Range": f"bytes={len(CONTENT)}-"})
    assert (refused.status, refused.problem) == (416, "range-not-satisfiable")
    assert refused.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


async def test_what_the_client_has_already_is_not_sent_again(api: ApiSite) -> None:
    key = (await api.upload(CONTENT)).json["s3_key"]
    for known in (ETAG, f'"x", W/{ETAG}', "*"):
        streamed = await api.call("GET", f"/api/v1/media/stream/{key}", headers={"If-None-Match": known})
        assert (streamed.status, streamed.body, streamed.headers["ETag"]) == (304, b"", ETAG)


async def test_head_of_a_stream_tells_everything_and_sends_nothing(api: ApiSite) -> None:
    key = (await api.upload(CONTENT)).json["s3_key"]
    asked = await api.call("HEAD", f"/media/stream/{key}", headers={"Range": "bytes=0-1"}, owner=None)
    assert (asked.status, asked.body) == (200, b"")
    assert asked.headers["Content-Length"] == str(len(CONTENT))
    assert asked.headers["Content-Type"] == "image/jpeg"
    assert asked.headers["Accept-Ranges"] == "bytes"


async def test_a_file_that_is_gone_from_object_storage_is_not_found(api: ApiSite, s3: Any) -> None:
    key = (await api.upload()).json["s3_key"]
    s3.delete_object(Bucket=api.store.bucket, Key=key)
    assert (await api.call("GET", f"/media/stream/{key}")).problem == "not-found"


async def test_a_client_that_does_not_read_holds_the_stream_back_and_lets_go_of_it_when_it_leaves(
    api: ApiSite,
) -> None:
    large = JPEG + bytes(32 << 20)
    key = (await api.upload(large)).json["s3_key"]
    host, port = urlsplit(api.url).hostname, urlsplit(api.url).port
    _, writer = await asyncio.open_connection(host, port, limit=1024)
    writer.write(f"GET /media/stream/{key} HTTP/1.1\r\nHost: media\r\n\r\n".encode())
    await writer.drain()
    await eventually(lambda: sample(api, "media_api_streams") == 1)
    passed = await _settled(lambda: sample(api, "media_api_streamed_bytes_total"))
    assert passed < len(large) / 2
    writer.transport.abort()
    await eventually(lambda: sample(api, "media_api_streams") == 0)


async def test_more_streams_than_allowed_are_refused_for_now(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with api_site(database_url, object_store, embedded_cluster, MEDIA_MAX_STREAMS=1) as api:
        key = (await api.upload(JPEG + bytes(32 << 20))).json["s3_key"]
        async with api.http.get(f"{api.url}/media/stream/{key}") as first:
            assert first.status == 200
            refused = await api.call("GET", f"/media/stream/{key}")
            assert (refused.status, refused.problem) == (503, "too-many-streams")
            assert refused.headers["Retry-After"]


async def test_a_stream_that_breaks_on_the_way_breaks_the_connection_and_does_not_look_complete(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with (
        FaultyS3(object_store.endpoint) as faulty,
        api_site(database_url, object_store, embedded_cluster, AWS_ENDPOINT_URL_S3=faulty.url) as api,
    ):
        key = (await api.upload(JPEG + bytes(4 << 20))).json["s3_key"]
        faulty.cut(lambda call: gets(call) and call.key.endswith(".jpg"))
        with pytest.raises(Exception, match=r"(?i)payload|disconnected|reset|closed"):
            await api.call("GET", f"/media/stream/{key}")


async def test_object_storage_that_fails_is_said_to_be_away(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with (
        FaultyS3(object_store.endpoint) as faulty,
        api_site(database_url, object_store, embedded_cluster, AWS_ENDPOINT_URL_S3=faulty.url) as api,
    ):
        asked = await api.ask()
        await api.put(asked, JPEG)
        faulty.fail(503)
        refused = await api.confirm(asked.json["asset_id"])
        assert (refused.status, refused.problem) == (503, "storage-unavailable")
        assert refused.headers["Retry-After"]
        unready = await api.call("GET", "/readyz", owner=None)
        assert (unready.status, unready.json["missing"]) == (503, ["s3"])
        faulty.heal()
        assert (await api.confirm(asked.json["asset_id"])).status == 202


def sample(api: ApiSite, name: str) -> float:
    """A series without labels, as it is exposed now."""
    lines = api.ports.metrics.exposition().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


async def _settled(look: Any, still_for: float = 0.5) -> float:
    """The value once it has not changed for that long."""
    loop = asyncio.get_running_loop()
    value, since = look(), loop.time()
    deadline = since + 20

    def quiet() -> bool:
        nonlocal value, since
        if (now := look()) != value:
            value, since = now, loop.time()
        return loop.time() - since >= still_for or loop.time() > deadline

    await eventually(quiet, seconds=25)
    return float(value)


def _raw(url: str) -> Any:
    return URL(url, encoded=True)

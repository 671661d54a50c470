"""Uploads over real HTTP, PostgreSQL, S3 and the embedded cluster."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from media_api.creation import AT_ONCE
from media_core.keys import OriginalKey, parse
from media_core.names import PURGE_FINALIZER
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.embedded.faults import Effect
from media_devcluster.objectstore import S3
from support.api_site import ALICE, BOB, JPEG, PNG, ApiSite, api_site


async def test_an_upload_is_answered_with_everything_the_client_needs_to_put_the_file(api: ApiSite) -> None:
    asked = await api.ask()
    assert asked.status == 201
    assert list(asked.json) == ["asset_id", "upload_url", "s3_key", "expires_in", "method", "required_headers"]
    assert asked.json["expires_in"] == 900
    assert asked.json["method"] == "PUT"
    assert asked.json["required_headers"] == {"Content-Type": "image/jpeg", "If-None-Match": "*"}
    assert isinstance(parse(asked.json["s3_key"]), OriginalKey)
    assert asked.json["s3_key"].startswith("uploads/image/alice/")


async def test_the_signature_binds_type_size_checksum_and_that_nothing_is_overwritten(api: ApiSite) -> None:
    digest = hashlib.sha256(JPEG)
    asked = await api.ask(size_bytes=len(JPEG), sha256=digest.hexdigest())
    query = parse_qs(urlsplit(asked.json["upload_url"]).query)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host;if-none-match;x-amz-checksum-sha256"]
    assert asked.json["required_headers"] == {
        "Content-Type": "image/jpeg",
        "If-None-Match": "*",
        "Content-Length": str(len(JPEG)),
        "x-amz-checksum-sha256": base64.b64encode(digest.digest()).decode(),
    }


async def test_the_url_takes_one_file_and_no_second(api: ApiSite) -> None:
    asked = await api.ask()
    assert await api.put(asked, JPEG) == 200
    assert await api.put(asked, PNG) == 412


async def test_a_presigned_url_names_the_endpoint_that_clients_see(database_url: str, object_store: S3) -> None:
    public = "https://files.example.org"
    async with api_site(database_url, object_store, None, MEDIA_S3_PUBLIC_ENDPOINT_URL=public) as api:
        assert (await api.ask()).json["upload_url"].startswith(f"{public}/{object_store.bucket}/uploads/image/alice/")


async def test_a_confirmed_upload_becomes_an_object_made_of_its_row(
    api: ApiSite, database: asyncpg.Connection, s3: Any
) -> None:
    asked = await api.upload()
    asset_id = asked.json["asset_id"]
    row = await database.fetchrow("SELECT * FROM media.assets WHERE id = $1", asset_id)
    assert (row["state"], row["size_bytes"], row["content_type"]) == ("confirmed", len(JPEG), "image/jpeg")
    made = await api.object_of(asset_id)
    assert made is not None
    assert made["metadata"]["finalizers"] == [PURGE_FINALIZER]
    assert made["spec"]["owner"] == ALICE
    stored = s3.head_object(Bucket=api.store.bucket, Key=asked.json["s3_key"])
    assert made["spec"]["source"] == {
        "bucket": api.store.bucket,
        "key": asked.json["s3_key"],
        "etag": stored["ETag"].strip('"'),
        "sizeBytes": len(JPEG),
        "contentType": "image/jpeg",
    }


async def test_confirming_again_is_harmless_in_every_later_state(api: ApiSite, database: asyncpg.Connection) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    again = await api.confirm(asset_id)
    assert (again.status, again.json["transcode_status"]) == (202, "PENDING")
    await database.execute(
        "UPDATE media.assets SET state = 'settled', transcode_status = 'FAILED', reason = 'Undecodable' WHERE id = $1",
        asset_id,
    )
    settled = await api.confirm(asset_id)
    assert (settled.status, settled.json["transcode_status"]) == (202, "FAILED")
    assert settled.json["reason"] == "Undecodable"
    assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "settled"


async def test_two_confirms_at_once_create_one_object(
    api: ApiSite, database: asyncpg.Connection, embedded_cluster: EmbeddedCluster
) -> None:
    asked = await api.ask()
    await api.put(asked, JPEG)
    asset_id = asked.json["asset_id"]
    answers = await asyncio.gather(*(api.confirm(asset_id) for _ in range(8)))
    assert {answer.status for answer in answers} == {202}
    made = await api.object_of(asset_id)
    assert made is not None
    assert made["metadata"]["generation"] == 1
    exposed = (await api.call("GET", "/metrics")).body.decode()
    assert 'media_api_confirms_total{outcome="confirmed"} 1.0' in exposed


async def test_a_new_put_between_two_confirms_does_not_change_what_was_confirmed(
    api: ApiSite, database: asyncpg.Connection, s3: Any
) -> None:
    asked = await api.upload()
    asset_id = asked.json["asset_id"]
    before = await database.fetchrow("SELECT etag, size_bytes FROM media.assets WHERE id = $1", asset_id)
    s3.put_object(Bucket=api.store.bucket, Key=asked.json["s3_key"], Body=PNG)
    assert (await api.confirm(asset_id)).status == 202
    assert await database.fetchrow("SELECT etag, size_bytes FROM media.assets WHERE id = $1", asset_id) == before
    made = await api.object_of(asset_id)
    assert made is not None
    assert made["spec"]["source"]["etag"] == before["etag"]
    streamed = await api.call("GET", f"/media/stream/{asked.json['s3_key']}")
    assert streamed.status == 404, "bytes that were never checked are not handed out"


async def test_a_file_that_is_not_there_yet_can_be_confirmed_later(api: ApiSite) -> None:
    asked = await api.ask()
    early = await api.confirm(asked.json["asset_id"])
    assert (early.status, early.problem) == (409, "not-uploaded")
    await api.put(asked, JPEG)
    assert (await api.confirm(asked.json["asset_id"])).status == 202


async def test_a_file_exchanged_before_confirm_is_judged_by_what_is_there_now(api: ApiSite, s3: Any) -> None:
    asked = await api.ask(size_bytes=len(JPEG))
    s3.put_object(Bucket=api.store.bucket, Key=asked.json["s3_key"], Body=JPEG)
    s3.put_object(Bucket=api.store.bucket, Key=asked.json["s3_key"], Body=JPEG + b"more")
    refused = await api.confirm(asked.json["asset_id"])
    assert (refused.status, refused.problem) == (422, "size-mismatch")
    assert (refused.json["declared"], refused.json["actual"]) == (len(JPEG), len(JPEG) + 4)


@pytest.mark.parametrize(
    ("content", "fields", "problem"),
    [
        pytest.param(b"", {}, "empty-file", id="a file of 0 bytes"),
        pytest.param(PNG, {}, "wrong-content", id="a PNG that was declared a JPEG"),
        pytest.param(b"<html><script>alert(1)</script>", {}, "wrong-content", id="a page that was declared a JPEG"),
        pytest.param(b"GIF89a" + bytes(50), {"content_type": "image/webp"}, "wrong-content", id="a GIF as WebP"),
        pytest.param(
            b"PK\x03\x04" + bytes(50),
            {"asset_type": "PDF", "content_type": "application/pdf"},
            "wrong-content",
            id="an archive that was declared a PDF",
        ),
    ],
)
async def test_a_file_that_is_not_what_was_announced_is_refused_and_stays_a_draft(
    api: ApiSite, database: asyncpg.Connection, s3: Any, content: bytes, fields: dict[str, str], problem: str
) -> None:
    asked = await api.ask(**fields)
    s3.put_object(Bucket=api.store.bucket, Key=asked.json["s3_key"], Body=content)
    refused = await api.confirm(asked.json["asset_id"])
    assert (refused.status, refused.problem) == (422, problem)
    assert refused.json["detail"].endswith(".")
    state = await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asked.json["asset_id"])
    assert state == "pending"
    assert await api.object_of(asked.json["asset_id"]) is None


async def test_a_file_over_the_limit_is_refused_with_limit_and_size(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with api_site(database_url, object_store, embedded_cluster, MEDIA_MAX_IMAGE_BYTES=1000) as api:
        declared = await api.ask(size_bytes=1001)
        assert (declared.status, declared.problem) == (422, "too-large")
        assert (declared.json["limit"], declared.json["actual"]) == (1000, 1001)
        asked = await api.ask()
        await api.put(asked, JPEG)
        found = await api.confirm(asked.json["asset_id"])
        assert (found.status, found.problem) == (422, "too-large")
        assert (found.json["limit"], found.json["actual"]) == (1000, len(JPEG))


@pytest.mark.parametrize(
    ("fields", "problem", "field"),
    [
        pytest.param({"asset_type": "AUDIO"}, "invalid-request", "asset_type", id="an unknown type"),
        pytest.param({"asset_type": None}, "invalid-request", "asset_type", id="no type"),
        pytest.param({"content_type": "jpeg"}, "invalid-request", "content_type", id="no content type at all"),
        pytest.param({"content_type": "image/svg+xml"}, "unsupported-content-type", None, id="SVG"),
        pytest.param({"content_type": "video/mp4"}, "unsupported-content-type", None, id="a video as an image"),
        pytest.param({"original_filename": ""}, "invalid-request", "original_filename", id="no file name"),
        pytest.param({"original_filename": "a\x00b"}, "invalid-request", "original_filename", id="a NUL in the name"),
        pytest.param({"original_filename": "x" * 256}, "invalid-request", "original_filename", id="a long name"),
        pytest.param({"size_bytes": 0}, "invalid-request", "size_bytes", id="a size of 0"),
        pytest.param({"size_bytes": "12"}, "invalid-request", "size_bytes", id="a size that is a text"),
        pytest.param({"sha256": "abc"}, "invalid-request", "sha256", id="a digest that is none"),
    ],
)
async def test_a_bad_request_for_an_upload_is_refused_with_the_field(
    api: ApiSite, database: asyncpg.Connection, fields: dict[str, Any], problem: str, field: str | None
) -> None:
    refused = await api.ask(**fields)
    assert (refused.status, refused.problem) == (422, problem)
    if field:
        assert [error["field"] for error in refused.json["errors"]] == [field]
        assert all(error["message"].endswith(".") for error in refused.json["errors"])
    assert await database.fetchval("SELECT count(*) FROM media.assets") == 0


async def test_a_body_that_is_not_json_is_refused(api: ApiSite) -> None:
    refused = await api.call("POST", "/api/v1/media/upload", data=b"{asset_type: IMAGE}")
    assert (refused.status, refused.problem) == (400, "malformed-json")


async def test_a_body_over_the_limit_is_refused_with_the_limit(api: ApiSite) -> None:
    refused = await api.call("POST", "/api/v1/media/upload", data=b"x" * 70_000)
    assert (refused.status, refused.problem, refused.json["limit"]) == (413, "request-too-large", 65536)


async def test_somebody_elses_upload_cannot_be_confirmed(api: ApiSite) -> None:
    asked = await api.ask(BOB)
    await api.put(asked, JPEG)
    refused = await api.confirm(asked.json["asset_id"], ALICE)
    assert (refused.status, refused.problem) == (404, "not-found")
    assert (await api.confirm(str(uuid4()))).status == 404
    assert (await api.confirm(asked.json["asset_id"], BOB)).status == 202


async def test_an_id_that_is_none_is_refused_at_confirm(api: ApiSite) -> None:
    refused = await api.confirm("42")
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "asset_id")


@pytest.mark.parametrize(
    ("asset_type", "content_type", "content"),
    [
        ("VIDEO", "video/mp4", b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + bytes(64)),
        ("PDF", "application/pdf", b"%PDF-1.7\n" + bytes(64)),
        ("SCORM", "application/zip", b"PK\x03\x04" + bytes(64)),
    ],
)
async def test_every_type_is_accepted(api: ApiSite, asset_type: str, content_type: str, content: bytes) -> None:
    asked = await api.upload(content, asset_type=asset_type, content_type=content_type)
    made = await api.object_of(asked.json["asset_id"])
    assert made is not None
    assert made["spec"]["assetType"] == asset_type


async def test_beyond_the_live_limit_the_object_is_left_to_the_operator(
    database_url: str, database: asyncpg.Connection, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with api_site(database_url, object_store, embedded_cluster) as roomy:
        await roomy.upload()
    async with api_site(database_url, object_store, embedded_cluster, MEDIA_MAX_LIVE_ASSETS=1) as api:
        asset_id = (await api.upload()).json["asset_id"]
        assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "confirmed"
        assert await api.object_of(asset_id) is None


async def test_a_full_backlog_refuses_new_uploads_but_no_confirm(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with api_site(database_url, object_store, embedded_cluster) as roomy:
        waiting = await roomy.ask()
        await roomy.put(waiting, JPEG)
        await roomy.upload()
    async with api_site(database_url, object_store, embedded_cluster, MEDIA_MAX_BACKLOG=1) as api:
        refused = await api.ask()
        assert (refused.status, refused.problem) == (429, "backlog-full")
        assert int(refused.headers["Retry-After"]) > 0
        assert (refused.json["limit"], refused.json["actual"]) == (1, 1)
        assert (await api.confirm(waiting.json["asset_id"])).status == 202


@pytest.mark.failure("F12")
async def test_an_api_server_that_is_away_does_not_keep_an_upload_from_being_confirmed(
    api: ApiSite, database: asyncpg.Connection, embedded_cluster: EmbeddedCluster
) -> None:
    asked = await api.ask()
    await api.put(asked, JPEG)
    asset_id = asked.json["asset_id"]
    embedded_cluster.faults.go_down()
    try:
        confirmed = await api.confirm(asset_id)
    finally:
        embedded_cluster.faults.come_back()
    assert (confirmed.status, confirmed.json["transcode_status"]) == (202, "PENDING")
    assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "confirmed"
    assert await api.object_of(asset_id) is None


@pytest.mark.failure("F12")
async def test_an_api_server_that_says_nothing_keeps_no_confirm_waiting(
    api: ApiSite, embedded_cluster: EmbeddedCluster
) -> None:
    fault = embedded_cluster.faults.add(Effect.LATENCY, verbs=("create",), resource="mediaassets", seconds=30)
    confirm = "/api/v1/media/upload/confirm"
    try:
        for _ in range(3):
            asked = await api.ask()
            await api.put(asked, JPEG)
            async with asyncio.timeout(0.8):  # a create has a second
                assert (await api.call("POST", confirm, json={"asset_id": asked.json["asset_id"]})).status == 202
        await api.ports.creation.settled()
    finally:
        embedded_cluster.faults.remove(fault)
    exposed = (await api.call("GET", "/metrics")).body.decode()
    assert 'media_api_objects_total{outcome="cluster-unavailable"} 3.0' in exposed


async def test_more_objects_at_once_than_the_limit_are_left_to_the_operator(
    api: ApiSite, embedded_cluster: EmbeddedCluster, database: asyncpg.Connection
) -> None:
    fault = embedded_cluster.faults.add(Effect.LATENCY, verbs=("create",), resource="mediaassets", seconds=30)
    row = await api.ports.ledger.own(UUID((await api.ask()).json["asset_id"]), ALICE)
    assert row is not None
    try:
        for _ in range(AT_ONCE + 1):
            api.ports.creation.begin(row)
        await api.ports.creation.settled()
    finally:
        embedded_cluster.faults.remove(fault)
    exposed = (await api.call("GET", "/metrics")).body.decode()
    assert 'media_api_objects_total{outcome="busy"} 1.0' in exposed


async def test_an_object_that_is_there_already_is_a_success(api: ApiSite, database: asyncpg.Connection) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    made = await api.object_of(asset_id)
    assert made is not None
    await database.execute("UPDATE media.assets SET state = 'pending' WHERE id = $1", asset_id)
    assert (await api.confirm(asset_id)).status == 202
    again = await api.object_of(asset_id)
    assert again is not None
    assert again["metadata"]["uid"] == made["metadata"]["uid"]
    exposed = (await api.call("GET", "/metrics")).body.decode()
    assert 'media_api_objects_total{outcome="created"} 2.0' in exposed


async def test_an_object_made_although_the_answer_was_lost_is_as_good(
    api: ApiSite, embedded_cluster: EmbeddedCluster
) -> None:
    asked = await api.ask()
    await api.put(asked, JPEG)
    embedded_cluster.faults.add(Effect.LOSE_ANSWER, verbs=("create",), resource="mediaassets", times=1)
    assert (await api.confirm(asked.json["asset_id"])).status == 202
    assert await api.object_of(asked.json["asset_id"]) is not None


@pytest.mark.failure("F12")
async def test_an_api_server_that_fails_leaves_the_object_to_the_operator(
    api: ApiSite, database: asyncpg.Connection, embedded_cluster: EmbeddedCluster
) -> None:
    asked = await api.ask()
    await api.put(asked, JPEG)
    embedded_cluster.faults.add(Effect.SERVER_ERROR, verbs=("create",), resource="mediaassets", times=1)
    asset_id = asked.json["asset_id"]
    assert (await api.confirm(asset_id)).status == 202
    assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "confirmed"
    assert await api.object_of(asset_id) is None


async def test_a_deleted_upload_cannot_be_confirmed(api: ApiSite) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    assert (await api.call("DELETE", f"/api/v1/media/assets/{asset_id}")).status == 202
    assert (await api.confirm(asset_id)).status == 404

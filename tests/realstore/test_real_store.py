"""The service's own storage code against a real S3 server, which checks signatures, conditions and checksums."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import boto3
import pytest
from yarl import URL

from media_api import storage as api_storage
from media_api.selftest import SelftestFailed, SelftestSettings, run
from media_api.settings import ApiSettings
from media_core.asset import Source
from media_core.reasons import Reason
from media_devcluster.objectstore import S3
from media_devcluster.stack import Plan, Stack
from media_operator.adapters.objectstore import ObjectStore
from media_operator.settings import OperatorSettings
from media_worker import transfer
from media_worker.calls import SourceRefused
from support.api_site import api_site, token
from support.backends import postgres_server
from support.deadlines import eventually
from support.originals import content

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 64
TYPE = "image/jpeg"


def digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


def settings(store: S3, **more: str) -> ApiSettings:
    needed = {"MEDIA_DATABASE_URL": "postgresql://nobody@127.0.0.1/none", "MEDIA_JWT_SECRET": "x" * 32}
    return ApiSettings(**{**store.environment, **needed, **more})


@pytest.fixture
def key() -> str:
    return f"uploads/image/alice/20260102T030405_{uuid4().hex}.jpg"


@pytest.fixture(scope="module")
def api(store: S3) -> Iterator[api_storage.Storage]:
    made = api_storage.Storage.connect(settings(store))
    yield made
    made.close()


@pytest.fixture(scope="module")
def worker(store: S3) -> Iterator[transfer.Storage]:
    session = boto3.Session(aws_access_key_id=store.access_key, aws_secret_access_key=store.secret_key)
    client = transfer.s3_client(store.region, store.endpoint, 4, session)
    made = transfer.Storage(client, store.bucket, 4, patience_seconds=2, fetch_seconds=10)
    yield made
    made.close()


@pytest.fixture(scope="module")
def operator(store: S3) -> Iterator[ObjectStore]:
    needed = {"MEDIA_DATABASE_URL": "postgresql://nobody@127.0.0.1/none", "MEDIA_WORKER_IMAGE": "media-worker"}
    made = ObjectStore.connect(OperatorSettings(**{**store.environment, **needed}))
    yield made
    made.close()


@pytest.fixture(scope="module")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


Answered = tuple[int, Mapping[str, str], bytes]


async def send(
    http: aiohttp.ClientSession, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answered:
    """As a client of the service does: what is signed is sent, and nothing of the URL is written anew."""
    kept = {name: value for name, value in (headers or {}).items() if name != "Content-Length"}
    async with http.request(
        method, URL(url, encoded=True), headers=kept, data=body if method == "PUT" else None
    ) as answer:
        return answer.status, answer.headers, await answer.read()


async def announced(api: api_storage.Storage, key: str, content: bytes = JPEG) -> api_storage.PresignedPut:
    """Where the content may go, with its size and checksum announced."""
    return await api.presign_put(key, TYPE, 60, size=len(content), sha256=digest(content))


async def uploaded(api: api_storage.Storage, http: aiohttp.ClientSession, key: str, content: bytes = JPEG) -> Source:
    """The content is there, as a confirmed upload."""
    put = await announced(api, key, content)
    status, _, body = await send(http, "PUT", put.url, put.headers, content)
    assert status == 200, body
    found = await api.look(key)
    assert found is not None
    return Source(
        bucket=api.bucket, key=key, etag=found.etag, size_bytes=len(content), content_type=TYPE, version_id=None
    )


async def test_an_announced_upload_arrives_and_is_seen_alike_by_api_and_worker(
    api: api_storage.Storage, worker: transfer.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    source = await uploaded(api, http, key)
    found = await api.look(key)
    assert found is not None
    assert (found.size_bytes, found.version_id) == (len(JPEG), None)
    assert JPEG.startswith(found.head)
    assert found.head[:3] == JPEG[:3]
    stat = await api.stat(key, source.etag)
    assert (stat.size_bytes, stat.etag) == (len(JPEG), source.etag)
    with await worker.fetch(source) as original:
        assert content(original) == JPEG


async def test_an_upload_of_undeclared_size_arrives(
    api: api_storage.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    content = JPEG * 400
    put = await api.presign_put(key, TYPE, 60, size=None, sha256=None)
    assert (await send(http, "PUT", put.url, put.headers, content))[0] == 200
    assert (await api.stat(key)).size_bytes == len(content)


async def test_a_second_upload_is_refused_and_the_first_one_stays(
    api: api_storage.Storage, worker: transfer.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    source = await uploaded(api, http, key)
    put = await api.presign_put(key, TYPE, 60, size=None, sha256=None)
    assert (await send(http, "PUT", put.url, put.headers, b"another"))[0] == 412
    with await worker.fetch(source) as original:
        assert content(original) == JPEG


async def test_of_uploads_at_once_exactly_one_arrives(
    api: api_storage.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    put = await api.presign_put(key, TYPE, 60, size=None, sha256=None)
    bodies = [bytes([number]) * 100_000 for number in range(8)]
    answers = await asyncio.gather(*(send(http, "PUT", put.url, put.headers, body) for body in bodies))
    statuses = [status for status, _, _ in answers]
    # A loser is told so, or that somebody else is at it at this moment.
    assert statuses.count(200) == 1, statuses
    assert set(statuses) <= {200, 409, 412}, statuses
    winner = bodies[statuses.index(200)]
    found = await api.look(key)
    assert found is not None
    assert (found.size_bytes, found.head[:1]) == (len(winner), winner[:1])


def other_signature(url: str) -> str:
    head, _, signature = url.partition("X-Amz-Signature=")
    return f"{head}X-Amz-Signature={'0' if signature[0] != '0' else '1'}{signature[1:]}"


SHORTER = JPEG[:-1]
OTHER = bytes(len(JPEG))
TAMPERED: Mapping[str, tuple[Any, Any, bytes, int]] = {
    "other bytes of the same size": (lambda url: url, lambda sent: sent, OTHER, 400),
    "fewer bytes": (lambda url: url, lambda sent: sent, SHORTER, 403),
    "another content type": (lambda url: url, lambda sent: {**sent, "Content-Type": "text/html"}, JPEG, 403),
    "leave to overwrite": (
        lambda url: url,
        lambda sent: {name: value for name, value in sent.items() if name != "If-None-Match"},
        JPEG,
        403,
    ),
    "another checksum": (
        lambda url: url,
        lambda sent: {**sent, "x-amz-checksum-sha256": digest(OTHER)},
        OTHER,
        403,
    ),
    "another key": (lambda url: url.replace(".jpg?", ".html?"), lambda sent: sent, JPEG, 403),
    "a longer life": (lambda url: url.replace("Expires=60", "Expires=6000"), lambda sent: sent, JPEG, 403),
    "another signature": (other_signature, lambda sent: sent, JPEG, 403),
}


@pytest.mark.parametrize("case", TAMPERED)
async def test_an_upload_other_than_the_announced_one_is_refused(
    api: api_storage.Storage, http: aiohttp.ClientSession, key: str, case: str
) -> None:
    changed_url, changed_headers, body, refusal = TAMPERED[case]
    put = await announced(api, key)
    status, _, text = await send(http, "PUT", changed_url(put.url), changed_headers(put.headers), body)
    assert status == refusal, text
    assert await api.look(key) is None


async def test_what_was_signed_by_somebody_else_is_refused(store: S3, http: aiohttp.ClientSession, key: str) -> None:
    stranger = api_storage.Storage.connect(settings(replace(store, secret_key="guessed")))
    try:
        put = await announced(stranger, key)
        assert (await send(http, "PUT", put.url, put.headers, JPEG))[0] == 403
        with pytest.raises(api_storage.StorageUnavailable):
            await stranger.ping()
    finally:
        stranger.close()


async def test_urls_end_when_they_say(api: api_storage.Storage, http: aiohttp.ClientSession, key: str) -> None:
    await uploaded(api, http, key)
    other = f"{key}-late.jpg"
    put = await api.presign_put(other, TYPE, 1, size=None, sha256=None)
    get = await api.presign_get(key, TYPE, "inline", 1)

    async def ended() -> bool:
        return (await send(http, "GET", get))[0] == 403

    await eventually(ended, seconds=10, pause=0.2)
    assert (await send(http, "PUT", put.url, put.headers, JPEG))[0] == 403
    assert await api.look(other) is None


async def test_urls_for_a_public_endpoint_hold_there_and_nowhere_else(
    store: S3, http: aiohttp.ClientSession, key: str
) -> None:
    public = "http://s3.example.org:8080"
    api = api_storage.Storage.connect(settings(store, MEDIA_S3_PUBLIC_ENDPOINT_URL=public))
    try:
        put = await announced(api, key)
        assert put.url.startswith(f"{public}/{store.bucket}/{key}?")
        inside = put.url.replace(public, store.endpoint)
        assert (await send(http, "PUT", inside, put.headers, JPEG))[0] == 403
        through = {**put.headers, "Host": urlsplit(public).netloc}
        assert (await send(http, "PUT", inside, through, JPEG))[0] == 200
        assert await api.look(key) is not None
    finally:
        api.close()


async def test_a_url_for_reading_gives_the_type_that_was_signed_and_any_range(
    api: api_storage.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    await uploaded(api, http, key)
    disposition = 'attachment; filename="a.pdf"'
    url = await api.presign_get(key, "application/pdf", disposition, 60)
    status, headers, body = await send(http, "GET", url)
    assert (status, body) == (200, JPEG)
    assert (headers["Content-Type"], headers["Content-Disposition"]) == ("application/pdf", disposition)
    status, headers, body = await send(http, "GET", url, {"Range": "bytes=10-19"})
    assert (status, body) == (206, JPEG[10:20])
    assert headers["Content-Range"] == f"bytes 10-19/{len(JPEG)}"
    assert (await send(http, "GET", url.replace("application%2Fpdf", "text%2Fhtml")))[0] == 403
    assert (await send(http, "PUT", url, {}, b"x"))[0] == 403


async def test_a_part_is_read_of_the_object_that_was_meant_or_not_at_all(
    api: api_storage.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    source = await uploaded(api, http, key)
    transfer_ = await api.open(key, source.etag, 100, 299)
    try:
        assert b"".join([chunk async for chunk in transfer_.chunks()]) == JPEG[100:300]
        assert (transfer_.length, transfer_.etag) == (200, source.etag)
    finally:
        await transfer_.close()
    with pytest.raises(api_storage.Changed):
        await api.open(key, "0" * 32, 0, 9)
    with pytest.raises(api_storage.Changed):
        await api.stat(key, "0" * 32)
    with pytest.raises(api_storage.Missing):
        await api.stat(f"{key}-none", source.etag)


async def test_an_empty_upload_is_seen_as_empty(
    store: S3, api: api_storage.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    put = await api.presign_put(key, TYPE, 60, size=None, sha256=None)
    assert (await send(http, "PUT", put.url, put.headers, b""))[0] == 200
    found = await api.look(key)
    assert found is not None
    assert found.size_bytes == 0


async def test_a_worker_tells_a_changed_original_from_a_missing_one(
    api: api_storage.Storage, worker: transfer.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    source = await uploaded(api, http, key)
    with pytest.raises(SourceRefused) as changed:
        await worker.fetch(source.model_copy(update={"etag": "0" * 32}))
    assert changed.value.reason is Reason.SOURCE_CHANGED
    with pytest.raises(SourceRefused) as missing:
        await worker.fetch(source.model_copy(update={"key": f"{key}-none"}))
    assert missing.value.reason is Reason.SOURCE_MISSING


async def test_a_rendition_is_written_over_the_same_one_of_a_worker_before(
    store: S3, worker: transfer.Storage, key: str
) -> None:
    rendition = f"processed/image/alice/{uuid4()}/large.webp"
    await worker.put(rendition, b"first")
    await worker.put(rendition, b"second")
    answer = await asyncio.to_thread(store.client().get_object, Bucket=store.bucket, Key=rendition)
    assert answer["Body"].read() == b"second"
    assert (answer["ContentType"], answer["CacheControl"]) == ("image/webp", transfer.IMMUTABLE)


async def test_deleting_takes_what_is_there_and_minds_nothing_that_is_not(
    store: S3, api: api_storage.Storage, worker: transfer.Storage, operator: ObjectStore, key: str
) -> None:
    folder = f"processed/image/alice/{uuid4()}"
    there = [f"{folder}/{name}.webp" for name in ("thumbnail", "medium", "large")]
    for rendition in there:
        await worker.put(rendition, b"picture")
    kept = f"{folder}-other/large.webp"
    await worker.put(kept, b"picture")
    await operator.delete([*there, key, *(f"{folder}/none-{number}" for number in range(1000))])
    await operator.delete(there)
    left = await asyncio.to_thread(store.client().list_objects_v2, Bucket=store.bucket, Prefix=folder)
    assert [found["Key"] for found in left["Contents"]] == [kept]


async def test_a_deleted_object_takes_no_type_or_checksum_along_into_the_next_of_its_key(
    api: api_storage.Storage, operator: ObjectStore, http: aiohttp.ClientSession, key: str
) -> None:
    await uploaded(api, http, key)
    await operator.delete([key])
    put = await api.presign_put(key, "image/png", 60, size=None, sha256=None)
    assert (await send(http, "PUT", put.url, put.headers, b"another"))[0] == 200
    found = await api.look(key)
    assert found is not None
    assert (found.size_bytes, found.etag) == (7, hashlib.md5(b"another").hexdigest())


async def test_the_bucket_answers_and_one_that_is_not_there_does_not(store: S3, api: api_storage.Storage) -> None:
    await api.ping()
    elsewhere = api_storage.Storage.connect(settings(replace(store, bucket="nobodys")))
    try:
        with pytest.raises(api_storage.StorageUnavailable, match="there is no bucket nobodys"):
            await elsewhere.ping()
    finally:
        elsewhere.close()


async def test_nothing_is_given_to_who_signs_nothing(store: S3, http: aiohttp.ClientSession, key: str) -> None:
    url = f"{store.endpoint}/{store.bucket}"
    for method, path in (("GET", ""), ("GET", f"/{key}"), ("PUT", f"/{key}"), ("DELETE", f"/{key}")):
        assert (await send(http, method, url + path, {}, JPEG))[0] == 403, (method, path)


async def test_pages_of_other_origins_may_upload(
    api: api_storage.Storage, http: aiohttp.ClientSession, key: str
) -> None:
    put = await announced(api, key)
    asked = {
        "Origin": "https://app.example.org",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type,if-none-match,x-amz-checksum-sha256",
    }
    status, headers, _ = await send(http, "OPTIONS", put.url, asked)
    assert status in (200, 204)
    assert headers["Access-Control-Allow-Origin"] in ("*", asked["Origin"])
    assert "if-none-match" in headers["Access-Control-Allow-Headers"].lower()
    status, headers, _ = await send(http, "PUT", put.url, {**put.headers, "Origin": asked["Origin"]}, JPEG)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")


async def test_the_self_test_uploads_where_the_public_name_leads_nowhere(store: S3) -> None:
    public = {"MEDIA_S3_PUBLIC_ENDPOINT_URL": "http://s3.example.org:8080"}
    lines: list[Mapping[str, Any]] = []
    async with (
        postgres_server() as postgres,
        postgres.migrated_database() as database,
        api_site(database, store, None, **public) as site,
    ):
        given = {"MEDIA_SELFTEST_URL": site.url, "MEDIA_SELFTEST_TOKEN": token(), "MEDIA_SELFTEST_TIMEOUT_SECONDS": 5}
        with pytest.raises(SelftestFailed, match=r"^process: not done 5 s after the start\."):
            await run(SelftestSettings(**given, MEDIA_SELFTEST_S3_ENDPOINT_URL=store.endpoint), lines.append)
    assert [line["step"] for line in lines] == ["ask", "upload", "confirm"]


@pytest.mark.slow
async def test_the_whole_service_works_on_it(store: S3, tmp_path: Path) -> None:
    """Its own self-test, through API, operator, worker and decoder, with signatures that count."""
    lines: list[Mapping[str, Any]] = []
    async with Stack(Plan(tmp_path / "stack", store=store)) as stack:
        given = {"MEDIA_SELFTEST_URL": stack.state.api_url, "MEDIA_JWT_SECRET": stack.state.token_secret}
        await run(SelftestSettings(**given, MEDIA_SELFTEST_TIMEOUT_SECONDS=60), lines.append)
    assert [line["step"] for line in lines] == ["ask", "upload", "confirm", "process", "play", "delete"]

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import pytest

from media_core.asset import Source
from media_core.reasons import Reason
from media_worker.calls import SourceRefused, StorageUnavailable
from media_worker.transfer import Storage, s3_client
from support.moto_s3 import MotoS3, moto_s3
from support.originals import content, still_open
from support.s3_faults import FaultyS3, gets, puts

BUCKET = "media-transfer"
KEY = "uploads/image/alice/20260102T030405_0.jpg"
RENDITION = "processed/image/alice/00000000-0000-4000-8000-000000000001/large.webp"


@pytest.fixture(scope="module")
def server() -> Iterator[MotoS3]:
    with moto_s3(BUCKET) as running:
        yield running


@pytest.fixture(scope="module")
def s3(server: MotoS3) -> Any:
    return server.client


@pytest.fixture
async def faults(server: MotoS3) -> AsyncIterator[FaultyS3]:
    async with FaultyS3(server.url) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """Whatever became of it, a fetch has left no original open but the one that it returned."""
    yield
    assert still_open() == []


def to(url: str, bucket: str = BUCKET) -> Storage:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
    return Storage(s3_client("eu-west-1", url, 4, session), bucket, 4, patience_seconds=2, fetch_seconds=10)


@pytest.fixture
def storage(faults: FaultyS3) -> Iterator[Storage]:
    made = to(faults.url)
    yield made
    made.close()


def original(s3: Any, body: bytes = b"x" * 3_000_000, key: str = KEY, **changes: Any) -> Source:
    etag = s3.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"].strip('"')
    fields = {"bucket": BUCKET, "key": key, "etag": etag, "size_bytes": len(body), "content_type": "image/jpeg"}
    return Source(**{**fields, **changes})


async def test_an_original_is_read_as_it_was_confirmed(s3: Any, storage: Storage) -> None:
    source = original(s3)
    with await storage.fetch(source) as fetched:
        assert content(fetched) == b"x" * 3_000_000


async def test_an_empty_original_is_read_as_well(s3: Any, storage: Storage) -> None:
    with await storage.fetch(original(s3, b"")) as fetched:
        assert (fetched.size, content(fetched)) == (0, b"")


async def test_a_version_that_was_confirmed_is_read_even_when_a_newer_one_is_there(s3: Any, storage: Storage) -> None:
    s3.create_bucket(Bucket="versioned", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="versioned", Key=KEY, Body=b"first")
    s3.put_object(Bucket="versioned", Key=KEY, Body=b"second")
    versioned = to(s3.meta.endpoint_url, "versioned")
    source = Source(
        bucket="versioned",
        key=KEY,
        etag=first["ETag"].strip('"'),
        version_id=first["VersionId"],
        size_bytes=5,
        content_type="image/jpeg",
    )
    with await versioned.fetch(source) as fetched:
        assert content(fetched) == b"first"
    versioned.close()


async def test_a_changed_original_is_refused(s3: Any, storage: Storage) -> None:
    source = original(s3)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=b"another")
    with pytest.raises(SourceRefused) as refused:
        await storage.fetch(source)
    assert refused.value.reason is Reason.SOURCE_CHANGED


async def test_an_original_of_another_size_is_refused_before_it_is_read(s3: Any, storage: Storage) -> None:
    with pytest.raises(SourceRefused, match="it has 3000000 bytes, and had 12 then") as refused:
        await storage.fetch(original(s3, size_bytes=12))
    assert refused.value.reason is Reason.SOURCE_CHANGED


async def test_a_missing_original_is_refused(s3: Any, storage: Storage) -> None:
    with pytest.raises(SourceRefused) as refused:
        await storage.fetch(original(s3).model_copy(update={"key": "uploads/image/alice/nothing.jpg"}))
    assert refused.value.reason is Reason.SOURCE_MISSING


async def test_a_missing_bucket_is_a_matter_of_configuration(s3: Any, faults: FaultyS3) -> None:
    lost = to(faults.url, "no-such-bucket")
    with pytest.raises(StorageUnavailable, match="NoSuchBucket"):
        await lost.fetch(original(s3))
    lost.close()


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_short_trouble_is_sat_out(s3: Any, storage: Storage, faults: FaultyS3, status: int) -> None:
    faults.fail(status, gets, count=2)
    with await storage.fetch(original(s3)) as fetched:
        assert content(fetched) == b"x" * 3_000_000
    assert len(faults.made(gets)) == 3


async def test_a_connection_that_breaks_off_is_tried_again(s3: Any, storage: Storage, faults: FaultyS3) -> None:
    faults.cut(gets, count=1)
    with await storage.fetch(original(s3)) as fetched:
        assert content(fetched) == b"x" * 3_000_000


@pytest.mark.failure("F10")
async def test_a_long_trouble_ends_in_storage_unavailable(s3: Any, storage: Storage, faults: FaultyS3) -> None:
    faults.fail(503, puts)
    with pytest.raises(StorageUnavailable, match="SlowDown"):
        await storage.put(RENDITION, b"webp")
    assert len(faults.made(puts)) > 2


async def test_a_refusal_of_the_credentials_is_not_tried_again(s3: Any, storage: Storage, faults: FaultyS3) -> None:
    faults.fail(403, puts)
    with pytest.raises(StorageUnavailable, match="AccessDenied"):
        await storage.put(RENDITION, b"webp")
    assert len(faults.made(puts)) == 1


async def test_a_rendition_is_stored_for_browsers_to_keep(s3: Any, storage: Storage) -> None:
    await storage.put(RENDITION, b"webp")
    stored = s3.get_object(Bucket=BUCKET, Key=RENDITION)
    assert stored["Body"].read() == b"webp"
    assert stored["ContentType"] == "image/webp"
    assert stored["CacheControl"] == "public, max-age=31536000, immutable"


async def test_a_cancelled_put_returns_only_when_nothing_of_it_runs(
    s3: Any, storage: Storage, faults: FaultyS3
) -> None:
    faults.delay(1.0, puts)
    task = asyncio.create_task(storage.put(RENDITION, b"late"))
    await faults.asked(puts)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [call.ended is not None for call in faults.made(puts)] == [True]


async def test_a_cancelled_fetch_stops_reading(s3: Any, storage: Storage, faults: FaultyS3) -> None:
    faults.delay(0.3, gets)
    task = asyncio.create_task(storage.fetch(original(s3)))
    await faults.asked(gets)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert still_open() == []

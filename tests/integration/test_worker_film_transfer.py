"""Films out of object storage and into it, with an S3 server that can be made to fail."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from media_core.asset import Source
from media_core.reasons import Reason
from media_worker.calls import SourceRefused, StorageUnavailable
from media_worker.film_transfer import FETCHED_AT_ONCE, STORED_AT_ONCE, FileShrank, FilmStorage
from media_worker.transfer import s3_client
from support.deadlines import eventually
from support.moto_s3 import MotoS3, moto_s3
from support.s3_faults import Call, FaultyS3, gets, puts

BUCKET = "media-films"
KEY = "uploads/video/alice/20260102T030405_0.mp4"
FILM = "processed/video/alice/00000000-0000-4000-8000-000000000001/video.mp4"
LARGE = bytes(range(256)) * 4096 * 18 + b"the end"
"""Of three parts."""


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


@pytest.fixture
def storage(faults: FaultyS3) -> Iterator[FilmStorage]:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test")
    made = FilmStorage(s3_client("eu-west-1", faults.url, 4, session), BUCKET, 4, patience_seconds=1)
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    opened = os.open(tmp_path / "film", os.O_RDWR | os.O_CREAT)
    yield opened
    os.close(opened)


def original(s3: Any, body: bytes, **changes: Any) -> Source:
    etag = s3.put_object(Bucket=BUCKET, Key=KEY, Body=body)["ETag"].strip('"')
    fields = {"bucket": BUCKET, "key": KEY, "etag": etag, "size_bytes": len(body), "content_type": "video/mp4"}
    return Source(**{**fields, **changes})


def content(file: int) -> bytes:
    return os.pread(file, 1 << 30, 0)


def filled(file: int, body: bytes) -> int:
    os.write(file, body)
    return len(body)


def stored(s3: Any) -> dict[str, Any]:
    found: dict[str, Any] = s3.get_object(Bucket=BUCKET, Key=FILM)
    return {"body": found["Body"].read(), "type": found["ContentType"], "kept": found["CacheControl"]}


def unfinished(s3: Any) -> list[Any]:
    return list(s3.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ()))


async def test_a_large_original_is_read_piece_by_piece(
    s3: Any, storage: FilmStorage, faults: FaultyS3, file: int
) -> None:
    body = os.urandom(1 << 20) * (FETCHED_AT_ONCE >> 20) + b"and more"
    faults.cut(gets, count=1)
    await storage.fetch(original(s3, body), file)
    assert content(file) == body
    assert len(faults.made(gets)) == 3


async def test_an_empty_original_needs_no_reading(s3: Any, storage: FilmStorage, file: int) -> None:
    await storage.fetch(original(s3, b""), file)
    assert content(file) == b""


async def test_an_original_that_changes_between_two_pieces_is_refused(
    s3: Any, storage: FilmStorage, faults: FaultyS3, file: int
) -> None:
    source = original(s3, bytes(FETCHED_AT_ONCE + 1))
    faults.delay(0.5, gets)
    reading = asyncio.create_task(storage.fetch(source, file))
    await faults.asked(gets, 2)
    await asyncio.to_thread(original, s3, b"another")
    with pytest.raises(SourceRefused) as refused:
        await reading
    assert refused.value.reason is Reason.SOURCE_CHANGED


@pytest.mark.parametrize("told", [3, 30])
async def test_an_original_of_another_size_is_refused(s3: Any, storage: FilmStorage, file: int, told: int) -> None:
    with pytest.raises(SourceRefused, match=f"it has 12 bytes, and had {told} then") as refused:
        await storage.fetch(original(s3, b"twelve bytes", size_bytes=told), file)
    assert refused.value.reason is Reason.SOURCE_CHANGED


async def test_a_missing_original_is_refused(s3: Any, storage: FilmStorage, file: int) -> None:
    with pytest.raises(SourceRefused) as refused:
        await storage.fetch(original(s3, b"x").model_copy(update={"key": "uploads/video/alice/nothing.mp4"}), file)
    assert refused.value.reason is Reason.SOURCE_MISSING


async def test_a_reading_that_is_cancelled_has_ended_when_it_returns(
    s3: Any, storage: FilmStorage, faults: FaultyS3, file: int
) -> None:
    source = original(s3, b"x" * 5_000_000)
    faults.delay(0.5, gets)
    reading = asyncio.create_task(storage.fetch(source, file))
    await faults.asked(gets)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    # The server hears of a connection that was closed a moment later.
    await eventually(lambda: all(call.ended is not None for call in faults.made(gets)), 5)


async def test_a_small_file_goes_up_in_one_piece(s3: Any, storage: FilmStorage, faults: FaultyS3, file: int) -> None:
    await storage.put_file(FILM, file, filled(file, b"a segment"), "video/mp2t")
    assert stored(s3) == {
        "body": b"a segment",
        "type": "video/mp2t",
        "kept": "public, max-age=31536000, immutable",
    }
    assert len(faults.calls) == 1


async def test_a_large_file_goes_up_in_parts_each_of_which_is_tried_again(
    s3: Any, storage: FilmStorage, faults: FaultyS3, file: int
) -> None:
    faults.fail(503, puts, count=2)
    await storage.put_file(FILM, file, filled(file, LARGE), "video/mp4")
    assert stored(s3) == {"body": LARGE, "type": "video/mp4", "kept": "public, max-age=31536000, immutable"}
    assert len(faults.made(puts)) == 3 + 2
    assert unfinished(s3) == []


async def test_an_upload_in_parts_that_fails_leaves_nothing(
    s3: Any, storage: FilmStorage, faults: FaultyS3, file: int
) -> None:
    faults.fail(403, puts)
    with pytest.raises(StorageUnavailable, match="AccessDenied"):
        await storage.put_file(FILM, file, filled(file, LARGE), "video/mp4")
    assert unfinished(s3) == []


async def test_an_upload_in_parts_that_is_cancelled_leaves_nothing(
    s3: Any, storage: FilmStorage, faults: FaultyS3, file: int
) -> None:
    faults.delay(0.5, puts)
    size = filled(file, LARGE)
    putting = asyncio.create_task(storage.put_file(FILM, file, size, "video/mp4"))
    await faults.asked(puts)
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert all(call.ended is not None for call in faults.calls)
    assert unfinished(s3) == []


async def test_an_upload_that_cannot_even_be_given_up_is_said_in_the_log(
    s3: Any, storage: FilmStorage, faults: FaultyS3, file: int
) -> None:
    def deletes(call: Call) -> bool:
        return call.method == "DELETE"

    faults.fail(403, puts)
    faults.fail(403, deletes)
    with pytest.raises(StorageUnavailable, match="UploadPart"):
        await storage.put_file(FILM, file, filled(file, LARGE), "video/mp4")
    assert len(faults.made(deletes)) == 1


async def test_an_upload_that_storage_has_lost_blames_storage(
    s3: Any, storage: FilmStorage, faults: FaultyS3, file: int
) -> None:
    faults.delay(0.5, puts)
    size = filled(file, LARGE)
    putting = asyncio.create_task(storage.put_file(FILM, file, size, "video/mp4"))
    await faults.asked(puts)
    for upload in await asyncio.to_thread(unfinished, s3):
        await asyncio.to_thread(
            s3.abort_multipart_upload, Bucket=BUCKET, Key=upload["Key"], UploadId=upload["UploadId"]
        )
    with pytest.raises(StorageUnavailable):
        await putting


async def test_a_file_that_shrinks_is_not_stored(storage: FilmStorage, faults: FaultyS3, file: int) -> None:
    size = filled(file, b"x" * (STORED_AT_ONCE + 5))
    os.ftruncate(file, 7)
    with pytest.raises(FileShrank):
        await storage.put_file(FILM, file, size, "video/mp4")
    with pytest.raises(FileShrank):
        await storage.put_file(FILM, file, 9, "video/mp4")


async def test_a_playlist_is_stored_as_it_was_checked(s3: Any, storage: FilmStorage) -> None:
    await storage.put(FILM, b"#EXTM3U\n", "application/vnd.apple.mpegurl")
    assert stored(s3)["body"] == b"#EXTM3U\n"

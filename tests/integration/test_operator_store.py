"""Object storage as the operator uses it: whole folders purged, files looked at, and refusals told from absences."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from media_devcluster.objectstore import S3
from media_operator.adapters.objectstore import ObjectMissing, ObjectStore, StoreUnavailable
from media_operator.settings import OperatorSettings
from support.s3_faults import FaultyS3


@pytest.fixture
async def faulty(object_store: S3) -> AsyncIterator[FaultyS3]:
    async with FaultyS3(object_store.endpoint) as proxy:
        yield proxy


@pytest.fixture
async def store(object_store: S3, faulty: FaultyS3) -> AsyncIterator[ObjectStore]:
    settings = OperatorSettings(
        MEDIA_DATABASE_URL="postgresql://x/y",
        S3_BUCKET_MEDIA=object_store.bucket,
        AWS_REGION=object_store.region,
        AWS_ENDPOINT_URL_S3=faulty.url,
        AWS_ACCESS_KEY_ID=object_store.access_key,
        AWS_SECRET_ACCESS_KEY=object_store.secret_key,
    )
    connected = await asyncio.to_thread(ObjectStore.connect, settings)
    yield connected
    connected.close()


@pytest.fixture
def folder() -> str:
    return f"processed/video/user-1/{uuid4()}/"


async def put(s3: Any, store: ObjectStore, key: str, data: bytes, content_type: str = "image/jpeg") -> None:
    await asyncio.to_thread(s3.put_object, Bucket=store.bucket, Key=key, Body=data, ContentType=content_type)


async def test_a_folder_is_purged_whole_and_its_neighbours_are_left(store: ObjectStore, s3: Any, folder: str) -> None:
    neighbour = folder.rstrip("/") + "-2/video.mp4"
    for number in range(30):
        await put(s3, store, f"{folder}hls/master_720p_{number:05}.ts", b"x")
    await put(s3, store, neighbour, b"x")
    await store.purge([f"{folder}absent.mp4"], [folder])
    assert await store.sizes(folder) == {}
    assert await store.sizes(neighbour) == {neighbour: 1}


async def test_files_are_looked_at_and_copied_with_their_type(store: ObjectStore, s3: Any, folder: str) -> None:
    await put(s3, store, folder + "thumbnail.0000000.jpg", b"picture")
    await put(s3, store, folder + "hls/master.m3u8", b"#EXTM3U\n")
    assert await store.size(folder + "thumbnail.0000000.jpg") == 7
    assert await store.text(folder + "hls/master.m3u8", 100) == "#EXTM3U\n"
    assert await store.text(folder + "hls/master.m3u8", 4) == "#EXT"
    await store.copy(folder + "thumbnail.0000000.jpg", folder + "thumbnail.jpg")
    copied = await asyncio.to_thread(s3.head_object, Bucket=store.bucket, Key=folder + "thumbnail.jpg")
    assert (copied["ContentType"], copied["ContentLength"]) == ("image/jpeg", 7)


async def test_what_is_not_there_is_told_from_what_may_not_be_seen(
    store: ObjectStore, faulty: FaultyS3, folder: str
) -> None:
    with pytest.raises(ObjectMissing):
        await store.size(folder + "video.mp4")
    with pytest.raises(ObjectMissing):
        await store.text(folder + "hls/master.m3u8", 100)
    with pytest.raises(ObjectMissing):
        await store.copy(folder + "thumbnail.0000000.jpg", folder + "thumbnail.jpg")
    faulty.fail(403)
    for call in (store.size(folder), store.text(folder, 9), store.sizes(folder), store.delete([folder + "a"])):
        with pytest.raises(StoreUnavailable):
            await call

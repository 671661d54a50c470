"""Object storage as the operator uses it: it deletes what is purged, and looks at what MediaConvert has made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media_operator.settings import OperatorSettings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

THREADS = 4
DELETE_BATCH = 1000
ABSENT = ("404", "NoSuchKey", "NotFound")
T = TypeVar("T")


class StoreUnavailable(Exception):
    """Object storage refused or did not answer; it is tried again."""


class ObjectMissing(Exception):
    """There is no object of that key."""


class ObjectStore:
    """One bucket, used in a bounded pool of threads. Every method raises StoreUnavailable."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self.bucket = bucket
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")

    @classmethod
    def connect(cls, settings: OperatorSettings) -> ObjectStore:
        """By the settings; nothing is contacted yet."""
        client = boto3.client(
            "s3",
            region_name=settings.aws_region,
            endpoint_url=settings.aws_endpoint_url_s3,
            aws_access_key_id=settings.aws_access_key_id.get_secret_value() if settings.aws_access_key_id else None,
            aws_secret_access_key=(
                settings.aws_secret_access_key.get_secret_value() if settings.aws_secret_access_key else None
            ),
            config=Config(
                connect_timeout=5,
                read_timeout=20,
                retries={"mode": "standard", "total_max_attempts": 3},
                s3={"addressing_style": "path"},
                max_pool_connections=THREADS,
            ),
        )
        return cls(client, settings.s3_bucket_media)

    async def purge(self, keys: Sequence[str], folders: Sequence[str] = ()) -> None:
        """Delete the keys, and all that is in the folders; what is not there is no error."""
        found = [key for folder in folders for key in await self.sizes(folder)]
        await self.delete([*keys, *found])

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the keys; those that are not there are no error."""
        for start in range(0, len(keys), DELETE_BATCH):
            await self._call(self._delete, keys[start : start + DELETE_BATCH])

    async def sizes(self, folder: str) -> dict[str, int]:
        """Every key that begins so, and how many bytes it has."""
        return await self._call(self._sizes, folder)

    async def size(self, key: str) -> int:
        """How many bytes it has, by a HEAD. Raises ObjectMissing."""
        return await self._call(self._size, key)

    async def etag(self, key: str) -> str:
        """Its ETag by now, without quotes, by a HEAD. Raises ObjectMissing."""
        return await self._call(self._etag, key)

    async def text(self, key: str, limit: int) -> str:
        """A small text. Raises ObjectMissing; what is longer than `limit` bytes is cut there."""
        return await self._call(self._text, key, limit)

    async def copy(self, source: str, target: str) -> None:
        """Copy within the bucket, with the same type. Raises ObjectMissing."""
        await self._call(self._copy, source, target)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, call: Callable[..., T], *arguments: object) -> T:
        def translated() -> T:
            try:
                return call(*arguments)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in ABSENT:
                    raise ObjectMissing(str(arguments[0])) from error
                raise StoreUnavailable(str(error)) from error
            except BotoCoreError as error:
                raise StoreUnavailable(str(error)) from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, translated)

    def _sizes(self, folder: str) -> dict[str, int]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=folder)
        return {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", ())}

    def _size(self, key: str) -> int:
        return self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"]

    def _etag(self, key: str) -> str:
        return self._client.head_object(Bucket=self.bucket, Key=key)["ETag"].strip('"')

    def _text(self, key: str, limit: int) -> str:
        answer = self._client.get_object(Bucket=self.bucket, Key=key)
        with answer["Body"] as body:
            return body.read(limit).decode(errors="replace")

    def _copy(self, source: str, target: str) -> None:
        self._client.copy_object(
            Bucket=self.bucket,
            Key=target,
            CopySource={"Bucket": self.bucket, "Key": source},
        )

    def _delete(self, keys: Sequence[str]) -> None:
        answer = self._client.delete_objects(
            Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
        )
        if errors := answer.get("Errors"):
            raise StoreUnavailable(f"{errors[0].get('Key')}: {errors[0].get('Code')}: {errors[0].get('Message')}")

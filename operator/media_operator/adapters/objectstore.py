"""Object storage as the operator uses it: it deletes, and does nothing else there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from media_operator.settings import OperatorSettings

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

THREADS = 4
DELETE_BATCH = 1000


class StoreUnavailable(Exception):
    """Object storage refused or did not answer; it is tried again."""


class ObjectStore:
    """Deletes keys of one bucket in a bounded pool of threads."""

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

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the keys; those that are not there are no error. Raises StoreUnavailable."""
        loop = asyncio.get_running_loop()
        for start in range(0, len(keys), DELETE_BATCH):
            await loop.run_in_executor(self._threads, self._delete, keys[start : start + DELETE_BATCH])

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _delete(self, keys: Sequence[str]) -> None:
        try:
            answer = self._client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        except (ClientError, BotoCoreError) as error:
            raise StoreUnavailable(str(error)) from error
        if errors := answer.get("Errors"):
            raise StoreUnavailable(f"{errors[0].get('Key')}: {errors[0].get('Code')}: {errors[0].get('Message')}")

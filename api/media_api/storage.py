"""Object storage as the API uses it: presigned URLs, a look at what was uploaded, and files passed through.

boto3 blocks, so every call runs in a bounded pool of threads; transfers have one of their own, or a few slow ones
would keep uploads from being confirmed. Presigning runs there too: with a pod's role it may fetch credentials.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from media_api.settings import ApiSettings
from media_api.sniffing import HEAD_BYTES
from media_api.uploads import Found

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CHUNK_BYTES = 384 * 1024
"""Each costs a way to a thread and back, and as many as there may be streams have to fit into the container."""
CONNECT_SECONDS = 2
READ_SECONDS = 5
DEADLINE_SECONDS = 10.0
READINESS_SECONDS = 3.0
T = TypeVar("T")


class StorageUnavailable(Exception):
    """Object storage refused or did not answer; it can pass."""


class Missing(Exception):
    """There is no such object."""


class Changed(Exception):
    """The object is not the one that was asked for by ETag."""


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """Where a file goes, and the headers that are signed with it."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Stat:
    """What S3 says of an object."""

    size_bytes: int
    etag: str
    last_modified: datetime | None


class Transfer:
    """An object being read, in chunks; to be closed."""

    def __init__(self, body: Any, etag: str, length: int, threads: ThreadPoolExecutor) -> None:
        self._body, self._threads = body, threads
        self.etag, self.length = etag, length

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes; never more than one chunk in memory. Raises StorageUnavailable."""
        loop = asyncio.get_running_loop()
        while chunk := await loop.run_in_executor(self._threads, self._read):
            yield chunk

    async def close(self) -> None:
        """Let go of the connection, whether or not everything was read."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._body.close)

    def _read(self) -> bytes:
        try:
            chunk: bytes = self._body.read(CHUNK_BYTES)
        except (BotoCoreError, HTTPError, OSError) as error:
            raise StorageUnavailable(f"{type(error).__name__}: {error}") from error
        return chunk


class Storage:
    """One bucket. `client` talks to S3; `signer` signs for the endpoint that clients of the API see."""

    def __init__(self, client: S3Client, signer: S3Client, bucket: str, threads: int, streams: int) -> None:
        self._client, self._signer, self.bucket = client, signer, bucket
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="s3")
        self._transfers = ThreadPoolExecutor(min(threads, streams), thread_name_prefix="s3-transfer")

    @classmethod
    def connect(cls, settings: ApiSettings) -> Storage:
        """By the settings; nothing is contacted yet."""
        own = settings.aws_endpoint_url_s3
        public = settings.s3_public_endpoint_url or own
        client = _client(settings, own)
        signer = client if public == own else _client(settings, public)
        return cls(client, signer, settings.s3_bucket_media, settings.storage_threads, settings.max_streams)

    def close(self) -> None:
        """Let the threads go."""
        for threads in (self._threads, self._transfers):
            threads.shutdown(wait=False, cancel_futures=True)

    async def presign_put(
        self, key: str, content_type: str, seconds: int, *, size: int | None, sha256: str | None
    ) -> PresignedPut:
        """A URL for one PUT. If-None-Match: * is signed, so nothing that is there can be overwritten with it."""
        parameters: dict[str, Any] = {"ContentType": content_type, "IfNoneMatch": "*"}
        headers = {"Content-Type": content_type, "If-None-Match": "*"}
        if size is not None:
            parameters["ContentLength"] = size
            headers["Content-Length"] = str(size)
        if sha256 is not None:
            parameters["ChecksumSHA256"] = sha256
            headers["x-amz-checksum-sha256"] = sha256
        url = await self._run(lambda: self._presigned("put_object", key, seconds, parameters))
        return PresignedPut(url, headers)

    async def presign_get(self, key: str, content_type: str, disposition: str, seconds: int) -> str:
        """A URL for reading; type and disposition are part of what is signed."""
        forced = {"ResponseContentType": content_type, "ResponseContentDisposition": disposition}
        return await self._run(lambda: self._presigned("get_object", key, seconds, forced))

    async def public_origin(self) -> str:
        """Scheme and host of every presigned URL, as a page's policy names it."""
        parts = urlsplit(await self._run(lambda: self._presigned("get_object", "origin", 1, {})))
        return f"{parts.scheme}://{parts.netloc}"

    async def look(self, key: str) -> Found | None:
        """Size, ETag and first bytes, in one answer, so that they are of the same object; None where there is none."""

        def look() -> Found | None:
            try:
                answer = self._client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes=0-{HEAD_BYTES - 1}")
            except ClientError as error:
                if _status(error) == 416:  # an empty object has no first byte
                    return Found(0, "", None, b"")
                raise
            with answer["Body"] as body:
                head = body.read()
            total = int(answer["ContentRange"].rpartition("/")[2]) if answer.get("ContentRange") else len(head)
            version = answer.get("VersionId")
            return Found(total, _unquoted(answer["ETag"]), None if version == "null" else version, head)

        try:
            return await self._run(look)
        except Missing:
            return None

    async def stat(self, key: str, etag: str | None = None) -> Stat:
        """Raises Missing, Changed, StorageUnavailable."""
        pinned: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag else {}

        def stat() -> Stat:
            answer = self._client.head_object(Bucket=self.bucket, Key=key, **pinned)
            return Stat(answer["ContentLength"], _unquoted(answer["ETag"]), answer.get("LastModified"))

        return await self._run(stat)

    async def open(self, key: str, etag: str, first: int, last: int) -> Transfer:
        """Read the bytes from `first` to `last` of the object with that ETag. Raises as `stat` does."""

        def opened() -> Transfer:
            answer = self._client.get_object(
                Bucket=self.bucket, Key=key, IfMatch=f'"{etag}"', Range=f"bytes={first}-{last}"
            )
            return Transfer(answer["Body"], _unquoted(answer["ETag"]), answer["ContentLength"], self._transfers)

        return await self._run(opened)

    async def ping(self) -> None:
        """Whether the bucket is there. Raises StorageUnavailable."""
        try:
            await self._run(lambda: self._client.head_bucket(Bucket=self.bucket), READINESS_SECONDS)
        except Missing:
            raise StorageUnavailable(f"there is no bucket {self.bucket}") from None

    def _presigned(self, operation: str, key: str, seconds: int, parameters: Mapping[str, Any]) -> str:
        return self._signer.generate_presigned_url(
            operation, Params={"Bucket": self.bucket, "Key": key, **parameters}, ExpiresIn=seconds
        )

    async def _run(self, call: Callable[[], T], seconds: float = DEADLINE_SECONDS) -> T:
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ClientError as error:
            match _status(error):
                case 404:
                    raise Missing(str(error)) from error
                case 412:
                    raise Changed(str(error)) from error
            raise StorageUnavailable(str(error)) from error
        except (BotoCoreError, HTTPError, OSError) as error:
            raise StorageUnavailable(f"{type(error).__name__}: {error}") from error


def _client(settings: ApiSettings, endpoint: str | None) -> S3Client:
    key, secret = settings.aws_access_key_id, settings.aws_secret_access_key
    return boto3.client(
        "s3",
        region_name=settings.aws_region,
        endpoint_url=endpoint,
        aws_access_key_id=key.get_secret_value() if key else None,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            signature_version="s3v4",
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 2},
            s3={"addressing_style": "path" if endpoint else "virtual"},
            max_pool_connections=settings.storage_threads + settings.max_streams,
            # Otherwise checksums the client never heard of would be signed into its upload.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _unquoted(etag: str) -> str:
    return etag.strip('"')

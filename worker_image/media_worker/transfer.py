"""Originals out of object storage, renditions into it: boto3 in a bounded thread pool.

Two promises that the rest relies on. A call that is cancelled returns only when its thread has ended, so that after
a give-back no PUT runs or starts. And every failure is one of two: `SourceRefused` says something about the original
and is final, `StorageUnavailable` says nothing about it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum, auto
from typing import TYPE_CHECKING, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from media_core.asset import Source
from media_core.conditions import Reason
from media_worker.patience import patiently

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import GetObjectRequestTypeDef

CONNECT_SECONDS = 5
READ_SECONDS = 20
"""With connecting and sending (5 s each) no PUT outlives 30 s."""
CHUNK = 1 << 20
IMMUTABLE = "public, max-age=31536000, immutable"
RENDITION_TYPE = "image/webp"
THROTTLED = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests"})
T = TypeVar("T")


class SourceRefused(Exception):
    """The original is not what the asset says it is."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class StorageUnavailable(Exception):
    """Object storage does not work at present, or not with this configuration."""


class _Transient(Exception):
    """It may work at the next try."""


class Trouble(Enum):
    """What an error of boto3 says."""

    TRANSIENT = auto()
    CHANGED = auto()
    MISSING = auto()
    CONFIGURATION = auto()


def trouble(error: BotoCoreError | ClientError) -> Trouble:
    """Classify an error; whatever is not known to pass or to be the original's fault is taken for configuration."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status >= 500 or status == 429 or code in THROTTLED:
            return Trouble.TRANSIENT
        if status == 412:
            return Trouble.CHANGED
        return Trouble.MISSING if status == 404 and code != "NoSuchBucket" else Trouble.CONFIGURATION
    passing = BotoConnectionError | HTTPClientError | IncompleteReadError
    return Trouble.TRANSIENT if isinstance(error, passing) else Trouble.CONFIGURATION


def s3_client(
    region: str | None, endpoint_url: str | None, connections: int, session: boto3.Session | None = None
) -> S3Client:
    """An S3 client whose every call ends within seconds and is tried once: `patiently` does the rest.

    Credentials are boto3's own matter: environment, web identity, pod identity.
    """
    options = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=connections,
        s3={"addressing_style": "path"} if endpoint_url else {},
    )
    return (session or boto3.Session()).client("s3", region_name=region, endpoint_url=endpoint_url, config=options)


class Storage:
    """One bucket, seen by a worker: read originals, write renditions, nothing else."""

    def __init__(self, s3: S3Client, bucket: str, threads: int, patience_seconds: float, fetch_seconds: float) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="s3")
        self._patience = patience_seconds
        self._fetch_seconds = fetch_seconds

    async def fetch(self, source: Source) -> bytearray:
        """The original, exactly as it was when its upload was confirmed. Raises SourceRefused, StorageUnavailable."""
        given_up = threading.Event()
        return await self._patiently(lambda: self._read(source, given_up), given_up)

    async def put(self, key: str, body: bytes) -> None:
        """Store a rendition. Raises StorageUnavailable."""

        def put() -> None:
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType=RENDITION_TYPE, CacheControl=IMMUTABLE
            )

        await self._patiently(put)

    def close(self) -> None:
        """Start nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._s3.close()

    def _read(self, source: Source, given_up: threading.Event) -> bytearray:
        deadline = time.monotonic() + self._fetch_seconds
        wanted: GetObjectRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": source.key,
            "IfMatch": f'"{source.etag.strip(chr(34))}"',
        }
        if source.version_id:
            wanted["VersionId"] = source.version_id
        answer = self._s3.get_object(**wanted)
        with answer["Body"] as body:
            if (size := answer["ContentLength"]) != source.size_bytes:
                raise _changed(f"it has {size} bytes, and had {source.size_bytes} then")
            content = bytearray()
            while chunk := body.read(CHUNK):
                content += chunk
                if given_up.is_set() or time.monotonic() > deadline:
                    raise StorageUnavailable(f"Reading the original took longer than {self._fetch_seconds:.0f} s.")
        if len(content) != source.size_bytes:
            raise _Transient(f"The connection broke off after {len(content)} of {source.size_bytes} bytes.")
        return content

    async def _patiently(self, call: Callable[[], T], given_up: threading.Event | None = None) -> T:
        async def once() -> T:
            return await self._in_thread(lambda: _translated(call), given_up)

        try:
            return await patiently(once, _Transient, self._patience)
        except _Transient as error:
            raise StorageUnavailable(
                f"Object storage did not answer well for {self._patience:.0f} s: {error}"
            ) from error

    async def _in_thread(self, call: Callable[[], T], given_up: threading.Event | None) -> T:
        future: Future[T] = self._threads.submit(call)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if given_up is not None:
                given_up.set()
            if not future.cancel():
                await _ended(future)
            raise


async def _ended(future: Future[T]) -> None:
    """Until the thread is through with it, whatever came of it."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(over.set))
    await over.wait()


def _translated(call: Callable[[], T]) -> T:
    try:
        return call()
    except (ClientError, BotoCoreError) as error:
        match trouble(error):
            case Trouble.TRANSIENT:
                raise _Transient(str(error)) from error
            case Trouble.CHANGED:
                raise _changed("its ETag is another") from error
            case Trouble.MISSING:
                message = "The original is not in object storage any more."
                raise SourceRefused(Reason.SOURCE_MISSING, message) from error
            case Trouble.CONFIGURATION:
                raise StorageUnavailable(f"Object storage refuses this worker: {error}") from error


def _changed(how: str) -> SourceRefused:
    return SourceRefused(Reason.SOURCE_CHANGED, f"The original was changed after its upload was confirmed: {how}.")

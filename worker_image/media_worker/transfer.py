"""Originals of images out of object storage, renditions into it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from media_core.asset import Source
from media_worker.calls import Calls, StorageUnavailable, Transient, changed
from media_worker.original import Original

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import GetObjectRequestTypeDef

CONNECT_SECONDS = 5
READ_SECONDS = 20
"""With connecting and sending (5 s each) no PUT outlives 30 s."""
CHUNK = 1 << 20
IMMUTABLE = "public, max-age=31536000, immutable"
RENDITION_TYPE = "image/webp"


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
        self._calls = Calls(threads, patience_seconds)
        self._fetch_seconds = fetch_seconds

    async def fetch(self, source: Source) -> Original:
        """The original, exactly as it was when its upload was confirmed. Raises SourceRefused, StorageUnavailable."""
        given_up = threading.Event()
        return await self._calls.patiently(
            lambda: Original(self._parts(source, given_up)), given_up, discard=Original.close
        )

    async def put(self, key: str, body: bytes) -> None:
        """Store a rendition. Raises StorageUnavailable."""

        def put() -> None:
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType=RENDITION_TYPE, CacheControl=IMMUTABLE
            )

        await self._calls.patiently(put)

    def close(self) -> None:
        """Start nothing more."""
        self._calls.close()
        self._s3.close()

    def _parts(self, source: Source, given_up: threading.Event) -> Iterator[bytes]:
        """An original's bytes as they come. Raises when they are not all, or not those that were confirmed."""
        deadline = time.monotonic() + self._fetch_seconds
        answer = self._s3.get_object(**as_confirmed(self._bucket, source))
        with answer["Body"] as body:
            if (size := answer["ContentLength"]) != source.size_bytes:
                raise changed(f"it has {size} bytes, and had {source.size_bytes} then")
            missing = size
            while part := body.read(min(CHUNK, missing)):
                yield part
                missing -= len(part)
                if given_up.is_set() or time.monotonic() > deadline:
                    raise StorageUnavailable(f"Reading the original took longer than {self._fetch_seconds:.0f} s.")
        if missing:
            raise Transient(f"The connection broke off after {size - missing} of {size} bytes.")


def as_confirmed(bucket: str, source: Source) -> GetObjectRequestTypeDef:
    """A request for the very bytes that were there when the upload was confirmed."""
    wanted: GetObjectRequestTypeDef = {
        "Bucket": bucket,
        "Key": source.key,
        "IfMatch": f'"{source.etag.strip(chr(34))}"',
    }
    if source.version_id:
        wanted["VersionId"] = source.version_id
    return wanted

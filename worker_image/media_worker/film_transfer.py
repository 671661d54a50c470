"""Originals of films out of object storage into a file, and what is made of them from files into it, piece by piece.

Apart from `transfer`, which moves whole images through memory: a film is larger than that, and a call that moved all
of it would neither end soon when it is cancelled nor go on where it broke off.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import structlog

from media_core.asset import Source
from media_worker.calls import Calls, SourceRefused, StorageUnavailable, Transient, changed
from media_worker.transfer import CHUNK, IMMUTABLE, as_confirmed

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

FETCHED_AT_ONCE = 64 << 20
STORED_AT_ONCE = 8 << 20
"""Bytes of one PUT, which are held in memory. S3 takes no less than 5 MiB a part, and no more than 10,000 parts."""
T = TypeVar("T")

log = structlog.get_logger()


class FileShrank(Exception):
    """A file has become shorter while it was being read."""


class FilmStorage:
    """One bucket, seen by a worker that makes films."""

    def __init__(self, s3: S3Client, bucket: str, threads: int, patience_seconds: float) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._calls = Calls(threads, patience_seconds)

    async def fetch(self, source: Source, file: int) -> None:
        """Write the original to an open file, exactly as it was when its upload was confirmed.

        Raises SourceRefused, StorageUnavailable, and OSError where the disk has no room for it.
        """
        for offset in range(0, source.size_bytes, FETCHED_AT_ONCE):
            given_up = threading.Event()
            length = min(FETCHED_AT_ONCE, source.size_bytes - offset)
            await self._calls.patiently(lambda: self._read(source, file, offset, length, given_up), given_up)  # noqa: B023

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store something small. Raises StorageUnavailable."""
        await self._put_whole(key, lambda: body, content_type)

    async def put_file(self, key: str, file: int, size: int, content_type: str) -> None:
        """Store the first `size` bytes of an open file. Raises StorageUnavailable and FileShrank."""
        try:
            if size <= STORED_AT_ONCE:
                await self._put_whole(key, lambda: _exactly(file, size, 0), content_type)
            else:
                await self._put_parts(key, file, size, content_type)
        except SourceRefused as error:
            # Nothing of the original is asked for here: an upload in parts is gone, or the bucket is.
            raise StorageUnavailable(f"Object storage has lost an upload: {error.__cause__}") from error

    def close(self) -> None:
        """Start nothing more."""
        self._calls.close()
        self._s3.close()

    def _read(self, source: Source, file: int, offset: int, length: int, given_up: threading.Event) -> None:
        wanted = as_confirmed(self._bucket, source)
        wanted["Range"] = f"bytes={offset}-{offset + length - 1}"
        answer = self._s3.get_object(**wanted)
        with answer["Body"] as body:
            total = answer.get("ContentRange", "").rpartition("/")[2] or str(answer["ContentLength"])
            if total != str(source.size_bytes):
                raise changed(f"it has {total} bytes, and had {source.size_bytes} then")
            done = 0
            while chunk := body.read(CHUNK):
                _write(file, chunk, offset + done)
                done += len(chunk)
                if given_up.is_set():
                    return
        if done != length:
            raise Transient(f"The connection broke off after {offset + done} of {source.size_bytes} bytes.")

    async def _put_whole(self, key: str, body: Callable[[], bytes], content_type: str) -> None:
        """The body is read in the thread that sends it, and is gone with it."""

        def put() -> None:
            self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=body(), ContentType=content_type, CacheControl=IMMUTABLE
            )

        await self._calls.patiently(put)

    async def _put_parts(self, key: str, file: int, size: int, content_type: str) -> None:
        """One part after the other. What is not completed is given up: nobody sees an upload that was only begun."""
        bucket, s3 = self._bucket, self._s3
        begun = await self._calls.patiently(
            lambda: s3.create_multipart_upload(
                Bucket=bucket, Key=key, ContentType=content_type, CacheControl=IMMUTABLE
            )
        )
        upload = begun["UploadId"]
        try:
            parts: list[CompletedPartTypeDef] = []
            for number, offset in enumerate(range(0, size, STORED_AT_ONCE), start=1):
                length = min(STORED_AT_ONCE, size - offset)
                stored = await self._calls.patiently(
                    lambda: s3.upload_part(
                        Bucket=bucket,
                        Key=key,
                        UploadId=upload,
                        PartNumber=number,  # noqa: B023
                        Body=_exactly(file, length, offset),  # noqa: B023
                    )
                )
                parts.append({"PartNumber": number, "ETag": stored["ETag"]})
            await self._calls.patiently(
                lambda: s3.complete_multipart_upload(
                    Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
                )
            )
        except BaseException:
            await self._once(lambda: s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload))
            raise

    async def _once(self, call: Callable[[], T]) -> None:
        """A call that may fail: it is made after a failure that is what matters."""
        try:
            async with asyncio.timeout(5):
                await self._calls.patiently(call)
        except (StorageUnavailable, SourceRefused, TimeoutError) as error:
            log.warning("upload_left_behind", error=str(error))


def _write(file: int, chunk: bytes, offset: int) -> None:
    """All of it: a disk that is nearly full takes a part."""
    view = memoryview(chunk)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written


def _exactly(file: int, length: int, offset: int) -> bytes:
    parts = []
    while length:
        part = os.pread(file, length, offset)
        if not part:
            raise FileShrank(f"It ended {length} bytes too early.")
        parts.append(part)
        length, offset = length - len(part), offset + len(part)
    return b"".join(parts)

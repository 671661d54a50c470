"""A small client of the REST API: announce, PUT, confirm, wait. Answers are the API's own models."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import aiohttp

from media_api.models import AssetAnswer, PlaybackAnswer, UploadAnswer
from media_core.asset import TranscodeStatus
from media_devcluster.guessing import Media

PREFIX = "/api/v1/media"
CHUNK_BYTES = 256 * 1024
POLL_SECONDS = 0.05
CALL_SECONDS = 30.0
TRANSFER_SECONDS = 3600.0
SETTLED = (TranscodeStatus.COMPLETED, TranscodeStatus.FAILED)


class Refused(Exception):
    """The API or object storage said no, in a sentence; `status` is 0 where it did not answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """One user's session."""

    def __init__(self, base_url: str, token: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._token = token
        # Without cookies, and with its own headers per call: presigned URLs must not be sent the token.
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def announce(self, media: Media) -> UploadAnswer:
        """Ask for a place to put the file."""
        body = {
            "asset_type": media.asset_type.value,
            "content_type": media.content_type,
            "original_filename": media.path.name,
            "size_bytes": media.size_bytes,
        }
        return UploadAnswer.model_validate(await self._call("POST", "/upload", body))

    async def put(self, media: Media, upload: UploadAnswer, sent: Callable[[int], None] = lambda _: None) -> None:
        """Put the file there; `sent` is told the bytes so far."""
        headers = {**upload.required_headers, "Content-Length": str(media.size_bytes)}
        timeout = aiohttp.ClientTimeout(total=TRANSFER_SECONDS, sock_connect=CALL_SECONDS)
        try:
            async with self._session.put(
                upload.upload_url, data=_chunks(media.path, sent), headers=headers, timeout=timeout
            ) as answer:
                if answer.status >= 300:
                    raise Refused(answer.status, f"Object storage refused the file: {_said(await answer.text())}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Refused(0, f"The file could not be sent: {error or type(error).__name__}") from error

    async def confirm(self, asset_id: object) -> None:
        """Say that the file is there."""
        await self._call("POST", "/upload/confirm", {"asset_id": str(asset_id)})

    async def playback(self, asset_id: object) -> PlaybackAnswer:
        """What a page would show of it."""
        return PlaybackAnswer.model_validate(await self._call("GET", f"/playback/{asset_id}"))

    async def asset(self, asset_id: object) -> AssetAnswer:
        """All there is to know of it."""
        return AssetAnswer.model_validate(await self._call("GET", f"/assets/{asset_id}"))

    async def delete(self, asset_id: object) -> None:
        """Delete it and its files."""
        await self._call("DELETE", f"/assets/{asset_id}")

    async def settled(
        self,
        asset_id: object,
        seconds: float,
        seen: Callable[[PlaybackAnswer], None] = lambda _: None,
        pause_seconds: float = POLL_SECONDS,
    ) -> PlaybackAnswer:
        """Poll playback until it is settled or the time is over; returns the last answer, `seen` gets each."""
        deadline = time.monotonic() + seconds
        while True:
            answer = await self.playback(asset_id)
            seen(answer)
            if answer.transcode_status in SETTLED or time.monotonic() >= deadline:
                return answer
            await asyncio.sleep(pause_seconds)

    async def download(self, url: str) -> bytes:
        """The bytes behind a URL of an answer (redirects followed)."""
        whole = urljoin(f"{self.base_url}{PREFIX}/", url)
        try:
            async with self._session.get(whole) as answer:
                if answer.status >= 300:
                    raise Refused(answer.status, f"{whole} answered {answer.status}")
                return await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Refused(0, f"{whole} could not be read: {error or type(error).__name__}") from error

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            async with self._session.request(
                method, f"{self.base_url}{PREFIX}{path}", json=body, headers=headers
            ) as answer:
                text = await answer.text()
                if answer.status >= 300:
                    raise Refused(answer.status, _said(text) or f"{method} {path} answered {answer.status}")
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Refused(0, f"The API at {self.base_url} does not answer: {error or type(error).__name__}") from error
        return json.loads(text) if text else None


async def _chunks(path: Path, sent: Callable[[int], None]) -> AsyncIterator[bytes]:
    done = 0
    with await asyncio.to_thread(path.open, "rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
            yield chunk
            done += len(chunk)
            sent(done)


def _said(text: str) -> str:
    """The sentence in a problem, or in S3's XML, or the beginning of whatever it is."""
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, TypeError, KeyError):
        pass
    _, found, rest = text.partition("<Message>")
    return rest.partition("</Message>")[0] if found else text[:200].strip()

"""Proof that an installed service works: a picture goes up through the API, is processed, is played back, is deleted.

What `helm test` runs, as any client of the service would: it knows the API's address and a token, and nothing of what
is behind. Each step is told in one line of JSON on standard output; the first that fails ends it with a sentence on
standard error and code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import struct
import sys
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import jwt
from pydantic import Field, SecretStr, model_validator
from yarl import URL

from media_core.settings import ServiceSettings, load_or_exit

OWNER = "media-selftest"
WIDTH, HEIGHT = 320, 240
POLL_SECONDS = 0.5
REQUEST_SECONDS = 15.0
TIDY_SECONDS = 10.0
SHOWN = 300
_URL = r"^https?://[^\s/?#]+/?$"


class SelftestSettings(ServiceSettings):
    """Everything the self-test can be told."""

    url: str = Field(
        alias="MEDIA_SELFTEST_URL",
        description="Where the API is.",
        pattern=_URL,
        examples=["http://media-api.media.svc"],
    )
    timeout_seconds: float = Field(
        120.0,
        alias="MEDIA_SELFTEST_TIMEOUT_SECONDS",
        description="Seconds all of it may take.",
        gt=0,
        le=3600,
        examples=["120"],
    )
    s3_endpoint_url: str | None = Field(
        None,
        alias="MEDIA_SELFTEST_S3_ENDPOINT_URL",
        description="Where presigned URLs lead from here, if not to the host they name, which stays signed.",
        pattern=_URL,
        examples=["http://media-s3.media.svc:7070"],
    )
    token: SecretStr | None = Field(
        None,
        alias="MEDIA_SELFTEST_TOKEN",
        description="Token to use; without one it is made with MEDIA_JWT_SECRET.",
        examples=["eyJhbGciOi..."],
    )
    jwt_secret: SecretStr | None = Field(
        None,
        alias="MEDIA_JWT_SECRET",
        description="The API's secret of HS256 tokens.",
        examples=["<32 or more random bytes>"],
    )
    jwt_audience: str = Field(
        "media",
        alias="MEDIA_JWT_AUDIENCE",
        description="Audience (`aud`) the API's tokens are made for.",
        min_length=1,
        examples=["media"],
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.token is None and self.jwt_secret is None:
            raise ValueError("one of MEDIA_SELFTEST_TOKEN and MEDIA_JWT_SECRET is needed")
        return self

    def bearer(self, now: float) -> str:
        """The token given, or one that ends soon after the test has to."""
        if self.token is not None:
            return self.token.get_secret_value()
        assert self.jwt_secret is not None
        claims = {"sub": OWNER, "aud": self.jwt_audience, "exp": int(now + self.timeout_seconds + 60)}
        return jwt.encode(claims, self.jwt_secret.get_secret_value(), algorithm="HS256")


class SelftestFailed(Exception):
    """The service does not work; the text says at which step, and what happened."""


Tell = Callable[[Mapping[str, Any]], None]


def picture() -> bytes:
    """A small PNG with something on it: red grows to the right, green downwards."""
    rows = b"".join(
        b"\x00" + b"".join(bytes((x * 255 // WIDTH, y * 255 // HEIGHT, 128)) for x in range(WIDTH))
        for y in range(HEIGHT)
    )

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def is_webp(content: bytes) -> bool:
    """By its first bytes, and by the length they announce."""
    return (
        content[:4] == b"RIFF"
        and content[8:12] == b"WEBP"
        and len(content) == int.from_bytes(content[4:8], "little") + 8
    )


class Selftest:
    """One picture and its way. `tell` gets a line for each step."""

    def __init__(self, settings: SelftestSettings, http: aiohttp.ClientSession, tell: Tell) -> None:
        self._settings, self._http, self._tell = settings, http, tell
        self._step = "start"
        self._stands = ""
        self._asset: str | None = None

    async def run(self) -> None:
        """All steps in order. Raises SelftestFailed."""
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                await self._walk()
        except TimeoutError:
            seconds = self._settings.timeout_seconds
            stands = f" {self._stands}" if self._stands else ""
            raise SelftestFailed(f"{self._step}: not done {seconds:g} s after the start.{stands}") from None
        finally:
            if self._asset is not None:
                await self._tidy(self._asset)

    async def _walk(self) -> None:
        content = picture()
        with self._told("ask") as said:
            asked = await self._ask(content)
            self._asset = said["asset_id"] = str(asked["asset_id"])
        with self._told("upload") as said:
            headers = {name: value for name, value in asked["required_headers"].items() if name != "Content-Length"}
            await self._at_storage("PUT", asked["upload_url"], headers, content)
            said["bytes"] = len(content)
        with self._told("confirm"):
            await self._at_api("POST", "/api/v1/media/upload/confirm", 202, {"asset_id": self._asset})
        with self._told("process") as said:
            playback = await self._processed(self._asset)
            said["variants"] = [variant["name"] for variant in playback["variants"]]
        with self._told("play") as said:
            said["bytes"] = await self._play(playback)
        with self._told("delete"):
            await self._at_api("DELETE", f"/api/v1/media/assets/{self._asset}", 202)
            await self._at_api("GET", f"/api/v1/media/playback/{self._asset}", 404)
            self._asset = None

    async def _ask(self, content: bytes) -> dict[str, Any]:
        return await self._at_api(
            "POST",
            "/api/v1/media/upload",
            201,
            {
                "asset_type": "IMAGE",
                "content_type": "image/png",
                "original_filename": "selftest.png",
                "size_bytes": len(content),
                "sha256": base64.b64encode(hashlib.sha256(content).digest()).decode(),
            },
        )

    async def _processed(self, asset: str) -> dict[str, Any]:
        while True:
            playback = await self._at_api("GET", f"/api/v1/media/playback/{asset}", 200)
            status = playback["transcode_status"]
            self._stands = f"It is {status}: {playback['reason']}: {playback['message']}"
            if status == "FAILED":
                raise SelftestFailed(f"{self._step}: the picture failed. {self._stands}")
            if status == "COMPLETED":
                if (playback["width"], playback["height"]) != (WIDTH, HEIGHT) or not playback["variants"]:
                    raise SelftestFailed(f"{self._step}: completed, but not as {WIDTH}x{HEIGHT} with variants.")
                return playback
            await asyncio.sleep(POLL_SECONDS)

    async def _play(self, playback: Mapping[str, Any]) -> int:
        """Fetch a rendition as a browser does; its size. A CDN before the API is left out: it may not be there yet."""
        path = urlsplit(playback["variants"][0]["url"]).path
        path = path[path.index("/media/serve/") :]
        async with self._asked("GET", self._settings.url.rstrip("/") + path) as answer:
            await self._expect(answer, 302)
            location = answer.headers["Location"]
        content = await self._at_storage("GET", location, {})
        if not is_webp(content):
            raise SelftestFailed(f"{self._step}: {path} is no WebP; it begins with {content[:12]!r}.")
        return len(content)

    async def _tidy(self, asset: str) -> None:
        """Delete what a failed test leaves. That this fails as well is told, and hides no reason."""
        try:
            async with asyncio.timeout(TIDY_SECONDS):
                await self._at_api("DELETE", f"/api/v1/media/assets/{asset}", 202)
        except (SelftestFailed, TimeoutError) as error:
            self._tell({"step": "tidy", "asset_id": asset, "left": f"{type(error).__name__}: {error}"})

    async def _at_api(self, method: str, path: str, wanted: int, body: object = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._settings.bearer(time.time())}"}
        async with self._asked(method, self._settings.url.rstrip("/") + path, headers=headers, json=body) as answer:
            await self._expect(answer, wanted)
            found: dict[str, Any] = await answer.json(content_type=None)
            return found

    async def _at_storage(self, method: str, url: str, headers: Mapping[str, str], content: bytes = b"") -> bytes:
        named = urlsplit(url)
        sent = dict(headers)
        if self._settings.s3_endpoint_url is not None:
            reached = urlsplit(self._settings.s3_endpoint_url)
            url = named._replace(scheme=reached.scheme, netloc=reached.netloc).geturl()
            sent["Host"] = named.netloc
        hint = (
            " Presigned URLs name the public S3 endpoint; MEDIA_SELFTEST_S3_ENDPOINT_URL says where it is from here."
        )
        async with self._asked(method, url, hint, headers=sent, data=content or None) as answer:
            await self._expect(answer, 200)
            body: bytes = await answer.read()
            return body

    @asynccontextmanager
    async def _asked(
        self, method: str, url: str, hint: str = "", **rest: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer, whatever its status. Raises SelftestFailed where there is none."""
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        target = URL(url, encoded=True)
        try:
            async with self._http.request(method, target, allow_redirects=False, timeout=timeout, **rest) as answer:
                yield answer
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            said = f"{type(error).__name__}: {error}".rstrip(": ")
            raise SelftestFailed(f"{self._step}: {method} {_shown(target)} was not answered: {said}.{hint}") from error

    async def _expect(self, answer: aiohttp.ClientResponse, wanted: int) -> None:
        if answer.status != wanted:
            text = " ".join((await answer.text(errors="replace"))[:SHOWN].split())
            asked = f"{answer.method} {_shown(answer.url)}"
            raise SelftestFailed(f"{self._step}: {asked} was answered {answer.status}, not {wanted}: {text}")

    @contextmanager
    def _told(self, step: str) -> Iterator[dict[str, Any]]:
        self._step = step
        began, said = time.monotonic(), dict[str, Any]()
        yield said
        self._tell({"step": step, "seconds": round(time.monotonic() - began, 3), **said})


def _shown(url: URL) -> str:
    """Without its query: that of a presigned URL is a secret."""
    return str(url.with_query(None))


async def run(settings: SelftestSettings, tell: Tell) -> None:
    """The whole test against one service. Raises SelftestFailed."""
    async with aiohttp.ClientSession(auto_decompress=False) as http:
        await Selftest(settings, http, tell).run()


def main() -> None:
    """Entry point of `media-selftest`."""
    parser = argparse.ArgumentParser(
        prog="media-selftest",
        description="Upload a picture, wait until it is processed, play it back and delete it; "
        "configured by environment variables: MEDIA_SELFTEST_URL, and MEDIA_SELFTEST_TOKEN or MEDIA_JWT_SECRET.",
    )
    parser.parse_args()
    settings = load_or_exit(SelftestSettings)
    try:
        asyncio.run(run(settings, lambda line: print(json.dumps(line), flush=True)))
    except SelftestFailed as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()

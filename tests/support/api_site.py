"""A running API over real HTTP, PostgreSQL and S3, and the client of a test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
from aiohttp import web

from media_api.app import build_app, connect
from media_api.ports import Ports
from media_api.settings import ApiSettings
from media_core.names import ASSETS, GROUP, VERSION
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3

SECRET = "a secret of the tests that is long enough"
AUDIENCE = "media"
NAMESPACE = "default"
ALICE, BOB = "alice", "bob"
OBJECTS = f"/apis/{GROUP}/{VERSION}/namespaces/{NAMESPACE}/{ASSETS}"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(range(256)) * 8
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(200)


def token(owner: str = ALICE, secret: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    """A token that is valid unless the claims say otherwise; a claim that is None is left out."""
    all_claims = {"sub": owner, "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
    kept = {name: value for name, value in all_claims.items() if value is not None}
    return jwt.encode(kept, secret, algorithm=algorithm)


def bearer(owner: str = ALICE) -> dict[str, str]:
    """The headers of an owner."""
    return {"Authorization": f"Bearer {token(owner)}"}


@dataclass(frozen=True)
class Answered:
    """An answer that was read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    json: Any

    @property
    def problem(self) -> str:
        """The last part of the type of a problem."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.body
        return str(self.json["type"]).rpartition("/")[2]


@dataclass(frozen=True)
class ApiSite:
    """The API, its ports, and what is around it."""

    url: str
    http: aiohttp.ClientSession
    ports: Ports
    cluster: EmbeddedCluster | None
    store: S3

    async def call(
        self,
        method: str,
        path: str,
        *,
        owner: str | None = ALICE,
        headers: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> Answered:
        """One request; redirects are not followed."""
        sent = {**(bearer(owner) if owner else {}), **(headers or {})}
        async with self.http.request(method, self.url + path, headers=sent, allow_redirects=False, **rest) as answer:
            body = await answer.read()
            plain = await answer.json(content_type=None) if "json" in answer.headers.get("Content-Type", "") else None
            return Answered(answer.status, answer.headers, body, plain)

    async def ask(self, owner: str = ALICE, **fields: Any) -> Answered:
        """Ask for an upload; of a JPEG unless the fields say otherwise."""
        body = {
            "asset_type": "IMAGE",
            "content_type": "image/jpeg",
            "original_filename": "photo.jpg",
            **fields,
        }
        return await self.call("POST", "/api/v1/media/upload", owner=owner, json=body)

    async def put(self, asked: Answered, content: bytes) -> int:
        """Upload as the answer says; the status."""
        headers = {name: value for name, value in asked.json["required_headers"].items() if name != "Content-Length"}
        async with self.http.put(asked.json["upload_url"], data=content, headers=headers) as answer:
            return answer.status

    async def confirm(self, asset_id: str, owner: str = ALICE) -> Answered:
        """Say that it is uploaded; returns when the object is made as well, or is left to the operator."""
        answered = await self.call("POST", "/api/v1/media/upload/confirm", owner=owner, json={"asset_id": asset_id})
        await self.ports.creation.settled()
        return answered

    async def upload(self, content: bytes = JPEG, owner: str = ALICE, **fields: Any) -> Answered:
        """All three steps; the answer to the first."""
        asked = await self.ask(owner, **fields)
        assert asked.status == 201, asked.body
        assert await self.put(asked, content) == 200
        confirmed = await self.confirm(asked.json["asset_id"], owner)
        assert confirmed.status == 202, confirmed.body
        return asked

    async def object_of(self, asset_id: str) -> dict[str, Any] | None:
        """The MediaAsset, if there is one."""
        assert self.cluster is not None
        async with self.http.get(f"{self.cluster.url}{OBJECTS}/{asset_id}") as answer:
            if answer.status == 404:
                return None
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def change_object(self, asset_id: str, patch: dict[str, Any], subresource: str = "") -> None:
        """As somebody else changes it."""
        assert self.cluster is not None
        url = f"{self.cluster.url}{OBJECTS}/{asset_id}{subresource}"
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self.http.patch(url, json=patch, headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def remove_object(self, asset_id: str) -> None:
        """As it leaves the cluster when its time is over: without its finalizer."""
        assert self.cluster is not None
        await self.change_object(asset_id, {"metadata": {"finalizers": None}})
        async with self.http.delete(f"{self.cluster.url}{OBJECTS}/{asset_id}") as answer:
            assert answer.status == 200, await answer.text()


def settings_of(database_url: str, store: S3, cluster: EmbeddedCluster | None, **changed: Any) -> ApiSettings:
    """Settings by the names of their variables."""
    values: dict[str, Any] = {
        **store.environment,
        "MEDIA_DATABASE_URL": database_url,
        "MEDIA_NAMESPACE": NAMESPACE,
        "MEDIA_JWT_SECRET": SECRET,
        "MEDIA_JWT_AUDIENCE": AUDIENCE,
        "MEDIA_HOST": "127.0.0.1",
        "MEDIA_PORT": 0,
        "MEDIA_STORAGE_THREADS": 8,
        "KUBECONFIG": str(cluster.kubeconfig) if cluster else "/nonexistent/kubeconfig",
        **changed,
    }
    return ApiSettings(**{name: value for name, value in values.items() if value is not None})


@asynccontextmanager
async def api_site(
    database_url: str, store: S3, cluster: EmbeddedCluster | None, **changed: Any
) -> AsyncIterator[ApiSite]:
    """An API of these settings, in this process and loop, on a port of its own."""
    settings = settings_of(database_url, store, cluster, **changed)
    async with connect(settings) as ports, aiohttp.ClientSession() as http:
        runner = web.AppRunner(build_app(ports), access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, settings.host, settings.port)
            await site.start()
            port = runner.addresses[0][1]
            yield ApiSite(f"http://127.0.0.1:{port}", http, ports, cluster, store)
        finally:
            await http.close()
            await asyncio.wait_for(runner.cleanup(), 10)

"""PostgreSQL that is stopped, silent or not migrated: 503 at once, and back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from support.api_site import JPEG, ApiSite, api_site
from support.backends import Gate, PostgresServer
from support.deadlines import eventually

pytestmark = pytest.mark.failure("F13")


@dataclass(frozen=True)
class Gated:
    """An API whose PostgreSQL is behind a gate, with a confirmed asset."""

    api: ApiSite
    gate: Gate
    asset_id: str
    key: str


@pytest.fixture
async def gated(
    postgres: PostgresServer, database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> AsyncIterator[Gated]:
    async with Gate(postgres.address) as gate, api_site(gate.url(database_url), object_store, embedded_cluster) as api:
        asked = await api.upload(JPEG)
        yield Gated(api, gate, asked.json["asset_id"], asked.json["s3_key"])


def requests(site: Gated) -> dict[str, tuple[str, str, dict[str, str] | None]]:
    wanted = {"asset_type": "IMAGE", "content_type": "image/jpeg", "original_filename": "a.jpg"}
    return {
        "upload": ("POST", "/api/v1/media/upload", wanted),
        "confirm": ("POST", "/api/v1/media/upload/confirm", {"asset_id": site.asset_id}),
        "playback": ("GET", f"/api/v1/media/playback/{site.asset_id}", None),
        "list": ("GET", "/api/v1/media/assets", None),
        "look": ("GET", f"/api/v1/media/assets/{site.asset_id}", None),
        "serve": ("GET", f"/media/serve/{site.key}", None),
        "stream": ("GET", f"/media/stream/{site.key}", None),
        "retry": ("POST", f"/api/v1/media/assets/{site.asset_id}/retry", None),
        "delete": ("DELETE", f"/api/v1/media/assets/{site.asset_id}", None),
    }


@pytest.mark.parametrize("silent", [False, True], ids=["stopped", "silent"])
async def test_without_postgresql_every_request_is_told_soon_to_come_back_later(gated: Gated, silent: bool) -> None:
    assert (await gated.api.call("GET", "/readyz", owner=None)).status == 200
    if silent:
        gated.gate.silence()
    else:
        await gated.gate.shut()
    loop = asyncio.get_running_loop()

    async def ask(what: str, method: str, path: str, body: dict[str, str] | None) -> None:
        began = loop.time()
        refused = await gated.api.call(method, path, json=body)
        assert (refused.status, refused.problem) == (503, "database-unavailable"), what
        assert int(refused.headers["Retry-After"]) > 0
        assert loop.time() - began < 5, what

    await asyncio.gather(*(ask(what, *request) for what, request in requests(gated).items()))
    degraded = await gated.api.call("GET", "/readyz", owner=None)
    assert (degraded.status, degraded.json["status"]) == (200, "degraded"), "or nobody would reach that 503"
    assert degraded.json["missing"] == ["postgresql"]
    assert (await gated.api.call("GET", "/healthz", owner=None)).status == 200

    await gated.gate.open()

    async def recovered() -> bool:
        return (await gated.api.call("GET", f"/api/v1/media/playback/{gated.asset_id}", owner=None)).status == 200

    await eventually(recovered)
    assert (await gated.api.call("GET", "/readyz", owner=None)).status == 200


async def test_a_restart_of_postgresql_breaks_no_later_request(gated: Gated) -> None:
    await gated.gate.shut()
    await gated.gate.open()

    async def listed() -> bool:
        return (await gated.api.call("GET", "/api/v1/media/assets")).status == 200

    await eventually(listed)
    assert await listed()


async def test_a_database_that_is_not_migrated_yet_is_not_ready_and_no_error_of_ours(
    empty_database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with api_site(empty_database_url, object_store, embedded_cluster) as api:
        unready = await api.call("GET", "/readyz", owner=None)
        assert (unready.status, unready.json["missing"]) == (503, ["postgresql"])
        refused = await api.ask()
        assert (refused.status, refused.problem) == (503, "database-unavailable")

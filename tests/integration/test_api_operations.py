"""Health, metrics, documentation, errors in general, CORS, request ids."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from support.api_site import ApiSite, api_site, token


async def test_everything_there_is_ready(api: ApiSite) -> None:
    ready = await api.call("GET", "/readyz", owner=None)
    assert (ready.status, ready.json["status"], ready.json["missing"]) == (200, "ready", [])


@pytest.mark.failure("F12")
async def test_without_kubernetes_it_is_degraded_but_ready(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with api_site(database_url, object_store, None) as api:
        ready = await api.call("GET", "/readyz", owner=None)
        assert (ready.status, ready.json["status"]) == (200, "degraded")
        assert ready.json["checks"]["kubernetes"] != "ok"


async def test_requests_are_measured_by_route_and_not_by_path(api: ApiSite) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    await api.call("GET", f"/api/v1/media/playback/{asset_id}")
    exposed = (await api.call("GET", "/metrics", owner=None)).body.decode()
    assert 'route="/api/v1/media/playback/{asset_id}",status="200"' in exposed
    assert asset_id not in exposed
    assert 'media_api_uploads_total{asset_type="IMAGE"} 1.0' in exposed
    assert 'media_api_objects_total{outcome="created"} 1.0' in exposed


async def test_an_unknown_path_and_a_wrong_method_are_problems_too(api: ApiSite) -> None:
    unknown = await api.call("GET", "/api/v1/media/nothing")
    assert (unknown.status, unknown.problem) == (404, "not-found")
    wrong = await api.call("PUT", "/api/v1/media/upload")
    assert (wrong.status, wrong.problem, wrong.headers["Allow"]) == (405, "method-not-allowed", "POST")


async def test_a_bug_is_answered_without_saying_what_it_was(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    async with api_site(database_url, object_store, embedded_cluster) as api:
        asset_id = (await api.upload()).json["asset_id"]
        async with api.ports.ledger._connection() as connection:
            await connection.execute("ALTER TABLE media.assets RENAME COLUMN attempts TO tries")
        failed = await api.call("GET", f"/api/v1/media/assets/{asset_id}")
        assert (failed.status, failed.problem) == (500, "internal-error")
        assert "attempts" not in failed.body.decode()
        assert failed.json["request_id"] == failed.headers["X-Request-ID"]


async def test_a_request_id_is_taken_over_if_it_is_harmless(api: ApiSite) -> None:
    given = await api.call("GET", "/healthz", headers={"X-Request-ID": "abc-123"})
    assert given.headers["X-Request-ID"] == "abc-123"
    hostile = await api.call("GET", "/healthz", headers={"X-Request-ID": 'a"b{}' * 30})
    assert re.fullmatch("[0-9a-f]{32}", hostile.headers["X-Request-ID"])


async def test_without_origins_no_page_of_another_origin_may_call(api: ApiSite) -> None:
    answered = await api.call("GET", "/healthz", headers={"Origin": "https://evil.example.org"})
    assert "Access-Control-Allow-Origin" not in answered.headers
    preflight = await api.call(
        "OPTIONS",
        "/api/v1/media/upload",
        headers={"Origin": "https://evil.example.org", "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status == 405


async def test_pages_of_the_allowed_origins_may_call(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    origin = "https://app.example.org"
    async with api_site(database_url, object_store, embedded_cluster, MEDIA_CORS_ORIGINS=origin) as api:
        headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = await api.call("OPTIONS", "/api/v1/media/upload", headers=headers, owner=None)
        assert preflight.status == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == origin
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        refused = await api.call("GET", "/api/v1/media/assets", headers={"Origin": origin}, owner=None)
        assert refused.status == 401
        assert refused.headers["Access-Control-Allow-Origin"] == origin
        assert refused.headers["Vary"] == "Origin"
        other = await api.call("GET", "/healthz", headers={"Origin": "https://other.example.org"})
        assert "Access-Control-Allow-Origin" not in other.headers


async def test_the_documentation_is_served_whole_and_loads_nothing_from_elsewhere(api: ApiSite) -> None:
    described = (await api.call("GET", "/openapi.json", owner=None)).json
    assert described["openapi"].startswith("3.1")
    page = await api.call("GET", "/docs", owner=None)
    assert page.headers["Content-Type"].startswith("text/html")
    text = page.body.decode()
    for path in described["paths"]:
        assert path in text
    assert "<script" not in text
    assert not re.search(r'(src|href)="(https?:)?//', text)


async def test_the_log_has_one_line_a_request_and_no_query(api: ApiSite, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    await api.call("GET", "/api/v1/media/assets?limit=1&cursor=secret")
    said = "".join(capfd.readouterr())
    assert said.count("request_answered") == 1
    assert "secret" not in said


async def test_a_body_that_never_ends_is_given_up(api: ApiSite) -> None:
    # The answer to a half-sent body has to come while the connection is still open.
    reader, writer = await asyncio.open_connection("127.0.0.1", int(api.url.rpartition(":")[2]))
    writer.write(
        b"POST /api/v1/media/upload HTTP/1.1\r\nHost: media\r\nContent-Length: 100\r\n"
        + f"Authorization: Bearer {token()}\r\n\r\n".encode()
        + b'{"asset'
    )
    await writer.drain()
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
    assert b" 408 " in head
    body = json.loads(await reader.readuntil(b"}"))
    assert body["type"].endswith("/request-timeout")
    writer.close()

"""The player page as it is served: files, policy, caching. What it does is seen in tests/browser."""

from __future__ import annotations

import gzip
import re

import pytest

from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.objectstore import S3
from support.api_site import Answered, ApiSite, api_site

ANY = "11111111-1111-4111-8111-111111111111"


def directives(answer: Answered) -> dict[str, list[str]]:
    """The page's policy, by directive."""
    parts = answer.headers["Content-Security-Policy"].split("; ")
    return {name: values for name, *values in (part.split() for part in parts)}


@pytest.mark.parametrize("path", ["/", f"/player/{ANY}"])
async def test_a_page_has_nothing_inline_and_all_it_names_is_there(api: ApiSite, path: str) -> None:
    answer = await api.call("GET", path, owner=None)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    text = answer.body.decode()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son[a-z]+=", text)
    named = re.findall(r'(?:src|href)="(/player/static/[^"]+)"', text)
    assert named
    for name in named:
        assert (await api.call("GET", name, owner=None)).status == 200, name


async def test_the_policy_lets_a_page_reach_the_service_and_its_object_storage_and_nothing_else(api: ApiSite) -> None:
    policy = directives(await api.call("GET", "/", owner=None))
    storage = api.store.endpoint
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == policy["style-src"] == policy["worker-src"] == ["'self'"]
    assert policy["img-src"] == policy["connect-src"] == ["'self'", storage]
    assert policy["media-src"] == ["'self'", storage, "blob:"]
    assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == ["'none'"]


async def test_only_one_asset_may_be_framed_and_only_by_pages_that_may_use_the_api(
    database_url: str, object_store: S3, embedded_cluster: EmbeddedCluster
) -> None:
    changed = {"MEDIA_CORS_ORIGINS": "https://app.example.org", "MEDIA_PUBLIC_BASE_URL": "https://cdn.example.org/m"}
    async with api_site(database_url, object_store, embedded_cluster, **changed) as api:
        embedded = directives(await api.call("GET", f"/player/{ANY}", owner=None))
        assert embedded["frame-ancestors"] == ["'self'", "https://app.example.org"]
        assert "https://cdn.example.org" in embedded["connect-src"], "where the media are behind a CDN"
        assert directives(await api.call("GET", "/", owner=None))["frame-ancestors"] == ["'none'"]


@pytest.mark.parametrize("path", ["/", "/player/static/page.css", "/player/static/film.js"])
async def test_a_file_is_sent_packed_and_not_again_as_long_as_it_is_the_same(api: ApiSite, path: str) -> None:
    plain = await api.call("GET", path, owner=None, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Cache-Control"] == "no-cache"
    async with api.http.get(api.url + path, headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await packed.read()) == plain.body
    again = await api.call("GET", path, owner=None, headers={"If-None-Match": plain.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/player/static/nothing.js",
        "/player/static/..%2f..%2fapp.py",
        "/player/static/%2e%2e/app.py",
        "/player/static/hls.js.json",
        "/player/no-id",
        "/player/aa3febae-05dd-4511-a44d-1993307f9348/more",
    ],
)
async def test_what_is_no_file_of_the_page_is_not_found(api: ApiSite, path: str) -> None:
    answer = await api.call("GET", path, owner=None)
    assert (answer.status, answer.problem) == (404, "not-found")

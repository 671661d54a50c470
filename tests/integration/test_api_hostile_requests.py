"""Requests and rows that nobody honest makes: each is answered as a refusal, never as an error of ours."""

from __future__ import annotations

import base64
import json
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from support.api_site import ApiSite


def cursor(*content: Any) -> str:
    """A cursor as the service writes it, of a content that it would not write."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param("", id="empty"),
        pytest.param("\u00fc", id="letters that are no base64"),
        pytest.param(cursor(), id="nothing in it"),
        pytest.param(cursor(1, 2), id="numbers"),
        pytest.param(cursor("2026-01-01T00:00:00+00:00", "42"), id="an id that is none"),
        pytest.param(cursor("2026-01-01T00:00:00", str(uuid4())), id="a moment without its zone"),
        pytest.param(cursor("0001-01-01T00:00:00+23:59", str(uuid4())), id="a moment before the calendar"),
        pytest.param(cursor("9999-12-31T23:59:59-23:59", str(uuid4())), id="a moment after the calendar"),
    ],
)
async def test_a_forged_cursor_is_refused(api: ApiSite, forged: str) -> None:
    refused = await api.call("GET", "/api/v1/media/assets", params={"cursor": forged})
    assert (refused.status, refused.problem) == (422, "invalid-request")
    assert [error["field"] for error in refused.json["errors"]] == ["cursor"]


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1.5", "\u0663", "9" * 5000])
async def test_a_limit_that_is_no_number_of_ours_is_refused(api: ApiSite, limit: str) -> None:
    refused = await api.call("GET", "/api/v1/media/assets", params={"limit": limit})
    assert (refused.status, refused.problem) == (422, "invalid-request")


@pytest.mark.parametrize("asset_id", ["42", "0" * 32, "{00000000-0000-4000-8000-000000000000}", "%00", "%ff"])
async def test_what_is_no_id_names_no_asset(api: ApiSite, asset_id: str) -> None:
    assert (await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)).problem == "not-found"
    for method in ("GET", "DELETE"):
        assert (await api.call(method, f"/api/v1/media/assets/{asset_id}")).problem == "not-found"


async def test_a_status_that_cannot_be_read_does_not_hide_the_list(api: ApiSite, database: asyncpg.Connection) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    await database.execute(
        "UPDATE media.assets SET state = 'settled', transcode_status = 'COMPLETED', status = $2 WHERE id = $1",
        asset_id,
        json.dumps({"phase": "Unheard-of"}),
    )
    page = await api.call("GET", "/api/v1/media/assets")
    assert [asset["asset_id"] for asset in page.json["assets"]] == [asset_id]
    assert page.json["assets"][0]["variants"] == []


async def test_a_name_cannot_break_out_of_its_header(api: ApiSite) -> None:
    asked = await api.upload(original_filename='a"; filename="evil.html\\')
    streamed = await api.call("GET", f"/media/stream/{asked.json['s3_key']}", owner=None)
    assert streamed.status == 200
    shown = streamed.headers["Content-Disposition"]
    assert shown.partition(" filename*=")[0] == 'inline; filename="a__ filename__evil.html_";'

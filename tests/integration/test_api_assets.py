"""An owner's assets: list, look, delete, retry."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from media_core.asset import TranscodeStatus
from media_core.names import RETRY_ANNOTATION
from media_devcluster.embedded.cluster import EmbeddedCluster
from support.api_site import ALICE, BOB, JPEG, ApiSite

ASSETS = "/api/v1/media/assets"
FAILED = {"phase": "Failed", "conditions": []}


async def settle(database: asyncpg.Connection, asset_id: str, status: str, **columns: Any) -> None:
    """As the operator mirrors a settled asset."""
    await database.execute(
        "UPDATE media.assets SET state = 'settled', transcode_status = $2, settled_at = now(), attempts = 3, "
        "reason = 'AttemptsExhausted', message = 'It failed three times.', status = $3, cr_uid = $4, "
        "resource_version = 7 WHERE id = $1",
        asset_id,
        status,
        json.dumps(columns.get("mirrored", FAILED)),
        uuid4(),
    )


async def test_an_owner_sees_own_assets_newest_first_and_nobody_elses(api: ApiSite) -> None:
    first = (await api.upload()).json["asset_id"]
    second = (await api.upload()).json["asset_id"]
    await api.upload(owner=BOB)
    listed = await api.call("GET", ASSETS)
    assert listed.status == 200
    assert [asset["asset_id"] for asset in listed.json["assets"]] == [second, first]
    assert listed.json["next_cursor"] is None


async def test_drafts_and_deleted_assets_are_not_listed_nor_shown(api: ApiSite, database: asyncpg.Connection) -> None:
    draft = (await api.ask()).json["asset_id"]
    deleting = (await api.upload()).json["asset_id"]
    deleted = (await api.upload()).json["asset_id"]
    await database.execute("UPDATE media.assets SET state = 'deleting' WHERE id = $1", deleting)
    await database.execute("UPDATE media.assets SET state = 'deleted' WHERE id = $1", deleted)
    assert (await api.call("GET", ASSETS)).json["assets"] == []
    for asset_id in (draft, deleting, deleted):
        assert (await api.call("GET", f"{ASSETS}/{asset_id}")).problem == "not-found"
        assert (await api.call("GET", f"/api/v1/media/playback/{asset_id}", owner=None)).problem == "not-found"


async def test_pages_follow_each_other_without_gaps_or_repetitions(api: ApiSite, database: asyncpg.Connection) -> None:
    uploaded = [(await api.upload()).json["asset_id"] for _ in range(5)]
    # Two of the same moment: the id decides.
    await database.execute(
        "UPDATE media.assets SET created_at = '2026-01-01' WHERE id = ANY($1::uuid[])", uploaded[:2]
    )
    seen: list[str] = []
    query = "?limit=2"
    for _ in range(3):
        page = (await api.call("GET", ASSETS + query)).json
        seen += [asset["asset_id"] for asset in page["assets"]]
        query = f"?limit=2&cursor={page['next_cursor']}"
    assert page["next_cursor"] is None
    assert sorted(seen) == sorted(uploaded)
    assert seen[:3] == uploaded[:1:-1]


async def test_the_list_can_be_narrowed_by_type_and_status(api: ApiSite, database: asyncpg.Connection) -> None:
    image = (await api.upload()).json["asset_id"]
    pdf = (await api.upload(b"%PDF-1.7", asset_type="PDF", content_type="application/pdf")).json["asset_id"]
    await settle(database, image, "FAILED")

    async def found(query: str) -> list[str]:
        return [asset["asset_id"] for asset in (await api.call("GET", ASSETS + query)).json["assets"]]

    assert await found("?asset_type=PDF") == [pdf]
    assert await found("?status=FAILED") == [image]
    assert await found("?asset_type=PDF&status=FAILED") == []


async def test_wrong_parameters_of_the_list_are_all_named(api: ApiSite) -> None:
    refused = await api.call("GET", f"{ASSETS}?limit=0&cursor=x&asset_type=AUDIO&status=DONE")
    assert (refused.status, refused.problem) == (422, "invalid-request")
    assert [error["field"] for error in refused.json["errors"]] == ["limit", "cursor", "asset_type", "status"]


async def test_an_asset_is_shown_with_all_that_is_known(api: ApiSite) -> None:
    asked = await api.upload()
    shown = (await api.call("GET", f"{ASSETS}/{asked.json['asset_id']}")).json
    assert shown["original_filename"] == "photo.jpg"
    assert shown["content_type"] == "image/jpeg"
    assert shown["size_bytes"] == len(JPEG)
    assert shown["s3_key"] == asked.json["s3_key"]
    assert shown["transcode_status"] == TranscodeStatus.PENDING
    assert shown["confirmed_at"] >= shown["created_at"]
    assert shown["settled_at"] is None


@pytest.mark.parametrize(
    ("method", "suffix"), [("GET", ""), ("DELETE", ""), ("POST", "/retry")], ids=["look", "delete", "retry"]
)
async def test_somebody_elses_asset_is_as_if_it_were_not_there(api: ApiSite, method: str, suffix: str) -> None:
    asset_id = (await api.upload(owner=BOB)).json["asset_id"]
    for path in (asset_id, str(uuid4()), "42", asset_id.replace("-", "")):
        refused = await api.call(method, f"{ASSETS}/{path}{suffix}", owner=ALICE)
        assert (refused.status, refused.problem) == (404, "not-found")
    assert (await api.call("GET", f"{ASSETS}/{asset_id}", owner=BOB)).status == 200


async def test_a_deletion_marks_the_row_and_asks_for_the_objects_end(
    api: ApiSite, database: asyncpg.Connection
) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    deleted = await api.call("DELETE", f"{ASSETS}/{asset_id}")
    assert (deleted.status, deleted.json) == (202, {"asset_id": asset_id, "state": "deleting"})
    assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "deleting"
    made = await api.object_of(asset_id)
    assert made is not None
    assert made["metadata"]["deletionTimestamp"]
    again = await api.call("DELETE", f"{ASSETS}/{asset_id}")
    assert again.status == 202, "asking again is harmless"


async def test_an_archived_asset_is_deleted_by_its_row_alone(api: ApiSite, database: asyncpg.Connection) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    await settle(database, asset_id, "COMPLETED")
    await api.remove_object(asset_id)
    assert (await api.call("DELETE", f"{ASSETS}/{asset_id}")).status == 202
    assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "deleting"


@pytest.mark.failure("F12")
async def test_a_deletion_is_accepted_without_the_api_server(
    api: ApiSite, database: asyncpg.Connection, embedded_cluster: EmbeddedCluster
) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    embedded_cluster.faults.go_down()
    try:
        assert (await api.call("DELETE", f"{ASSETS}/{asset_id}")).status == 202
    finally:
        embedded_cluster.faults.come_back()
    assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "deleting"


@pytest.mark.failure("F15")
async def test_a_failed_asset_with_an_object_is_retried_by_annotation(
    api: ApiSite, database: asyncpg.Connection
) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    await settle(database, asset_id, "FAILED")
    retried = await api.call("POST", f"{ASSETS}/{asset_id}/retry")
    assert (retried.status, retried.json["transcode_status"]) == (202, "PENDING")
    made = await api.object_of(asset_id)
    assert made is not None
    assert made["metadata"]["annotations"][RETRY_ANNOTATION]


@pytest.mark.failure("F15")
async def test_a_failed_asset_that_is_archived_goes_back_to_the_operators_reader(
    api: ApiSite, database: asyncpg.Connection
) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    await settle(database, asset_id, "FAILED")
    await api.remove_object(asset_id)
    retried = await api.call("POST", f"{ASSETS}/{asset_id}/retry")
    assert (retried.status, retried.json["transcode_status"]) == (202, "PENDING")
    row = await database.fetchrow("SELECT * FROM media.assets WHERE id = $1", asset_id)
    assert (row["state"], row["transcode_status"], row["attempts"]) == ("confirmed", "PENDING", 0)
    assert (row["cr_uid"], row["resource_version"], row["status"], row["settled_at"]) == (None, None, None, None)
    again = await api.call("POST", f"{ASSETS}/{asset_id}/retry")
    assert (again.status, again.problem) == (409, "not-failed")


async def test_two_retries_of_an_archived_asset_at_once_are_one(api: ApiSite, database: asyncpg.Connection) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    await settle(database, asset_id, "FAILED")
    await api.remove_object(asset_id)
    answers = await asyncio.gather(*(api.call("POST", f"{ASSETS}/{asset_id}/retry") for _ in range(4)))
    assert {answer.status for answer in answers} <= {202, 409}
    assert 202 in {answer.status for answer in answers}
    assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "confirmed"


async def test_an_asset_on_its_way_into_the_archive_can_be_retried_a_moment_later(
    api: ApiSite, database: asyncpg.Connection
) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    await settle(database, asset_id, "FAILED")
    await api.ports.cluster.delete(asset_id)
    refused = await api.call("POST", f"{ASSETS}/{asset_id}/retry")
    assert (refused.status, refused.problem) == (503, "cluster-unavailable")
    assert refused.headers["Retry-After"]


async def test_only_what_failed_can_be_retried(api: ApiSite) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    refused = await api.call("POST", f"{ASSETS}/{asset_id}/retry")
    assert (refused.status, refused.problem, refused.json["actual"]) == (409, "not-failed", "PENDING")


@pytest.mark.failure("F12")
async def test_a_retry_without_the_api_server_is_to_be_sent_again(
    api: ApiSite, database: asyncpg.Connection, embedded_cluster: EmbeddedCluster
) -> None:
    asset_id = (await api.upload()).json["asset_id"]
    await settle(database, asset_id, "FAILED")
    embedded_cluster.faults.go_down()
    try:
        refused = await api.call("POST", f"{ASSETS}/{asset_id}/retry")
    finally:
        embedded_cluster.faults.come_back()
    assert (refused.status, refused.problem) == (503, "cluster-unavailable")
    assert refused.headers["Retry-After"]
    assert await database.fetchval("SELECT state FROM media.assets WHERE id = $1", asset_id) == "settled"

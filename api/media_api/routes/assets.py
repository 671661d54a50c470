"""Assets: an owner's list, one of them in full, its deletion, and another try for one that failed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

import structlog
from aiohttp import web

from media_api import delivery, requests
from media_api.cluster import ClusterUnavailable, NoObject
from media_api.ledger import VISIBLE, Row, Wanted
from media_api.models import AssetAnswer, AssetPage, DeletedAnswer, StatusAnswer
from media_api.paging import Cursor
from media_api.ports import PORTS, Ports
from media_api.problems import Problem, ProblemType, invalid, not_found, unavailable
from media_api.routing import ASSET_ID, Endpoint, Parameter
from media_core.asset import AssetType, TranscodeStatus
from media_core.reasons import Reason

log = structlog.get_logger()

DEFAULT_LIMIT, MAX_LIMIT = 50, 100
NO_STORE = {"Cache-Control": "no-store"}
E = TypeVar("E", bound=StrEnum)


async def list_assets(request: web.Request) -> web.Response:
    """A page of the owner's assets."""
    ports = request.app[PORTS]
    wanted = _wanted(await requests.owner(request), request.query)
    rows = await ports.ledger.page(wanted)
    shown, more = rows[: wanted.limit], len(rows) > wanted.limit
    page = AssetPage(
        assets=[delivery.asset(row, ports.base_url) for row in shown],
        next_cursor=Cursor(shown[-1].created_at, shown[-1].id).encode() if more else None,
    )
    return web.json_response(page.to_json(), headers=NO_STORE)


async def get_asset(request: web.Request) -> web.Response:
    """One of them."""
    ports = request.app[PORTS]
    row = await _own(request, ports)
    return web.json_response(delivery.asset(row, ports.base_url).to_json(), headers=NO_STORE)


async def delete_asset(request: web.Request) -> web.Response:
    """Mark the row, then delete the object; the operator takes the media away. The mark alone is enough."""
    ports = request.app[PORTS]
    owner, asset_id = await requests.owner(request), requests.asset_id(request)
    if not await ports.ledger.delete(asset_id, owner):
        raise not_found()
    log.info("deletion_requested", asset_id=str(asset_id))
    try:
        await ports.cluster.delete(str(asset_id))
    except NoObject:
        log.debug("no_object_to_delete", asset_id=str(asset_id))
    except ClusterUnavailable as error:
        log.warning("object_left_to_operator", asset_id=str(asset_id), error=str(error))
    return web.json_response(DeletedAnswer(asset_id=asset_id).to_json(), status=202)


async def retry_asset(request: web.Request) -> web.Response:
    """Another try: by annotation where the object is there, by its row where it is archived."""
    ports = request.app[PORTS]
    row = await _own(request, ports)
    if row.transcode_status is not TranscodeStatus.FAILED:
        raise _not_failed(row.transcode_status)
    try:
        if not await ports.cluster.retry(str(row.id), ports.clock().isoformat()):
            detail = "The asset is being archived at this moment. Try again."
            raise unavailable(ProblemType.CLUSTER_UNAVAILABLE, detail)
    except NoObject:
        if not await ports.ledger.requeue(row.id):
            raise _not_failed(TranscodeStatus.PENDING) from None
    log.info("retry_requested", asset_id=str(row.id))
    answer = StatusAnswer(
        asset_id=row.id,
        transcode_status=TranscodeStatus.PENDING,
        reason=Reason.RETRIED.value,
        message="It is tried again.",
    )
    return web.json_response(answer.to_json(), status=202)


async def _own(request: web.Request, ports: Ports) -> Row:
    owner, asset_id = await requests.owner(request), requests.asset_id(request)
    row = await ports.ledger.own(asset_id, owner)
    if row is None or row.state not in VISIBLE:
        raise not_found()
    return row


def _not_failed(actual: TranscodeStatus) -> Problem:
    detail = f"Only an asset that has FAILED can be retried, and this one is {actual.value}."
    return Problem(ProblemType.NOT_FAILED, detail, actual=actual.value)


def _wanted(owner: str, query: Mapping[str, str]) -> Wanted:
    """The query as a value. Raises Problem (422) that names every wrong parameter."""
    errors: list[tuple[str, str]] = []
    wanted = Wanted(
        owner=owner,
        limit=_limit(query, errors),
        after=_cursor(query, errors),
        asset_type=_member(AssetType, "asset_type", query, errors),
        transcode_status=_member(TranscodeStatus, "status", query, errors),
    )
    if errors:
        raise invalid(errors)
    return wanted


def _limit(query: Mapping[str, str], errors: list[tuple[str, str]]) -> int:
    text = query.get("limit", str(DEFAULT_LIMIT))
    if text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MAX_LIMIT:
        return int(text)
    errors.append(("limit", f"It has to be a number from 1 to {MAX_LIMIT}."))
    return DEFAULT_LIMIT


def _cursor(query: Mapping[str, str], errors: list[tuple[str, str]]) -> Cursor | None:
    if "cursor" not in query:
        return None
    try:
        return Cursor.decode(query["cursor"])
    except ValueError as error:
        errors.append(("cursor", f"{str(error).capitalize()}; take next_cursor of the page before."))
        return None


def _member(kind: type[E], name: str, query: Mapping[str, str], errors: list[tuple[str, str]]) -> E | None:
    if name not in query:
        return None
    try:
        return kind(query[name])
    except ValueError:
        errors.append((name, f"It has to be one of {', '.join(kind)}."))
        return None


ENDPOINTS = (
    Endpoint(
        "/api/v1/media/assets",
        list_assets,
        "List your assets, newest first",
        "assets",
        needs_token=True,
        parameters=(
            Parameter("limit", "Most assets in the answer.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
            Parameter("cursor", "`next_cursor` of the page before.", {"type": "string"}),
            Parameter("asset_type", "Only of this type.", {"type": "string", "enum": list(AssetType)}),
            Parameter("status", "Only with this transcode_status.", {"type": "string", "enum": list(TranscodeStatus)}),
        ),
        answers={200: ("A page.", AssetPage)},
        problems=(ProblemType.INVALID_REQUEST, ProblemType.DATABASE_UNAVAILABLE),
    ),
    Endpoint(
        "/api/v1/media/assets/{asset_id}",
        get_asset,
        "Get one asset",
        "assets",
        needs_token=True,
        parameters=(ASSET_ID,),
        answers={200: ("The asset.", AssetAnswer)},
        problems=(ProblemType.NOT_FOUND, ProblemType.DATABASE_UNAVAILABLE),
    ),
    Endpoint(
        "/api/v1/media/assets/{asset_id}",
        delete_asset,
        "Delete an asset and its media",
        "assets",
        ("DELETE",),
        needs_token=True,
        parameters=(ASSET_ID,),
        answers={202: ("It is out of sight now, and its media are deleted.", DeletedAnswer)},
        problems=(ProblemType.NOT_FOUND, ProblemType.DATABASE_UNAVAILABLE),
    ),
    Endpoint(
        "/api/v1/media/assets/{asset_id}/retry",
        retry_asset,
        "Try a failed asset again",
        "assets",
        ("POST",),
        needs_token=True,
        parameters=(ASSET_ID,),
        answers={202: ("It is tried again, with its attempts at 0.", StatusAnswer)},
        problems=(
            ProblemType.NOT_FOUND,
            ProblemType.NOT_FAILED,
            ProblemType.DATABASE_UNAVAILABLE,
            ProblemType.CLUSTER_UNAVAILABLE,
        ),
    ),
)

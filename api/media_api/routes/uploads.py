"""Uploads: asking for a place to put a file, and saying that it is there."""

from __future__ import annotations

from uuid import uuid4

import structlog
from aiohttp import web

from media_api import requests
from media_api.ledger import Draft, Row
from media_api.models import ConfirmRequest, StatusAnswer, UploadAnswer, UploadRequest
from media_api.ports import PORTS, Ports
from media_api.problems import Problem, ProblemType, not_found
from media_api.routing import Endpoint
from media_api.sniffing import sniff
from media_api.uploads import Announced, refuse_announced, refuse_found
from media_core.keys import original_key

log = structlog.get_logger()

RETRY_FULL_SECONDS = 30


async def request_upload(request: web.Request) -> web.Response:
    """Choose id and key, write them down, sign a URL for them."""
    ports = request.app[PORTS]
    owner = await requests.owner(request)
    wanted = await requests.body(request, UploadRequest)
    announced = Announced(wanted.asset_type, wanted.content_type, wanted.size_bytes)
    if problem := refuse_announced(announced, ports.settings.limits):
        raise problem
    await _refuse_when_full(ports)

    asset_id = uuid4()
    key = original_key(wanted.asset_type, owner, asset_id, wanted.content_type, ports.clock())
    seconds = ports.settings.upload_url_seconds
    signed = await ports.storage.presign_put(
        key, wanted.content_type, seconds, size=wanted.size_bytes, sha256=wanted.sha256
    )
    await ports.ledger.draft(
        Draft(
            asset_id=asset_id,
            owner=owner,
            announced=announced,
            sha256=wanted.sha256,
            bucket=ports.storage.bucket,
            s3_key=key,
            original_filename=wanted.original_filename,
        )
    )
    ports.metrics.uploads.labels(wanted.asset_type.value).inc()
    log.info("upload_requested", asset_id=str(asset_id), asset_type=wanted.asset_type.value)
    answer = UploadAnswer(
        asset_id=asset_id,
        upload_url=signed.url,
        s3_key=key,
        expires_in=seconds,
        required_headers=dict(signed.headers),
    )
    return web.json_response(answer.to_json(), status=201, headers={"Cache-Control": "no-store"})


async def confirm_upload(request: web.Request) -> web.Response:
    """Check the file and let it be processed. Saying it again, in whatever state it is, changes nothing."""
    ports = request.app[PORTS]
    owner = await requests.owner(request)
    asset_id = (await requests.body(request, ConfirmRequest)).asset_id
    row = await ports.ledger.own(asset_id, owner)
    if row is None or row.state in ("deleting", "deleted"):
        raise not_found()
    if row.state == "pending":
        try:
            row = await _confirm(ports, row)
        except Problem as problem:
            ports.metrics.confirms.labels(problem.kind.slug).inc()
            raise
    else:
        ports.metrics.confirms.labels("repeated").inc()
    answer = StatusAnswer(
        asset_id=row.id, transcode_status=row.transcode_status, reason=row.reason, message=row.message
    )
    return web.json_response(answer.to_json(), status=202)


async def _confirm(ports: Ports, row: Row) -> Row:
    found = await ports.storage.look(row.s3_key)
    if found is None:
        raise Problem(
            ProblemType.NOT_UPLOADED,
            "There is no file at the upload URL yet. Upload it, then confirm again.",
            headers={"Retry-After": "1"},
        )
    if problem := refuse_found(row.announced, found, ports.settings.limits):
        raise problem
    content_type = sniff(found.head) or row.content_type
    confirmed = await ports.ledger.confirm(row.id, ports.storage.bucket, found, content_type)
    if confirmed is None:
        return await _confirmed_by_another(ports, row)
    ports.metrics.confirms.labels("confirmed").inc()
    log.info("upload_confirmed", asset_id=str(row.id), size_bytes=found.size_bytes, content_type=content_type)
    ports.creation.begin(confirmed)
    return confirmed


async def _confirmed_by_another(ports: Ports, row: Row) -> Row:
    """Two confirms at once: the other one had the row first, and makes the object."""
    ports.metrics.confirms.labels("repeated").inc()
    current = await ports.ledger.own(row.id, row.owner)
    if current is None or current.state in ("deleting", "deleted"):
        raise not_found()
    return current


async def _refuse_when_full(ports: Ports) -> None:
    limit = ports.settings.max_backlog
    count = await ports.backlog.count()
    if count >= limit:
        raise Problem(
            ProblemType.BACKLOG_FULL,
            f"{count} uploads wait to be processed, and the limit is {limit}. Try again later.",
            headers={"Retry-After": str(RETRY_FULL_SECONDS)},
            limit=limit,
            actual=count,
        )


ENDPOINTS = (
    Endpoint(
        "/api/v1/media/upload",
        request_upload,
        "Ask for a place to upload a file to",
        "uploads",
        ("POST",),
        needs_token=True,
        request=UploadRequest,
        answers={201: ("PUT the file to `upload_url` with all of `required_headers`.", UploadAnswer)},
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.REQUEST_TOO_LARGE,
            ProblemType.INVALID_REQUEST,
            ProblemType.UNSUPPORTED_CONTENT_TYPE,
            ProblemType.TOO_LARGE,
            ProblemType.BACKLOG_FULL,
            ProblemType.DATABASE_UNAVAILABLE,
        ),
    ),
    Endpoint(
        "/api/v1/media/upload/confirm",
        confirm_upload,
        "Say that the file is uploaded",
        "uploads",
        ("POST",),
        needs_token=True,
        request=ConfirmRequest,
        answers={202: ("It is accepted and will be processed. Repeating the request is harmless.", StatusAnswer)},
        problems=(
            ProblemType.MALFORMED_JSON,
            ProblemType.REQUEST_TOO_LARGE,
            ProblemType.NOT_FOUND,
            ProblemType.NOT_UPLOADED,
            ProblemType.INVALID_REQUEST,
            ProblemType.EMPTY_FILE,
            ProblemType.TOO_LARGE,
            ProblemType.SIZE_MISMATCH,
            ProblemType.WRONG_CONTENT,
            ProblemType.DATABASE_UNAVAILABLE,
            ProblemType.STORAGE_UNAVAILABLE,
        ),
    ),
)

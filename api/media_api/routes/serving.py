"""Files: by redirect to a presigned URL (/media/serve), or passed through (/media/stream).

Passing through is for players: a playlist names its segments by relative paths, and a redirect would change what they
are relative to.
"""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import unquote

import structlog
from aiohttp import web

from media_api import delivery
from media_api.delivery import Delivery
from media_api.ports import PORTS, Ports
from media_api.problems import Problem, ProblemType, not_found, unavailable
from media_api.routing import KEY, Endpoint
from media_api.storage import Changed, Missing, StorageUnavailable, Transfer
from media_api.streaming import NotModified, OutOfRange, Send, decide
from media_core.keys import OriginalKey, RenditionKey, parse

log = structlog.get_logger()

WRITE_SECONDS = 60.0
"""How long a client may take for one chunk before it is given up."""
SANDBOX = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
NO_FILE = "There is no such file."


async def serve(request: web.Request) -> web.Response:
    """Send the client to the file itself; caches forget that before the URL expires."""
    ports = request.app[PORTS]
    found = await _delivery(request, ports)
    seconds = ports.settings.serve_url_seconds
    url = await ports.storage.presign_get(found.key, found.content_type, found.disposition, seconds)
    return web.Response(
        status=302,
        headers={"Location": url, "Cache-Control": f"private, max-age={seconds // 2}", "Content-Length": "0"},
    )


async def stream(request: web.Request) -> web.StreamResponse:
    """Pass the file through, chunk by chunk, as fast as the client takes it."""
    ports = request.app[PORTS]
    found = await _delivery(request, ports)
    if ports.streams.locked():
        limit = ports.settings.max_streams
        raise unavailable(ProblemType.TOO_MANY_STREAMS, f"{limit} files are being streamed, which is the limit.")
    async with ports.streams:
        try:
            return await _stream(request, ports, found)
        except (Missing, Changed):
            # Gone, or overwritten since it was checked: neither is the file this URL stands for.
            raise not_found(NO_FILE) from None


async def _stream(request: web.Request, ports: Ports, found: Delivery) -> web.StreamResponse:
    stat = await ports.storage.stat(found.key, found.etag)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": found.cache_control,
        "Content-Disposition": found.disposition,
        "Content-Security-Policy": SANDBOX,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "ETag": f'"{stat.etag}"',
    }
    decision = decide(
        size=stat.size_bytes,
        etag=stat.etag,
        range_=request.headers.get("Range") if request.method == "GET" else None,
        if_range=request.headers.get("If-Range"),
        if_none_match=request.headers.get("If-None-Match"),
    )
    match decision:
        case NotModified():
            return web.Response(status=304, headers=headers)
        case OutOfRange():
            size = stat.size_bytes
            detail = f"The file has {size} bytes, and none of them is in the range."
            raise Problem(
                ProblemType.RANGE_NOT_SATISFIABLE, detail, headers={"Content-Range": f"bytes */{size}"}, limit=size
            )
        case Send(first, last, partial):
            if partial:
                headers["Content-Range"] = f"bytes {first}-{last}/{stat.size_bytes}"
            answer = web.StreamResponse(status=206 if partial else 200, headers=headers)
            answer.content_type = found.content_type
            answer.content_length = decision.length
            if request.method == "HEAD":
                await answer.prepare(request)
                return answer
            transfer = await ports.storage.open(found.key, stat.etag, first, last)
            try:
                await _send(request, answer, transfer, ports)
            finally:
                await asyncio.shield(transfer.close())
            return answer


async def _send(request: web.Request, answer: web.StreamResponse, transfer: Transfer, ports: Ports) -> None:
    """Each chunk is read when the one before is on its way. What breaks now can only break the connection."""
    await answer.prepare(request)
    try:
        with ports.metrics.streams.track_inprogress():
            async for chunk in transfer.chunks():
                async with asyncio.timeout(WRITE_SECONDS):
                    await answer.write(chunk)
                ports.metrics.streamed_bytes.inc(len(chunk))
            await answer.write_eof()
    except (StorageUnavailable, TimeoutError) as error:
        log.warning("stream_broken", error=f"{type(error).__name__}: {error}")
        _cut(request)
    except ConnectionError:
        log.debug("client_left")


def _cut(request: web.Request) -> None:
    """So that the client sees that something is missing."""
    with contextlib.suppress(AttributeError):
        request.transport.abort()  # type: ignore[union-attr]  # None once the connection is gone


async def _delivery(request: web.Request, ports: Ports) -> Delivery:
    """The file behind the path, if a row vouches for it. Raises Problem (404) for everything else."""
    key = parse(_decoded(request))
    match key:
        case OriginalKey():
            row = await ports.ledger.visible_by_key(key.key)
            found = delivery.of_original(row) if row else None
        case RenditionKey():
            row = await ports.ledger.visible(key.asset_id)
            found = delivery.of_rendition(row, key.key) if row else None
        case None:
            found = None
    if found is None:
        raise not_found(NO_FILE)
    return found


def _decoded(request: web.Request) -> str:
    """The key as it came over the wire, decoded exactly once; what is encoded twice stays encoded and is no key."""
    path = request.raw_path.partition("?")[0]
    _, _, raw = path.partition("/media/serve/" if "/media/serve/" in path else "/media/stream/")
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        return ""


def _endpoint(path: str, served: bool) -> Endpoint:
    problems = (ProblemType.NOT_FOUND, ProblemType.DATABASE_UNAVAILABLE)
    if served:
        return Endpoint(
            path,
            serve,
            "Get a file, by redirect to a presigned URL",
            "files",
            ("GET", "HEAD"),
            parameters=(KEY,),
            answers={302: ("The file is at `Location`, for a few minutes.", None)},
            problems=problems,
        )
    return Endpoint(
        path,
        stream,
        "Get a file, passed through; with ranges and conditions",
        "files",
        ("GET", "HEAD"),
        parameters=(KEY,),
        answers={
            200: ("The file.", None),
            206: ("A part of it.", None),
            304: ("The client has it already.", None),
        },
        problems=(
            *problems,
            ProblemType.RANGE_NOT_SATISFIABLE,
            ProblemType.STORAGE_UNAVAILABLE,
            ProblemType.TOO_MANY_STREAMS,
        ),
    )


ENDPOINTS = tuple(
    _endpoint(f"{root}/media/{kind}/{{key:.*}}", kind == "serve")
    for root in ("", "/api/v1")
    for kind in ("serve", "stream")
)

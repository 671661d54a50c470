"""What happens around every request: an id, one line in the log, a measurement, and errors as problems."""

from __future__ import annotations

import re
import time
from uuid import uuid4

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from media_api.auth import IdentityUnavailable
from media_api.cluster import ClusterUnavailable
from media_api.ledger import LedgerUnavailable
from media_api.ports import PORTS
from media_api.problems import Problem, ProblemType, of_http_error, unavailable
from media_api.storage import StorageUnavailable

log = structlog.get_logger()

REQUEST_ID_HEADER = "X-Request-ID"
REQUEST_ID = web.RequestKey("request_id", str)
QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ALLOWED_HEADERS = "Authorization, Content-Type, If-None-Match, If-Range, Range, X-Request-ID"
_EXPOSED_HEADERS = "Content-Length, Content-Range, ETag, Location, Retry-After, X-Request-ID"
_UNAVAILABLE = {
    LedgerUnavailable: (ProblemType.DATABASE_UNAVAILABLE, "The database does not answer. Try again in a moment."),
    StorageUnavailable: (ProblemType.STORAGE_UNAVAILABLE, "Object storage does not answer. Try again in a moment."),
    ClusterUnavailable: (
        ProblemType.CLUSTER_UNAVAILABLE,
        "The Kubernetes API does not answer. Try again in a moment.",
    ),
    IdentityUnavailable: (ProblemType.IDENTITY_UNAVAILABLE, "Tokens cannot be checked now. Try again in a moment."),
}


@web.middleware
async def observed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line and one measurement for each request; its id is on all lines written meanwhile."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    request[REQUEST_ID] = given if _SAFE_ID.fullmatch(given) else uuid4().hex
    resource = request.match_info.route.resource
    route = resource.canonical if resource else "unmatched"
    began = time.perf_counter()
    status = 500
    with structlog.contextvars.bound_contextvars(request_id=request[REQUEST_ID]):
        try:
            answer = await handler(request)
            status = answer.status
            return answer
        finally:
            seconds = time.perf_counter() - began
            request.app[PORTS].metrics.requests.labels(request.method, route, str(status)).observe(seconds)
            write = log.debug if route in QUIET else log.info
            write(
                "request_answered",
                method=request.method,
                path=request.path[:600],
                status=status,
                milliseconds=round(seconds * 1000, 1),
            )


@web.middleware
async def with_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Everything that goes wrong becomes a problem; what nobody expected is logged with its trace, and hidden."""
    try:
        return await handler(request)
    except Problem as problem:
        return _answered(request, problem)
    except web.HTTPException as error:
        return _answered(request, of_http_error(error, request.method))
    except tuple(_UNAVAILABLE) as error:
        kind, detail = _UNAVAILABLE[type(error)]
        log.warning("dependency_unavailable", problem=kind.slug, error=str(error))
        return _answered(request, unavailable(kind, detail))
    except Exception:  # the last net: a bug must be an answer, too
        log.exception("request_failed")
        detail = "The request failed for a reason on our side; the request id leads to it."
        return _answered(request, Problem(ProblemType.INTERNAL_ERROR, detail))


@web.middleware
async def preflighted(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The question a browser asks first; `with_headers` puts the answer to it on every response."""
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers and _allowed(request):
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": "600",
            },
        )
    return await handler(request)


async def with_headers(request: web.Request, response: web.StreamResponse) -> None:
    """On every answer, before its first byte."""
    response.headers[REQUEST_ID_HEADER] = request.get(REQUEST_ID, "")
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    if request.app[PORTS].settings.cors_origins:
        response.headers.add("Vary", "Origin")
    if origin := _allowed(request):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS


def _allowed(request: web.Request) -> str | None:
    """The origin of the page that asks, if it may."""
    origin = request.headers.get("Origin")
    allowed = request.app[PORTS].settings.cors_origins
    return origin if origin is not None and ("*" in allowed or origin in allowed) else None


def _answered(request: web.Request, problem: Problem) -> web.Response:
    request.app[PORTS].metrics.problems.labels(problem.kind.slug).inc()
    problem.extra["request_id"] = request[REQUEST_ID]
    return problem.response()


MIDDLEWARES = (observed, with_problems, preflighted)

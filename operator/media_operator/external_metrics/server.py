"""external.metrics.k8s.io/v1beta1 over HTTP: who asks, whether they may, and then what `values` says.

Discovery is answered to whomever the API server sends, at once, and whatever else is wrong: while it fails, no
namespace of the cluster can be deleted. What is wrong shows on the metric, where an HPA keeps its replicas.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from media_operator.external_metrics.authorization import Access, Authorization, NoVerdict
from media_operator.external_metrics.documents import (
    GROUP,
    METRIC,
    RESOURCES,
    ROOT,
    VERSION,
    Refusal,
    Value,
    status,
    value_list,
)
from media_operator.external_metrics.identity import FrontProxy, User
from media_operator.external_metrics.measures import Measures
from media_operator.external_metrics.selector import pool_named

log = structlog.get_logger()

USER = web.RequestKey("user", User)
UNKNOWN_PATH = Refusal(404, "NotFound", f"This server serves {ROOT}/namespaces/<namespace>/{METRIC} alone.")
UNKNOWN_CALLER = Refusal(401, "Unauthorized", "Only the Kubernetes API server is answered, by its front-proxy client.")
WRONG_METHOD = Refusal(405, "MethodNotAllowed", "A metric can only be read.")
FAILED = Refusal(500, "InternalError", "The metrics server failed; its log says why.")


@dataclass(frozen=True)
class Served:
    """What the server is made of. `front_proxy` and `leaving` are asked at each request: they change."""

    namespace: str
    front_proxy: Callable[[], FrontProxy]
    authorization: Authorization
    answer: Callable[[str], Value | Refusal]
    leaving: Callable[[], bool]
    measures: Measures


def application(served: Served) -> web.Application:
    """The application of the TLS port."""

    @web.middleware
    async def told(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every failure in the API server's own shape; a connection is not kept that will not be served again."""
        started = time.perf_counter()
        try:
            response = await handler(request)
        except web.HTTPMethodNotAllowed:
            response = refused(WRONG_METHOD)
        except web.HTTPException:
            response = refused(UNKNOWN_PATH)
        except Exception:
            log.exception("request_failed", path=request.path)
            response = refused(FAILED)
        if response.status == UNKNOWN_CALLER.code or served.leaving():
            response.force_close()
        asked = _asked(request)
        served.measures.requests.labels(asked, str(response.status)).inc()
        served.measures.seconds.labels(asked).observe(time.perf_counter() - started)
        return response

    @web.middleware
    async def known(request: web.Request, handler: Handler) -> web.StreamResponse:
        """Nobody comes past this but the API server."""
        user = served.front_proxy().identify(request.get_extra_info("peercert"), request.headers)
        if user is None:
            log.info("caller_refused", remote=request.remote)
            return refused(UNKNOWN_CALLER)
        request[USER] = user
        return await handler(request)

    async def discovery(_request: web.Request) -> web.Response:
        return web.json_response(RESOURCES)

    async def metric(request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["metric"]
        refusal = await _forbidden(served.authorization, request[USER], namespace, name)
        if refusal is not None:
            return refused(refusal)
        found = _found(served, namespace, name, request.query.get("labelSelector", ""))
        return refused(found) if isinstance(found, Refusal) else web.json_response(value_list(found))

    app = web.Application(middlewares=[told, known])
    app.router.add_get(ROOT, discovery)
    app.router.add_get(f"{ROOT}/namespaces/{{namespace}}/{{metric}}", metric)
    return app


async def _forbidden(authorization: Authorization, user: User, namespace: str, metric: str) -> Refusal | None:
    try:
        verdict = await authorization.verdict(user, Access(GROUP, VERSION, metric, namespace))
    except NoVerdict as error:
        log.warning("review_failed", user=user.name, error=str(error))
        return Refusal(
            503, "ServiceUnavailable", f"Whether {user.name} may read {metric} could not be asked: {error}."
        )
    if verdict.allowed:
        return None
    log.info("user_refused", user=user.name, namespace=namespace, reason=verdict.reason)
    message = (
        f'User "{user.name}" cannot list resource "{metric}" in API group "{GROUP}" in the namespace "{namespace}"'
    )
    return Refusal(403, "Forbidden", f"{message}: {verdict.reason}" if verdict.reason else message)


def _found(served: Served, namespace: str, metric: str, selector: str) -> Value | Refusal:
    if metric != METRIC:
        return Refusal(404, "NotFound", f"There is no metric {metric}; the only one is {METRIC}.")
    if namespace != served.namespace:
        return Refusal(404, "NotFound", f"The pools served here are in namespace {served.namespace}.")
    pool = pool_named(selector)
    return pool if isinstance(pool, Refusal) else served.answer(pool)


def refused(refusal: Refusal) -> web.Response:
    """The refusal as a response."""
    return web.json_response(status(refusal), status=refusal.code)


def _asked(request: web.Request) -> str:
    match request.match_info.get("metric"):
        case None:
            return "discovery" if request.path == ROOT else "other"
        case name:
            return METRIC if name == METRIC else "other"

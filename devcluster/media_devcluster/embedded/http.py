"""The HTTP face: finds out what a request is about, lets faults have their way, and hands it on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from media_devcluster.embedded import answers, discovery, errors, scales
from media_devcluster.embedded.errors import ApiError, Object
from media_devcluster.embedded.faults import Asked, Effect, Faults
from media_devcluster.embedded.paging import Page, Pages
from media_devcluster.embedded.parameters import (
    body_of,
    delete_options,
    number,
    patch_of,
    selected_by,
    verb_of,
    write_request,
)
from media_devcluster.embedded.paths import Target, read_path
from media_devcluster.embedded.registry import Part, Registry
from media_devcluster.embedded.resources import Resource
from media_devcluster.embedded.store import Key, Store
from media_devcluster.embedded.streams import Streams

log = structlog.get_logger(__name__)

Subresource = Callable[[web.BaseRequest, Target, Key], Awaitable[web.StreamResponse]]


@dataclass
class Api:
    """One API server."""

    store: Store
    registry: Registry
    faults: Faults
    clock: Callable[[], float]
    bookmark_seconds: float = 30.0
    subresources: dict[tuple[str, str, str], Subresource] = field(default_factory=dict)
    """What built-in subresources do, by method, resource and subresource: ("GET", "pods", "log")."""

    def __post_init__(self) -> None:
        self._pages = Pages(self.store, self.clock)
        self._streams = Streams(self.store, self.faults, self.clock, self.bookmark_seconds)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers one request."""
        try:
            if request.path == "/_faults":
                return await self._control(request)
            if self.faults.down:
                return _hang_up(request)
            return await self._troubled(request)
        except ApiError as error:
            return answers.refused(error)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            log.exception("request failed", method=request.method, path=request.path)
            return answers.refused(errors.internal(repr(error)))

    async def _control(self, request: web.BaseRequest) -> web.Response:
        match request.method:
            case "GET":
                return answers.json_answer(self.faults.state())
            case "DELETE":
                return answers.json_answer(self.faults.control({"clear": True}))
            case "POST":
                return answers.json_answer(self.faults.control(await body_of(request)))
            case _:
                raise errors.method_not_allowed()

    async def _troubled(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answers under the faults that are switched on."""
        asked = _asked(request)
        acting = self.faults.hit(asked)
        effects = {fault.effect for fault in acting}
        await asyncio.sleep(sum(fault.seconds for fault in acting if fault.effect is Effect.LATENCY))
        if Effect.CLOSE in effects:
            return _hang_up(request)
        for fault in acting:
            if (refusal := fault.refusal()) is not None:
                raise refusal
        answer = await self._answer(request, asked, silent=Effect.SILENT_WATCH in effects)
        return _hang_up(request) if Effect.LOSE_ANSWER in effects else answer

    async def _answer(self, request: web.BaseRequest, asked: Asked, *, silent: bool) -> web.StreamResponse:
        if (known := discovery.page(self.registry.catalog, request.path)) is not None:
            return answers.json_answer(known)
        if request.path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        target = read_path(request.path)
        resource = self.registry.catalog.get(target.group, target.version, target.plural)
        if target.name is None:
            return await self._on_collection(request, resource, target, asked, silent=silent)
        key = Key(target.namespace or "", target.name)
        if _is_part(resource, target.subresource):
            return await self._on_object(request, resource, target, key)
        serve = self.subresources.get((request.method, resource.name, target.subresource or ""))
        if serve is None:
            raise errors.no_such_resource()
        return await serve(request, target, key)

    async def _on_collection(
        self, request: web.BaseRequest, resource: Resource, target: Target, asked: Asked, *, silent: bool
    ) -> web.StreamResponse:
        if target.namespace is not None and not resource.namespaced:
            raise errors.no_such_resource()
        match request.method:
            case "GET" if asked.verb == "watch":
                return await self._streams.serve(request, resource, target.namespace, asked, silent=silent)
            case "GET":
                page = self._page(request, resource, target)
                return answers.listed(request, resource, page, self.clock())
            case "POST" if target.namespace is not None or not resource.namespaced:
                body = await body_of(request)
                outcome = self.registry.create(resource, target.namespace or "", body, write_request(request))
                return answers.written(request, resource, outcome, self.clock(), code=201)
            case "DELETE":
                return await self._delete_all(request, resource, target)
            case _:
                raise errors.method_not_allowed()

    def _page(self, request: web.BaseRequest, resource: Resource, target: Target) -> Page:
        limit = number(request, "limit") or 0
        if token := request.query.get("continue"):
            return self._pages.following(token, limit)
        return self._pages.first(resource.name, target.namespace, selected_by(request, resource), limit)

    async def _delete_all(self, request: web.BaseRequest, resource: Resource, target: Target) -> web.StreamResponse:
        options = await delete_options(request)
        page = self._pages.first(resource.name, target.namespace, selected_by(request, resource), 0)
        for stored in page.items:
            metadata = stored.body["metadata"]
            self.registry.delete(resource, Key(metadata.get("namespace", ""), metadata["name"]), options)
        return answers.listed(request, resource, page, self.clock())

    async def _on_object(
        self, request: web.BaseRequest, resource: Resource, target: Target, key: Key
    ) -> web.StreamResponse:
        on_scale = target.subresource == "scale"
        match request.method:
            case "GET":
                stored = self.registry.get(resource, key)
                return answers.shown(request, resource, stored, self.clock(), on_scale=on_scale)
            case "PUT":
                given = await body_of(request)
                change = _to(given)
            case "PATCH":
                change = await patch_of(request, resource)
            case "DELETE" if target.subresource is None:
                options = await delete_options(request)
                return answers.deleted(resource, self.registry.delete(resource, key, options))
            case _:
                raise errors.method_not_allowed()
        how = write_request(
            request,
            part=Part.STATUS if target.subresource == "status" else Part.MAIN,
            must_name_version=request.method == "PUT" and resource.custom and not on_scale,
        )
        change = _rescale(resource, change) if on_scale else change
        outcome = self.registry.update(resource, key, change, how)
        return answers.written(request, resource, outcome, self.clock(), on_scale=on_scale)


def _asked(request: web.BaseRequest) -> Asked:
    """The request as faults see it; a path that is no resource's is a plain get of nothing."""
    try:
        target = read_path(request.path)
    except ApiError:
        return Asked("get")
    return Asked(verb_of(request, target), target.plural, target.subresource or "", target.name or "")


def _is_part(resource: Resource, subresource: str | None) -> bool:
    """Whether this is the object itself, or a view of it that is read and written like it."""
    if subresource == "status":
        return resource.has_status
    return subresource is None or (subresource == "scale" and resource.scale is not None)


def _to(given: Object) -> Callable[[Object], Object]:
    """The change that puts this in the place of what is there."""
    return lambda _: given


def _rescale(resource: Resource, change: Callable[[Object], Object]) -> Callable[[Object], Object]:
    """A change of a Scale as a change of the object behind it."""
    scale = resource.scale
    assert scale is not None
    return lambda body: scales.scaled(scale, body, change(scales.scale_of(scale, body)))


def _hang_up(request: web.BaseRequest) -> web.Response:
    """Closes the connection; the response is never seen."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()

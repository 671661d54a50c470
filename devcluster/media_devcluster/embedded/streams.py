"""Watches over HTTP: a response of one line per event, for as long as both sides want."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from aiohttp import web

from media_devcluster.embedded import answers
from media_devcluster.embedded.errors import ApiError, Object
from media_devcluster.embedded.faults import Asked, Faults
from media_devcluster.embedded.parameters import TRUE, number, selected_by, wants_table, watch_start
from media_devcluster.embedded.resources import Resource
from media_devcluster.embedded.store import Store, Stored
from media_devcluster.embedded.watching import (
    INITIAL_EVENTS_END,
    Selection,
    Start,
    Watch,
    bookmark,
    error_line,
    lines,
    table_lines,
)

log = structlog.get_logger(__name__)

SHORTEST_SECONDS, LONGEST_SECONDS = 1800, 3600
"""How long a watch lasts whose client does not say: somewhere between, so that not all of them end at once."""


@dataclass(frozen=True)
class Streams:
    """Serves watches."""

    store: Store
    faults: Faults
    clock: Callable[[], float]
    bookmark_seconds: float

    async def serve(
        self,
        request: web.BaseRequest,
        resource: Resource,
        namespace: str | None,
        asked: Asked,
        *,
        silent: bool,
    ) -> web.StreamResponse:
        """Serves one watch to its end."""
        selection = Selection(namespace, selected_by(request, resource))
        start = watch_start(request)
        watch = Watch(asked, self.store.collection(resource.name), selection)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        try:
            watch.open(start)
        except ApiError as error:
            await response.prepare(request)
            await response.write(error_line(error))
            return response
        if silent:
            watch.silence()
        self.faults.watches.add(watch)
        try:
            await response.prepare(request)
            await self._send(request, resource, watch, response, start)
            if watch.dropped and request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            log.debug("watcher left", resource=resource.name)
        finally:
            watch.close()
            self.faults.watches.discard(watch)
        return response

    async def _send(
        self,
        request: web.BaseRequest,
        resource: Resource,
        watch: Watch,
        response: web.StreamResponse,
        start: Start,
    ) -> None:
        encode_batch = self._rows(request, resource) if wants_table(request) else lines
        wants_bookmarks = request.query.get("allowWatchBookmarks") in TRUE
        if start.end_marked and not watch.silent:
            due = encode_batch(watch.take())
            await response.write(due + self._bookmark(resource, INITIAL_EVENTS_END))
        seconds = number(request, "timeoutSeconds") or random.uniform(  # noqa: S311 - not a secret
            SHORTEST_SECONDS, LONGEST_SECONDS
        )
        async for batch in watch.batches(seconds, self.bookmark_seconds):
            if batch:
                await response.write(encode_batch(batch))
            elif wants_bookmarks:
                await response.write(self._bookmark(resource))

    def _bookmark(self, resource: Resource, annotations: Object | None = None) -> bytes:
        return bookmark(resource.api_version, resource.kind, self.store.version, annotations)

    def _rows(self, request: web.BaseRequest, resource: Resource) -> Callable[[list[tuple[str, Stored]]], bytes]:
        """Encodes events as tables of one row; the columns are told with the first of them only."""
        first = True

        def row(stored: Stored) -> Object:
            nonlocal first
            metadata = {"resourceVersion": stored.body["metadata"]["resourceVersion"]}
            shown = answers.rows(request, resource, [stored], metadata, self.clock(), with_columns=first)
            first = False
            return shown

        return lambda batch: table_lines(batch, row)

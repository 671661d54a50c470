"""Answers: stored objects, lists, tables and refusals as HTTP responses."""

from __future__ import annotations

from aiohttp import web

from media_devcluster.embedded import scales
from media_devcluster.embedded.errors import ApiError, Object
from media_devcluster.embedded.paging import Page
from media_devcluster.embedded.parameters import wants_table
from media_devcluster.embedded.registry import Written
from media_devcluster.embedded.resources import PODS, Resource
from media_devcluster.embedded.store import Stored, encode
from media_devcluster.embedded.tables import table


def encoded(payload: bytes, code: int = 200) -> web.Response:
    """JSON that is encoded already."""
    return web.Response(body=payload, status=code, content_type="application/json")


def json_answer(body: Object, code: int = 200) -> web.Response:
    """Any object."""
    return encoded(encode(body).encode(), code)


def refused(error: ApiError) -> web.Response:
    """A refusal, with the header that tells when to try again if it has one."""
    response = json_answer(error.status(), error.code)
    if "retryAfterSeconds" in error.details:
        response.headers["Retry-After"] = str(error.details["retryAfterSeconds"])
    return response


def listed(request: web.BaseRequest, resource: Resource, page: Page, now: float) -> web.Response:
    """A list, or a page of one; its items are sent as they are stored."""
    metadata: Object = {"resourceVersion": str(page.version)}
    if page.token:
        metadata["continue"] = page.token
        if page.remaining is not None:
            metadata["remainingItemCount"] = page.remaining
    if wants_table(request):
        return json_answer(rows(request, resource, page.items, metadata, now))
    head = {"kind": resource.list_kind, "apiVersion": resource.api_version, "metadata": metadata}
    items = b",".join(stored.encoded for stored in page.items)
    return encoded(encode(head).encode()[:-1] + b',"items":[' + items + b"]}")


def rows(
    request: web.BaseRequest,
    resource: Resource,
    items: list[Stored],
    metadata: Object,
    now: float,
    *,
    with_columns: bool = True,
) -> Object:
    """Objects as a table."""
    include = request.query.get("includeObject", "Metadata")
    return table(resource, items, metadata, now, include=include, with_columns=with_columns)


def shown(
    request: web.BaseRequest,
    resource: Resource,
    stored: Stored,
    now: float,
    *,
    on_scale: bool = False,
    code: int = 200,
) -> web.Response:
    """One object, its Scale, or its row."""
    if on_scale and resource.scale is not None:
        return json_answer(scales.scale_of(resource.scale, stored.body), code)
    if wants_table(request):
        metadata = {"resourceVersion": stored.body["metadata"].get("resourceVersion", "")}
        return json_answer(rows(request, resource, [stored], metadata, now), code)
    return encoded(stored.encoded, code)


def written(
    request: web.BaseRequest,
    resource: Resource,
    outcome: Written,
    now: float,
    *,
    on_scale: bool = False,
    code: int = 200,
) -> web.Response:
    """What a write has left, with its warnings."""
    answer = shown(request, resource, outcome.stored, now, on_scale=on_scale, code=code)
    if request.query.get("fieldValidation") != "Ignore":
        for warning in outcome.warnings:
            text = warning.replace("\\", "\\\\").replace('"', '\\"')
            answer.headers.add("Warning", f'299 - "{text}"')
    return answer


def deleted(resource: Resource, outcome: Written) -> web.Response:
    """The object while something holds it, and a mere success once it is gone."""
    if not outcome.removed or resource is PODS:
        return encoded(outcome.stored.encoded)
    metadata = outcome.stored.body["metadata"]
    details = {"name": metadata["name"], "kind": resource.plural, "uid": metadata["uid"]}
    if resource.group:
        details["group"] = resource.group
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return json_answer({**status, "details": details})

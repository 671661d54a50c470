"""What a request asks for beyond its path: its verb, its parameters, its body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from media_devcluster.embedded import errors, patches
from media_devcluster.embedded.errors import Object
from media_devcluster.embedded.paths import Target
from media_devcluster.embedded.registry import DeleteOptions, Part, Request
from media_devcluster.embedded.resources import Resource
from media_devcluster.embedded.selectors import Predicate, both, fields_match, labels_match
from media_devcluster.embedded.watching import Start

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
OPERATIONS = "application/json-patch+json"
TRUE = ("true", "1")


def verb_of(request: web.BaseRequest, target: Target) -> str:
    """The verb as RBAC and faults name it."""
    match request.method:
        case "GET":
            if request.query.get("watch") in TRUE and target.name is None:
                return "watch"
            return "get" if target.name is not None else "list"
        case "POST":
            return "create"
        case "PUT":
            return "update"
        case "DELETE":
            return "delete" if target.name is not None else "deletecollection"
        case method:
            return method.lower()


def number(request: web.BaseRequest, name: str) -> int | None:
    """A parameter that is a number, if it is given."""
    text = request.query.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise errors.bad_request(f"{name}: {text!r} is not a number") from None


def watch_start(request: web.BaseRequest) -> Start:
    """Where a watch wants to begin."""
    version = number(request, "resourceVersion")
    if request.query.get("sendInitialEvents") in TRUE:
        return Start(None, end_marked=True)
    return Start(version or None)


def write_request(request: web.BaseRequest, *, part: Part = Part.MAIN, must_name_version: bool = False) -> Request:
    """How a write is to be taken."""
    return Request(
        part=part,
        dry_run="All" in request.query.getall("dryRun", []),
        strict=request.query.get("fieldValidation") == "Strict",
        must_name_version=must_name_version,
    )


async def body_of(request: web.BaseRequest) -> Object:
    """The object that was sent."""
    body = await _json_of(request)
    if not isinstance(body, dict):
        raise errors.bad_request("the body of the request is not an object")
    return body


async def _json_of(request: web.BaseRequest) -> Any:
    try:
        return json.loads(await request.read())
    except ValueError as error:
        raise errors.bad_request(f"the body of the request is not JSON: {error}") from error


async def patch_of(request: web.BaseRequest, resource: Resource) -> Callable[[Object], Object]:
    """The patch that was sent, as a change of the object it is for."""
    accepted = [OPERATIONS, MERGE] if resource.custom else [OPERATIONS, MERGE, STRATEGIC]
    if request.content_type not in accepted:
        raise errors.unsupported_media_type(request.content_type, accepted)
    patch = await _json_of(request)
    if request.content_type == OPERATIONS:
        return lambda body: patches.apply_operations(body, patch)
    if not isinstance(patch, dict):
        raise errors.bad_request("error decoding patch: a merge patch is an object")
    return lambda body: patches.merge(body, patch)


async def delete_options(request: web.BaseRequest) -> DeleteOptions:
    """Options from the body, or from the parameters as some clients send them."""
    body = await body_of(request) if request.can_read_body else {}
    preconditions = body.get("preconditions") or {}
    grace = body.get("gracePeriodSeconds", number(request, "gracePeriodSeconds"))
    propagation = body.get("propagationPolicy") or request.query.get("propagationPolicy")
    if body.get("orphanDependents") is not None:
        propagation = "Orphan" if body["orphanDependents"] else "Background"
    if propagation not in (None, "Orphan", "Background", "Foreground"):
        raise errors.bad_request(f"invalid propagationPolicy: {propagation}")
    return DeleteOptions(
        grace=grace,
        uid=preconditions.get("uid"),
        version=preconditions.get("resourceVersion"),
        propagation=propagation,
        dry_run="All" in [*(body.get("dryRun") or ()), *request.query.getall("dryRun", [])],
    )


def wants_table(request: web.BaseRequest) -> bool:
    """Whether the first choice of the client is a table."""
    return "as=Table" in request.headers.get("Accept", "").partition(",")[0]


def selected_by(request: web.BaseRequest, resource: Resource) -> Predicate:
    """What the label and field selectors of a request choose."""
    return both(
        labels_match(request.query.get("labelSelector", "")),
        fields_match(request.query.get("fieldSelector", ""), resource.fields),
    )

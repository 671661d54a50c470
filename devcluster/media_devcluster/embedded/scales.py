"""The scale subresource: an autoscaling/v1 Scale made from an object, and written back to it. Pure."""

from __future__ import annotations

from typing import Any

from media_devcluster.embedded.errors import Object, bad_request
from media_devcluster.embedded.jsonpaths import look_up
from media_devcluster.embedded.resources import Scale

SHOWN = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(scale: Scale, body: Object) -> Object:
    """The Scale an object shows."""
    status: Object = {"replicas": look_up(body, scale.status_replicas) or 0}
    if scale.selector and (selector := look_up(body, scale.selector)):
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: body["metadata"][name] for name in SHOWN if name in body["metadata"]},
        "spec": {"replicas": look_up(body, scale.replicas) or 0},
        "status": status,
    }


def scaled(scale: Scale, body: Object, wanted: Object) -> Object:
    """The object with the replicas of a Scale; its resourceVersion is the Scale's, so that it is tested."""
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request("spec.replicas must be an integer")
    version = (wanted.get("metadata") or {}).get("resourceVersion")
    body = _with(body, scale.replicas, replicas)
    if version:
        return _with(body, ("metadata", "resourceVersion"), version)
    return body


def _with(body: Object, fields: tuple[str, ...], value: Any) -> Object:
    name, *rest = fields
    return {**body, name: _with(body.get(name) or {}, tuple(rest), value) if rest else value}

"""Objects that tests send to an API server."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def media_asset(name: str, *, labels: dict[str, str] | None = None, **spec: Any) -> Object:
    """A MediaAsset that is valid."""
    return {
        "apiVersion": "media.docfliq.com/v1alpha1",
        "kind": "MediaAsset",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "assetType": "IMAGE",
            "owner": "user-1",
            "source": {
                "bucket": "media",
                "key": f"uploads/image/user-1/20260101T000000_{name}.jpg",
                "etag": "0123456789abcdef",
                "sizeBytes": 1234,
                "contentType": "image/jpeg",
            },
            **spec,
        },
    }


def worker_pool(name: str, **spec: Any) -> Object:
    """A MediaWorkerPool that is valid."""
    return {
        "apiVersion": "media.docfliq.com/v1alpha1",
        "kind": "MediaWorkerPool",
        "metadata": {"name": name},
        "spec": spec,
    }


def custom_kind(group: str, kind: str, plural: str, scope: str, **subresources: Object) -> Object:
    """The definition of a kind that takes any object: on the embedded API it stands in for a built-in one."""
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
        "subresources": subresources,
    }
    spec = {"group": group, "scope": scope, "names": {"plural": plural, "kind": kind}, "versions": [version]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": spec,
    }


def config_map(name: str, *, labels: dict[str, str] | None = None, **data: str) -> Object:
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels or {}},
        "data": data,
    }


def succeeded_condition(reason: str, status: str = "Unknown") -> Object:
    """The summary condition of an asset."""
    return {
        "type": "Succeeded",
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }

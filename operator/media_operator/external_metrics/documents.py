"""The JSON bodies of external.metrics.k8s.io/v1beta1, and the refusals in the API server's own shape.

They stand apart because clients in other languages depend on every letter of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

GROUP: Final = "external.metrics.k8s.io"
VERSION: Final = "v1beta1"
GROUP_VERSION: Final = f"{GROUP}/{VERSION}"
ROOT: Final = f"/apis/{GROUP_VERSION}"
METRIC: Final = "media_backlog_seconds"
POOL: Final = "pool"

RESOURCES: Final[Mapping[str, Any]] = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": GROUP_VERSION,
    "resources": [
        {
            "name": METRIC,
            "singularName": "",
            "namespaced": True,
            "kind": "ExternalMetricValueList",
            # No other verb may be named: with `list` and `delete` here, the deletion of a namespace would try to
            # delete the metric and wait for ever until it is gone.
            "verbs": ["get"],
        }
    ],
}


@dataclass(frozen=True, slots=True)
class Value:
    """The backlog of one pool, and when the operator took it."""

    pool: str
    seconds: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no answer. `reason` is one of metav1.StatusReason."""

    code: int
    reason: str
    message: str


def value_list(value: Value) -> dict[str, Any]:
    """One item, always: an HPA takes an empty list for an error, and sums several."""
    return {
        "kind": "ExternalMetricValueList",
        "apiVersion": GROUP_VERSION,
        "metadata": {},
        "items": [
            {
                "metricName": METRIC,
                "metricLabels": {POOL: value.pool},
                "timestamp": value.time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "value": str(value.seconds),
            }
        ],
    }


def status(refusal: Refusal) -> dict[str, Any]:
    """A metav1.Status, whose message kubectl and the HPA's conditions show as it is."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": refusal.message,
        "reason": refusal.reason,
        "code": refusal.code,
    }

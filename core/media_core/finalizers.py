"""Finalizers of an object that is not ours alone: one is taken off, and only from the version that was seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def without_finalizer(body: Mapping[str, Any], finalizer: str) -> dict[str, Any] | None:
    """The merge patch that takes it from that very version of the object; None where it has none of that name."""
    metadata = body["metadata"]
    finalizers = metadata.get("finalizers") or []
    if finalizer not in finalizers:
        return None
    kept = [name for name in finalizers if name != finalizer]
    return {"metadata": {"finalizers": kept, "resourceVersion": metadata["resourceVersion"]}}

"""Objects as rows: the table form that `kubectl get` asks for."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Any

from media_devcluster.embedded.errors import Object
from media_devcluster.embedded.jsonpaths import compile_path
from media_devcluster.embedded.resources import Column, Resource
from media_devcluster.embedded.store import Stored

compiled = lru_cache(maxsize=1024)(compile_path)
NAME = Column("Name", "string", ".metadata.name", format="name", description="Name of the object.")
AGE = Column("Age", "date", ".metadata.creationTimestamp", description="Time since its creation.")
MINUTE, HOUR, DAY = 60, 3600, 86400


def human_duration(seconds: float) -> str:
    """A duration in the two units that matter."""
    if seconds < -1:
        return "<invalid>"
    whole = max(int(seconds), 0)
    for below, shown in (
        (2 * MINUTE, f"{whole}s"),
        (10 * MINUTE, _two(whole, MINUTE, "m", 1, "s")),
        (3 * HOUR, f"{whole // MINUTE}m"),
        (8 * HOUR, _two(whole, HOUR, "h", MINUTE, "m")),
        (2 * DAY, f"{whole // HOUR}h"),
        (8 * DAY, _two(whole, DAY, "d", HOUR, "h")),
        (730 * DAY, f"{whole // DAY}d"),
    ):
        if whole < below:
            return shown
    return _two(whole, 365 * DAY, "y", DAY, "d")


def _two(whole: int, big: int, big_name: str, small: int, small_name: str) -> str:
    rest = whole % big // small
    return f"{whole // big}{big_name}{rest}{small_name}" if rest else f"{whole // big}{big_name}"


def columns_of(resource: Resource) -> tuple[Column, ...]:
    """Name first; built-in kinds end with their age, custom kinds say so themselves or have none but it."""
    own = resource.columns
    if resource.custom and own:
        return (NAME, *own)
    return (NAME, *(one for one in own if not one.priority), AGE, *(one for one in own if one.priority))


def _cell(column: Column, body: Object, now: float) -> Any:
    found = compiled(column.path)(body)
    if not found or found[0] is None:
        return None
    value = found[0]
    if column.type == "date":
        try:
            then = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
        except ValueError:
            return "<invalid>"
        return human_duration(now - then.timestamp())
    if column.type == "integer":
        return int(value) if isinstance(value, int | float) else None
    if column.type == "string" and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value


def _shown_object(stored: Stored, include: str) -> Object | None:
    if include == "None":
        return None
    if include == "Object":
        return stored.body
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": stored.body["metadata"],
    }


def table(
    resource: Resource,
    items: list[Stored],
    metadata: Object,
    now: float,
    *,
    include: str = "Metadata",
    with_columns: bool = True,
) -> Object:
    """The table of some objects."""
    columns = columns_of(resource)
    definitions = [
        {
            "name": column.name,
            "type": "string" if column.type == "date" and column is AGE else column.type,
            "format": column.format,
            "description": column.description,
            "priority": column.priority,
        }
        for column in columns
    ]
    rows = [
        {
            "cells": [_cell(column, stored.body, now) for column in columns],
            "object": _shown_object(stored, include),
        }
        for stored in items
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions if with_columns else [],
        "rows": rows,
    }

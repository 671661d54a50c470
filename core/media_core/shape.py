"""The base of every value that crosses the Kubernetes API: camelCase outside, frozen inside, tolerant of more.

A reader that refuses unknown fields breaks at the next upgrade, so unknown fields are ignored.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Shape(BaseModel):
    """A frozen value with camelCase JSON."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True, extra="ignore"
    )

    def to_json(self) -> dict[str, Any]:
        """JSON for the Kubernetes API: camelCase, no nulls, times in RFC 3339 with whole seconds."""
        plain: dict[str, Any] = _plain(self.model_dump(by_alias=True, exclude_none=True))
        return plain


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with whole seconds, as metav1.Time writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case datetime():
            return timestamp(value)
        case str():
            return str(value)
        case _:
            return value

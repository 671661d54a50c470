"""Fields of a header, read strictly: what is of another kind or out of bounds is said to be so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


class HeaderInvalid(Exception):
    """A header that says something other than the protocol allows; the text says what."""


def read_object(header: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """An object. Raises HeaderInvalid."""
    value = header.get(key)
    if not isinstance(value, dict):
        raise HeaderInvalid(f"{key} must be an object")
    return value


def read_list(header: Mapping[str, Any], key: str, at_most: int) -> list[dict[str, Any]]:
    """A list of objects, with at least one entry and at most so many. Raises HeaderInvalid."""
    value = header.get(key)
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise HeaderInvalid(f"{key} must be a list of objects")
    if not 1 <= len(value) <= at_most:
        raise HeaderInvalid(f"{key} has {len(value)} entries; 1 to {at_most} are allowed")
    return value


def read_integer(header: Mapping[str, Any], key: str, least: int, most: int) -> int:
    """An integer within those bounds. Raises HeaderInvalid."""
    value = header.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise HeaderInvalid(f"{key} must be an integer from {least} to {most}, not {str(value)[:60]}")
    return value


def read_text(header: Mapping[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    """A text of that form. Raises HeaderInvalid."""
    value = header.get(key)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise HeaderInvalid(f"{key} is not as it must be: {str(value)[:60]!r}")
    return value

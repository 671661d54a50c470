"""Conditions and ranges of a request for a file (RFC 9110 §13 and §14), decided on its ETag and size. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(?P<first>\d{0,18})-(?P<last>\d{0,18})", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes `first` to `last` are sent, as a part (206) or as the whole (200)."""

    first: int
    last: int
    partial: bool

    @property
    def length(self) -> int:
        """How many bytes that is."""
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class NotModified:
    """The client has it already (304)."""


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """Nothing of the file is in the range (416)."""


def decide(
    *, size: int, etag: str, range_: str | None, if_range: str | None, if_none_match: str | None
) -> Send | NotModified | OutOfRange:
    """What a request gets. More than one range at once is answered with the whole, as the RFC allows."""
    if if_none_match is not None and _matches(if_none_match, etag):
        return NotModified()
    whole = Send(0, size - 1, partial=False)
    found = _RANGE.fullmatch(range_.strip()) if range_ else None
    if found is None or (if_range is not None and if_range.strip() != f'"{etag}"'):
        return whole
    match found["first"], found["last"]:
        case "", "":
            return whole
        case "", suffix:
            return Send(max(0, size - int(suffix)), size - 1, partial=True) if int(suffix) and size else OutOfRange()
        case first, "":
            return Send(int(first), size - 1, partial=True) if int(first) < size else OutOfRange()
        case first, last:
            if int(last) < int(first):
                return whole
            return Send(int(first), min(int(last), size - 1), partial=True) if int(first) < size else OutOfRange()


def _matches(if_none_match: str, etag: str) -> bool:
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)

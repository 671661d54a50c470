"""HLS playlists, read: what a master names, and the segments of a media playlist.

Only reading, because the transcoders write them. Tolerant of tags it does not know, as RFC 8216 (HTTP Live Streaming)
asks of a reader, and strict in what it gives: whoever proves a film by its playlists looks for exactly that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

_VARIANT = "#EXT-X-STREAM-INF:"
_SEGMENT = "#EXTINF:"
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,"]*)(?:,|$)')
_RESOLUTION = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
_WHOLE = re.compile(r"[0-9]{1,18}")
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?")


class PlaylistBroken(ValueError):
    """It is no playlist, or one cut short; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One size of a film in a master playlist; `resolution` is None where the playlist does not tell."""

    uri: str
    bandwidth: int
    resolution: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One piece of a film."""

    uri: str
    seconds: float


@dataclass(frozen=True, slots=True)
class MediaPlaylist:
    """The pieces of one size of a film; not `ended` as long as more may follow."""

    segments: tuple[Segment, ...]
    ended: bool

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return math.fsum(segment.seconds for segment in self.segments)


def parse_master(text: str) -> tuple[Variant, ...]:
    """The variants of a master playlist, in its order. Raises PlaylistBroken, also where there is none."""
    variants: list[Variant] = []
    attributes: str | None = None
    for line in _lines(text):
        if line.startswith(_SEGMENT):
            raise PlaylistBroken("It is a media playlist, not a master.")
        if line.startswith(_VARIANT):
            if attributes is not None:
                raise PlaylistBroken("A variant has no address.")
            attributes = line.removeprefix(_VARIANT)
        elif not line.startswith("#"):
            if attributes is None:
                raise PlaylistBroken(f"{line[:80]!r} is not described.")
            variants.append(_variant(line, attributes))
            attributes = None
    if attributes is not None:
        raise PlaylistBroken("The last variant has no address.")
    if not variants:
        raise PlaylistBroken("It names no variant.")
    return tuple(variants)


def parse_media(text: str) -> MediaPlaylist:
    """The segments of a media playlist. Raises PlaylistBroken; one that has ended without a segment is broken."""
    segments: list[Segment] = []
    seconds: float | None = None
    ended = False
    for line in _lines(text):
        if line.startswith(_VARIANT):
            raise PlaylistBroken("It is a master playlist, not a media playlist.")
        if line.startswith(_SEGMENT):
            if seconds is not None:
                raise PlaylistBroken("A segment has no address.")
            seconds = _seconds(line)
        elif line == "#EXT-X-ENDLIST":
            ended = True
        elif not line.startswith("#"):
            if seconds is None:
                raise PlaylistBroken(f"{line[:80]!r} has no length.")
            segments.append(Segment(line, seconds))
            seconds = None
    if seconds is not None:
        raise PlaylistBroken("The last segment has no address.")
    if ended and not segments:
        raise PlaylistBroken("It names no segment.")
    return MediaPlaylist(tuple(segments), ended)


def _lines(text: str) -> Iterator[str]:
    """The lines that say something. Only the first may be marked as the beginning of a playlist, and it has to be."""
    lines = [line.strip() for line in text.removeprefix("\ufeff").split("\n")]
    if lines[0] != "#EXTM3U":
        raise PlaylistBroken("It does not begin with #EXTM3U.")
    return (line for line in lines[1:] if line)


def _variant(uri: str, attributes: str) -> Variant:
    found = {name: value.strip('"') for name, value in _ATTRIBUTE.findall(attributes)}
    bandwidth = found.get("BANDWIDTH", "")
    if not _WHOLE.fullmatch(bandwidth):
        raise PlaylistBroken(f"The bandwidth of {uri[:80]!r} is not told.")
    size = _RESOLUTION.fullmatch(found.get("RESOLUTION", ""))
    return Variant(uri, int(bandwidth), (int(size[1]), int(size[2])) if size else None)


def _seconds(line: str) -> float:
    told = line.removeprefix(_SEGMENT).partition(",")[0].strip()
    if not _SECONDS.fullmatch(told):
        raise PlaylistBroken(f"{told[:80]!r} is no length of a segment.")
    return float(told)

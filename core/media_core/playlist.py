"""HLS playlists, read: what a master names, and the segments of a media playlist.

Only reading, because the transcoders write them. Tolerant of tags it does not know, as RFC 8216 (HTTP Live Streaming)
asks of a reader, and strict in what it gives: whoever proves a film by its playlists looks for exactly that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

MOST_BYTES = 4 << 20
"""A playlist has no more: one of four hours has some 200 kB."""
_VARIANT = "#EXT-X-STREAM-INF:"
_SEGMENT = "#EXTINF:"
_END = "#EXT-X-ENDLIST"
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
    lines = _lines(text)
    if any(line.startswith(_SEGMENT) for line in lines):
        raise PlaylistBroken("It is a media playlist, not a master.")
    told = _addressed(lines, _VARIANT, "variant", lacking="is not described")
    variants = tuple(_variant(uri, attributes) for uri, attributes in told)
    if not variants:
        raise PlaylistBroken("It names no variant.")
    return variants


def parse_media(text: str) -> MediaPlaylist:
    """The segments of a media playlist. Raises PlaylistBroken; one that has ended without a segment is broken."""
    lines = _lines(text)
    if any(line.startswith(_VARIANT) for line in lines):
        raise PlaylistBroken("It is a master playlist, not a media playlist.")
    told = _addressed(lines, _SEGMENT, "segment", lacking="has no length")
    segments = tuple(Segment(uri, _seconds(length)) for uri, length in told)
    ended = _END in lines
    if ended and not segments:
        raise PlaylistBroken("It names no segment.")
    return MediaPlaylist(segments, ended)


def _addressed(lines: list[str], tag: str, noun: str, *, lacking: str) -> Iterator[tuple[str, str]]:
    """Each address, and what the tag before it tells of it."""
    told: str | None = None
    for line in lines:
        if line.startswith(tag):
            if told is not None:
                raise PlaylistBroken(f"A {noun} has no address.")
            told = line.removeprefix(tag)
        elif not line.startswith("#"):
            if told is None:
                raise PlaylistBroken(f"{line[:80]!r} {lacking}.")
            yield line, told
            told = None
    if told is not None:
        raise PlaylistBroken(f"The last {noun} has no address.")


def _lines(text: str) -> list[str]:
    """The lines that say something. Only the first may be marked as the beginning of a playlist, and it has to be."""
    lines = [line.strip() for line in text.removeprefix("\ufeff").split("\n")]
    if lines[0] != "#EXTM3U":
        raise PlaylistBroken("It does not begin with #EXTM3U.")
    return [line for line in lines[1:] if line]


def _variant(uri: str, attributes: str) -> Variant:
    found = {name: value.strip('"') for name, value in _ATTRIBUTE.findall(attributes)}
    bandwidth = found.get("BANDWIDTH", "")
    if not _WHOLE.fullmatch(bandwidth):
        raise PlaylistBroken(f"The bandwidth of {uri[:80]!r} is not told.")
    size = _RESOLUTION.fullmatch(found.get("RESOLUTION", ""))
    return Variant(uri, int(bandwidth), (int(size[1]), int(size[2])) if size else None)


def _seconds(length: str) -> float:
    told = length.partition(",")[0].strip()
    if not _SECONDS.fullmatch(told):
        raise PlaylistBroken(f"{told[:80]!r} is no length of a segment.")
    return float(told)

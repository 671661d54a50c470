"""The ladder of a film: which sizes it is made in, at which bitrates, and under which names.

Pure, and apart from both backends, because they have to agree: whoever transcodes a film, the same rungs lie under
the same keys. No rung is larger than the source, every side is even (4:2:0 has no half pixels), and a film held
upright has the rungs of the same film lying, turned. The names of files are those AWS Elemental MediaConvert gives.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from media_core.reasons import Reason

SEGMENT_SECONDS: Final = 4
"""Length of a segment; a player can change rungs at each of its beginnings."""
GOP_SECONDS: Final = 2
"""Distance of key frames; divides a segment, so that every segment of every rung begins with one."""
THUMBNAIL_SIDE: Final = 640
THUMBNAIL_SECOND: Final = 3
"""Whoever can choose the picture shown before playing takes it there, past a dark beginning; MediaConvert cannot, and
takes the first."""
LONGEST_SIDE: Final = 4096
"""The longest side a rung may have: more is beyond what H.264 level 5.2 promises of a player."""
SMALLEST_SOURCE: Final = 32
LARGEST_SOURCE: Final = 8192
"""Sides of a source beyond which encoders give up."""
SLIMMEST: Final = 20
"""The longer side may be so many times the shorter one: the thumbnail of a slimmer film is a line."""
LONGEST_SECONDS: Final = 14_400

HLS: Final = "hls"
MASTER: Final = f"{HLS}/master.m3u8"
VIDEO: Final = "video.mp4"
THUMBNAIL: Final = "thumbnail.jpg"
CAPTURED: Final = "thumbnail.0000000.jpg"
"""What MediaConvert calls the one picture it captures; it is stored as `THUMBNAIL` before anybody is told of it."""


CONTENT_TYPES: Final[Mapping[str, str]] = {
    "m3u8": "application/vnd.apple.mpegurl",
    "ts": "video/mp2t",
    "mp4": "video/mp4",
    "jpg": "image/jpeg",
}
"""Of a film's files, by extension."""
_OF_RUNG: Final = re.compile(rf"{HLS}/master_(?P<rung>[a-z0-9]{{1,16}})(?:\.m3u8|_[0-9]{{5}}\.ts)")


@dataclass(frozen=True, slots=True)
class Film:
    """What a probe found: the size as coded, and the degrees it is turned clockwise to be shown upright."""

    width: int
    height: int
    rotation: int = 0
    duration_seconds: float = 0.0
    has_audio: bool = False

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as a viewer sees it."""
        return (self.height, self.width) if self.rotation % 180 else (self.width, self.height)

    @property
    def thumbnail_second(self) -> int:
        """The second the thumbnail is taken at; always one that the film has."""
        return THUMBNAIL_SECOND if self.duration_seconds > THUMBNAIL_SECOND + 1 else 0


@dataclass(frozen=True, slots=True)
class Rung:
    """One size of a film. Bitrates are in bits a second; `audio_bitrate` is 0 for a film without sound."""

    name: str
    width: int
    height: int
    max_bitrate: int
    audio_bitrate: int


@dataclass(frozen=True, slots=True)
class _Step:
    name: str
    short_side: int
    max_bitrate: int
    audio_bitrate: int


_STEPS: Final = (
    _Step("720p", 720, 5_000_000, 128_000),
    _Step("1080p", 1080, 8_500_000, 128_000),
    _Step("4k", 2160, 20_000_000, 192_000),
)
_PROGRESSIVE: Final = 1080
_SMALL_BITRATE: Final = 400_000


def ladder(film: Film) -> tuple[Rung, ...]:
    """The rungs of a film, ascending: each step its short side reaches, or its own size where it reaches none."""
    reached = [step for step in _STEPS if step.short_side <= min(film.shown)] or [_own(film)]
    rungs: list[Rung] = []
    for step in reached:
        rung = _rung(film, step)
        # A very wide film meets the longest side before the short one: further steps would only repeat its size.
        if not rungs or (rung.width, rung.height) != (rungs[-1].width, rungs[-1].height):
            rungs.append(rung)
    return tuple(rungs)


def progressive(film: Film) -> Rung:
    """The rung whose size and bitrate the one-file film (`VIDEO`) has: the largest of at most 1080p."""
    return [rung for rung in ladder(film) if min(rung.width, rung.height) <= _PROGRESSIVE][-1]


def thumbnail_size(film: Film) -> tuple[int, int]:
    """Width and height of the thumbnail, which fits in a square of `THUMBNAIL_SIDE`."""
    return _fitting(film, min(film.shown), THUMBNAIL_SIDE)


def refusal(film: Film, longest_seconds: int = LONGEST_SECONDS) -> tuple[Reason, str] | None:
    """Why a film is not transcoded, by its size and length; None for one that is.

    A length that the container does not tell (0, as of what browsers record) is not held against the film.
    """
    short, long = sorted(film.shown)
    if short < 1:
        return Reason.UNDECODABLE, "The video does not say how large its picture is."
    size = f"The picture is {film.shown[0]} x {film.shown[1]} pixels;"
    if short < SMALLEST_SOURCE:
        return Reason.UNSUPPORTED_FORMAT, f"{size} both sides must be at least {SMALLEST_SOURCE}."
    if long > LARGEST_SOURCE:
        return Reason.TOO_MANY_PIXELS, f"{size} no side may be longer than {LARGEST_SOURCE}."
    if long > SLIMMEST * short:
        return Reason.UNSUPPORTED_FORMAT, f"{size} one side may be at most {SLIMMEST} times as long as the other."
    if film.duration_seconds > longest_seconds:
        told = f"The video is {film.duration_seconds:.0f} s long; the limit is {longest_seconds} s."
        return Reason.TOO_LONG, told
    return None


def playlist_path(rung: str) -> str:
    """Path of a rung's media playlist, relative to the film's folder."""
    return f"{HLS}/master_{rung}.m3u8"


def segment_path(rung: str, number: int) -> str:
    """Path of a rung's segment, relative to the film's folder; the first is number 1."""
    return f"{HLS}/master_{rung}_{number:05}.ts"


def rung_of(path: str) -> str | None:
    """Name of the rung whose playlist or segment has that path; None for any other path."""
    found = _OF_RUNG.fullmatch(path)
    return found["rung"] if found else None


def is_segment(path: str, rung: str) -> bool:
    """Whether it is the path of a segment of that rung."""
    return rung_of(path) == rung and path != playlist_path(rung)


def _own(film: Film) -> _Step:
    """The only step of a film smaller than all of them; its bitrate falls with its area."""
    width, height = film.shown
    short = _even(min(width, height))
    bitrate = _STEPS[0].max_bitrate * width * height // (1280 * 720)
    return _Step(f"{short}p", short, min(max(bitrate, _SMALL_BITRATE), _STEPS[0].max_bitrate), 96_000)


def _rung(film: Film, step: _Step) -> Rung:
    width, height = _fitting(film, step.short_side, LONGEST_SIDE)
    return Rung(step.name, width, height, step.max_bitrate, step.audio_bitrate if film.has_audio else 0)


def _fitting(film: Film, short_limit: int, long_limit: int) -> tuple[int, int]:
    """The even size of the film's aspect whose sides are within the limits and those of the film."""
    width, height = film.shown
    short, long = sorted((width, height))
    if long * short_limit <= long_limit * short:
        new_short = _even(min(short_limit, short))
        new_long = _nearest(long * new_short, short, min(long, long_limit))
    else:
        new_long = _even(min(long_limit, long))
        new_short = _nearest(short * new_long, long, short)
    return (new_short, new_long) if width < height else (new_long, new_short)


def _nearest(numerator: int, denominator: int, limit: int) -> int:
    """The even number nearest to the fraction that is not above the limit."""
    return min(2 * round(numerator / denominator / 2), _even(limit)) or 2


def _even(side: int) -> int:
    return side - side % 2 or 2

"""What a file holds: how ffprobe is asked, and what its answer amounts to. Pure.

Only pictures and sound count; subtitles, attachments, data and covers are not opened. A codec is one of a short list,
of which every decoder is in wide use: the rest of ffmpeg's hundreds is not reachable.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from media_core.ladder import Film, refusal
from media_core.reasons import Reason
from media_worker.transcoder.containers import Container
from media_worker.transcoder.frame_rate import frame_rate
from media_worker.transcoder.protocol import ORIGINAL, TranscodeRefused

MOST_STREAMS = 64
PROBE_BYTES = 1 << 20
"""More of an answer is no film."""

_PICTURE_DECODERS: Mapping[str, tuple[str, ...]] = {
    "h264": ("h264",),
    "hevc": ("hevc",),
    "av1": ("libdav1d", "libaom-av1", "av1"),
    "vp8": ("vp8",),
    "vp9": ("vp9",),
    "mpeg4": ("mpeg4",),
    "mpeg2video": ("mpeg2video",),
    "mpeg1video": ("mpeg1video",),
    "mjpeg": ("mjpeg",),
    "prores": ("prores",),
    "h263": ("h263",),
    "dvvideo": ("dvvideo",),
}
_PCM = tuple(
    f"pcm_{form}"
    for form in ("u8", "s8", "alaw", "mulaw", *(f + e for f in ("s16", "s24", "s32", "f32") for e in ("le", "be")))
)
_SOUND_DECODERS: Mapping[str, tuple[str, ...]] = {
    "aac": ("aac",),
    "mp3": ("mp3float", "mp3"),
    "mp2": ("mp2float", "mp2"),
    "opus": ("opus",),
    "vorbis": ("vorbis",),
    "ac3": ("ac3",),
    "eac3": ("eac3",),
    "flac": ("flac",),
    "alac": ("alac",),
    "amr_nb": ("amrnb",),
    "amr_wb": ("amrwb",),
    **{name: (name,) for name in _PCM},
}
"""Codecs by ffprobe's name, and which of ffmpeg's decoders may read them."""

DECODERS = tuple(name for names in (*_PICTURE_DECODERS.values(), *_SOUND_DECODERS.values()) for name in names)
BESIDES = (
    *("png", "bmp", "webp"),
    *("mov_text", "subrip", "srt", "ass", "ssa", "webvtt", "text", "cc_dec", "dvbsub", "dvdsub", "pgssub"),
)
"""Decoders of covers and subtitles: ffprobe opens one for each stream before it tells of any, ffmpeg does not."""

_ENTRIES = ":".join(
    (
        "format=duration",
        "stream=index,codec_type,codec_name,width,height,sample_aspect_ratio,avg_frame_rate,r_frame_rate,field_order,"
        "color_transfer,duration,channels",
        "stream_disposition=default,attached_pic,timed_thumbnails",
        "stream_side_data=rotation",
    )
)
_INTERLACED = frozenset({"tt", "bb", "tb", "bt"})
_HDR = frozenset({"smpte2084", "arib-std-b67"})


@dataclass(frozen=True, slots=True)
class Source:
    """A film as its file has it: what the ladder needs to know, and what the command does beyond it."""

    container: Container
    film: Film
    picture: int
    """Index of its stream."""
    sound: int | None
    rate: Fraction
    """Constant, and at most 60."""
    interlaced: bool = False
    transfer: str | None = None
    """How light is coded, where that is of high dynamic range."""


def reading(container: Container, *besides: str) -> tuple[str, ...]:
    """What every program is told before the file: this one, as that container, by these decoders, nothing else."""
    decoders = ",".join((*DECODERS, *besides))
    only = ("-protocol_whitelist", "file", "-codec_whitelist", decoders, "-max_streams", str(MOST_STREAMS))
    return (*only, *container.options, "-f", container.demuxer, "-i", ORIGINAL)


def probe_command(container: Container) -> tuple[str, ...]:
    """What to execute in the film's folder."""
    quiet = ("-hide_banner", "-loglevel", "error", "-of", "json")
    return ("ffprobe", *quiet, "-show_entries", _ENTRIES, *reading(container, *BESIDES))


def source_of(answer: bytes, container: Container, longest_seconds: int) -> Source:
    """What ffprobe says of a file. Raises TranscodeRefused for what is not transcoded."""
    try:
        found = json.loads(answer)
        streams = [stream for stream in found["streams"] if isinstance(stream.get("index"), int)]
        return _source(streams, found.get("format", {}), container, longest_seconds)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TranscodeRefused(Reason.UNDECODABLE, "The file does not tell what it holds.") from None


def _source(
    streams: list[Mapping[str, Any]], format_: Mapping[str, Any], container: Container, longest_seconds: int
) -> Source:
    picture = _best(stream for stream in streams if _is_picture(stream))
    if picture is None:
        said = "The file holds sound and no picture." if _best(_sounds(streams)) else "The file holds no picture."
        raise TranscodeRefused(Reason.UNSUPPORTED_FORMAT, said)
    if picture.get("codec_name") not in _PICTURE_DECODERS:
        raise _unreadable("picture", picture, _PICTURE_DECODERS)
    sound = _best(stream for stream in _sounds(streams) if stream.get("codec_name") in _SOUND_DECODERS)
    if sound is None and (unread := _best(_sounds(streams))) is not None:
        raise _unreadable("sound", unread, _SOUND_DECODERS)
    coded = Film(
        int(picture.get("width", 0)),
        int(picture.get("height", 0)),
        _rotation(picture),
        _seconds(format_.get("duration")) or _seconds(picture.get("duration")),
        sound is not None,
    )
    film = _with_square_pixels(coded, picture)
    if (refused := refusal(coded, longest_seconds) or refusal(film, longest_seconds)) is not None:
        raise TranscodeRefused(*refused)
    interlaced = picture.get("field_order") in _INTERLACED
    rates = (_fraction(picture.get(name)) for name in ("avg_frame_rate", "r_frame_rate"))
    transfer = picture.get("color_transfer")
    return Source(
        container=container,
        film=film,
        picture=picture["index"],
        sound=sound["index"] if sound else None,
        rate=frame_rate(*rates, interlaced=interlaced),
        interlaced=interlaced,
        transfer=transfer if transfer in _HDR else None,
    )


def _is_picture(stream: Mapping[str, Any]) -> bool:
    marks = stream.get("disposition", {})
    return stream.get("codec_type") == "video" and not (marks.get("attached_pic") or marks.get("timed_thumbnails"))


def _sounds(streams: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that say how many channels they have: others were announced and never came."""
    return [stream for stream in streams if stream.get("codec_type") == "audio" and stream.get("channels")]


def _best(streams: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The first that its maker wants to be played, or else the first."""
    ordered = sorted(streams, key=lambda stream: not stream.get("disposition", {}).get("default"))
    return ordered[0] if ordered else None


def _with_square_pixels(film: Film, picture: Mapping[str, Any]) -> Film:
    """As wide as it is meant to be seen, where its pixels are broader or narrower than high."""
    ratio = _fraction(picture.get("sample_aspect_ratio"), ":")
    if ratio <= 0:
        return film
    return Film(round(film.width * ratio), film.height, film.rotation, film.duration_seconds, film.has_audio)


def _rotation(picture: Mapping[str, Any]) -> int:
    """Clockwise, where ffprobe counts the other way. What is askew is shown as it lies."""
    turns = (side["rotation"] for side in picture.get("side_data_list", ()) if "rotation" in side)
    turned = -float(next(turns, 0)) % 360
    quarters = round(turned / 90)
    return quarters % 4 * 90 if abs(turned - quarters * 90) < 1 else 0


def _seconds(told: Any) -> float:
    try:
        seconds = float(told)
    except (TypeError, ValueError):
        return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0


def _fraction(told: Any, sign: str = "/") -> Fraction:
    numerator, _, denominator = str(told or 0).partition(sign)
    try:
        return Fraction(int(numerator), int(denominator or 1))
    except (ValueError, ZeroDivisionError):
        return Fraction(0)


def _unreadable(what: str, stream: Mapping[str, Any], known: Iterable[str]) -> TranscodeRefused:
    name = stream.get("codec_name", "unknown")
    readable = ", ".join(each for each in known if not each.startswith("pcm_"))
    message = f"The {what} is coded as {str(name)[:40]}, which is not read; {readable} are."
    return TranscodeRefused(Reason.UNSUPPORTED_FORMAT, message)

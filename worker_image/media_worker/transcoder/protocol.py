"""What is asked of the transcoder and what it answers, as values and as JSON frames.

Both ends read the other's frames here, strictly: the worker does not trust a transcoder that a hostile film may have
taken over. How frames travel is `decoder.frames`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from media_core.ladder import LONGEST_SECONDS, Film
from media_core.reasons import Reason, Refusal
from media_worker.decoder.fields import HeaderInvalid, read_integer, read_object, read_text

REFUSALS = frozenset(
    {
        Reason.UNDECODABLE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.TOO_LONG,
        Reason.TOO_MANY_PIXELS,
        Reason.TOO_LARGE,
        Reason.DEADLINE_EXCEEDED,
        Reason.DECODER_CRASHED,
        Reason.DECODER_OUT_OF_MEMORY,
        Reason.INTERNAL_ERROR,
    }
)
"""Every reason the transcoder gives. InternalError: it is not the film's fault, and another try may go well."""

ORIGINAL, OUT = "original", "out"
"""In a film's folder: the file that was uploaded, and the folder of what is made of it."""
MESSAGE_CHARACTERS = 1000
_FILM = re.compile(r"[0-9a-f-]{36}")
_REASON = re.compile(r"[A-Za-z]{1,62}")
_MOST_SIDE = 1 << 20
_MOST_SECONDS = 1e9


class TranscodeRefused(Refusal):
    """No film comes of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one film may cost."""

    max_seconds: int = LONGEST_SECONDS
    timeout_seconds: int = 1800
    max_output_bytes: int = 16 << 30
    """All files that are made of it, together."""


@dataclass(frozen=True, slots=True)
class Request:
    """One film to transcode, by the name of its folder."""

    film: str
    limits: Limits

    def to_header(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "film": self.film,
            "limits": {
                "maxSeconds": self.limits.max_seconds,
                "timeoutSeconds": self.limits.timeout_seconds,
                "maxOutputBytes": self.limits.max_output_bytes,
            },
        }

    @classmethod
    def read(cls, header: Mapping[str, Any]) -> Request:
        """From JSON. Raises HeaderInvalid."""
        limits = read_object(header, "limits")
        return cls(
            film=read_text(header, "film", _FILM),
            limits=Limits(
                max_seconds=read_integer(limits, "maxSeconds", 1, 7 * 86400),
                timeout_seconds=read_integer(limits, "timeoutSeconds", 1, 7 * 86400),
                max_output_bytes=read_integer(limits, "maxOutputBytes", 1, 1 << 60),
            ),
        )


@dataclass(frozen=True, slots=True)
class Done:
    """The last frame: everything that the ladder says is there."""


Answer = Film | int | Done
"""What was found, once; percent, whenever it rose; the end."""


def probed_frame(film: Film) -> dict[str, Any]:
    """What was found, as JSON."""
    return {
        "probed": {
            "width": film.width,
            "height": film.height,
            "rotation": film.rotation,
            "durationSeconds": film.duration_seconds,
            "hasAudio": film.has_audio,
        }
    }


def percent_frame(percent: int) -> dict[str, Any]:
    """How far it is, as JSON."""
    return {"percent": percent}


def done_frame() -> dict[str, Any]:
    """That all is there, as JSON."""
    return {"ok": True}


def refusal_frame(reason: Reason, message: str) -> dict[str, Any]:
    """A refusal as JSON."""
    return {"ok": False, "reason": str(reason), "message": message[:MESSAGE_CHARACTERS]}


def read_answer(frame: Mapping[str, Any]) -> Answer:
    """The next thing the transcoder says. Raises TranscodeRefused or HeaderInvalid."""
    if "probed" in frame:
        return _film(read_object(frame, "probed"))
    if "percent" in frame:
        return read_integer(frame, "percent", 0, 100)
    if frame.get("ok") is True:
        return Done()
    reason = read_text(frame, "reason", _REASON)
    if reason not in REFUSALS:
        raise HeaderInvalid(f"{reason} is no reason of the transcoder's")
    raise TranscodeRefused(Reason(reason), str(frame.get("message", ""))[:MESSAGE_CHARACTERS])


def _film(probed: Mapping[str, Any]) -> Film:
    rotation, seconds, has_audio = (probed.get(name) for name in ("rotation", "durationSeconds", "hasAudio"))
    if rotation not in (0, 90, 180, 270):
        raise HeaderInvalid(f"rotation must be 0, 90, 180 or 270, not {str(rotation)[:60]}")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _MOST_SECONDS:
        raise HeaderInvalid(f"durationSeconds is no length: {str(seconds)[:60]}")
    if not isinstance(has_audio, bool):
        raise HeaderInvalid("hasAudio must be true or false")
    return Film(
        width=read_integer(probed, "width", 1, _MOST_SIDE),
        height=read_integer(probed, "height", 1, _MOST_SIDE),
        rotation=rotation,
        duration_seconds=float(seconds),
        has_audio=has_audio,
    )

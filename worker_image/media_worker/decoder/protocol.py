"""What is asked of the decoder and what it answers, as values and as JSON headers.

Both ends read the other's header here, strictly: the worker does not trust a decoder that hostile bytes may have
taken over, and the decoder does not trust that the worker asks for sane things. How headers travel is `frames`'s.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from media_core.reasons import Reason, Refusal
from media_worker.decoder.fields import HeaderInvalid, read_integer, read_list, read_object, read_text

MAX_RENDITIONS = 16
MAX_RENDITION_SIZE = 8192
MAX_ANSWER_BYTES = 128 << 20
"""All renditions of one image together."""

REFUSALS = frozenset(
    {
        Reason.UNDECODABLE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.TOO_MANY_PIXELS,
        Reason.TOO_MANY_FRAMES,
        Reason.TOO_LARGE,
        Reason.DEADLINE_EXCEEDED,
        Reason.DECODER_CRASHED,
        Reason.DECODER_OUT_OF_MEMORY,
        Reason.INTERNAL_ERROR,
    }
)
"""Every reason the decoder gives. InternalError: the request made no sense."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_CONTENT_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+-]{1,100}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{4,60}={0,2}")
_COLOR = re.compile(r"#[0-9a-f]{6}")


class DecodeRefused(Refusal):
    """No renditions come of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one image may cost."""

    max_pixels: int = 50_000_000
    max_frames: int = 1_000
    timeout_seconds: int = 1_800


@dataclass(frozen=True, slots=True)
class RenditionSize:
    """A rendition that is asked for: it fits inside a square of `size` pixels."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Request:
    """One image to decode. The file that it is in, of `size_bytes`, comes with the header."""

    renditions: tuple[RenditionSize, ...]
    content_type: str
    limits: Limits
    size_bytes: int

    def to_header(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "renditions": [{"name": rendition.name, "size": rendition.size} for rendition in self.renditions],
            "contentType": self.content_type,
            "limits": {
                "maxPixels": self.limits.max_pixels,
                "maxFrames": self.limits.max_frames,
                "timeoutSeconds": self.limits.timeout_seconds,
            },
            "bytes": self.size_bytes,
        }

    @classmethod
    def read(cls, header: Mapping[str, Any]) -> Request:
        """From JSON. Raises HeaderInvalid."""
        limits = read_object(header, "limits")
        request = cls(
            renditions=tuple(_rendition(entry) for entry in read_list(header, "renditions", MAX_RENDITIONS)),
            content_type=read_text(header, "contentType", _CONTENT_TYPE),
            limits=Limits(
                max_pixels=read_integer(limits, "maxPixels", 1, 1 << 40),
                max_frames=read_integer(limits, "maxFrames", 1, 1 << 40),
                timeout_seconds=read_integer(limits, "timeoutSeconds", 1, 7 * 86400),
            ),
            size_bytes=read_integer(header, "bytes", 0, 1 << 60),
        )
        if len({rendition.name for rendition in request.renditions}) < len(request.renditions):
            raise HeaderInvalid("two renditions have the same name")
        return request


@dataclass(frozen=True, slots=True)
class EncodedVariant:
    """One rendition that was made: a WebP file."""

    name: str
    width: int
    height: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """All that is known and was made of one image. Width and height are the original's, as it is meant to be seen."""

    width: int
    height: int
    frames: int
    placeholder: str
    dominant_color: str
    recipe_version: int
    variants: tuple[EncodedVariant, ...]

    def to_header(self) -> dict[str, Any]:
        """As JSON; the variants' bytes follow it in the same order."""
        return {
            "ok": True,
            "width": self.width,
            "height": self.height,
            "frames": self.frames,
            "placeholder": self.placeholder,
            "dominantColor": self.dominant_color,
            "recipeVersion": self.recipe_version,
            "variants": [
                {"name": made.name, "width": made.width, "height": made.height, "bytes": len(made.data)}
                for made in self.variants
            ],
        }


@dataclass(frozen=True, slots=True)
class AnswerHeader:
    """An answer whose variants' bytes are still to be read: `lengths` of them, in order."""

    decoded: Decoded
    lengths: tuple[int, ...]

    @property
    def total(self) -> int:
        """Bytes that follow the header."""
        return sum(self.lengths)

    def with_bodies(self, data: bytes) -> Decoded:
        """The answer, its bytes cut into variants."""
        variants, offset = [], 0
        for made, length in zip(self.decoded.variants, self.lengths, strict=True):
            variants.append(EncodedVariant(made.name, made.width, made.height, data[offset : offset + length]))
            offset += length
        return Decoded(
            self.decoded.width,
            self.decoded.height,
            self.decoded.frames,
            self.decoded.placeholder,
            self.decoded.dominant_color,
            self.decoded.recipe_version,
            tuple(variants),
        )


def refusal_header(reason: Reason, message: str) -> dict[str, Any]:
    """A refusal as JSON."""
    return {"ok": False, "reason": str(reason), "message": message[:1000]}


def read_answer(header: Mapping[str, Any], asked: Sequence[RenditionSize]) -> AnswerHeader:
    """An answer's header, held against what was asked. Raises DecodeRefused or HeaderInvalid."""
    if header.get("ok") is not True:
        reason = read_text(header, "reason", _NAME)
        if reason not in REFUSALS:
            raise HeaderInvalid(f"{reason} is no reason of the decoder's")
        raise DecodeRefused(Reason(reason), str(header.get("message", ""))[:1000])
    listed = read_list(header, "variants", MAX_RENDITIONS)
    if [entry.get("name") for entry in listed] != [rendition.name for rendition in asked]:
        raise HeaderInvalid("the variants are not the renditions that were asked for")
    lengths = tuple(read_integer(entry, "bytes", 1, MAX_ANSWER_BYTES) for entry in listed)
    if sum(lengths) > MAX_ANSWER_BYTES:
        raise HeaderInvalid(f"the variants have {sum(lengths)} bytes; {MAX_ANSWER_BYTES} are allowed")
    decoded = Decoded(
        width=read_integer(header, "width", 1, 1 << 40),
        height=read_integer(header, "height", 1, 1 << 40),
        frames=read_integer(header, "frames", 1, 1 << 40),
        placeholder=read_text(header, "placeholder", _BASE64),
        dominant_color=read_text(header, "dominantColor", _COLOR),
        recipe_version=read_integer(header, "recipeVersion", 1, 1 << 31),
        variants=tuple(
            EncodedVariant(
                name=rendition.name,
                width=read_integer(entry, "width", 1, rendition.size),
                height=read_integer(entry, "height", 1, rendition.size),
                data=b"",
            )
            for entry, rendition in zip(listed, asked, strict=True)
        ),
    )
    return AnswerHeader(decoded, lengths)


def _rendition(entry: Mapping[str, Any]) -> RenditionSize:
    return RenditionSize(read_text(entry, "name", _NAME), read_integer(entry, "size", 1, MAX_RENDITION_SIZE))

"""The multivariant playlist of a film: its rungs, and what a player has to know to choose among them. Pure.

Written here, after the last segment, because what a rung asks of a network is known only by the sizes of all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from media_core.ladder import SEGMENT_SECONDS, Rung, playlist_path

AAC_LC = "mp4a.40.2"
_PARAMETERS = b"\x00\x00\x01\x67"
"""How the sequence parameters of H.264 begin; profile, constraints and level are the next three bytes."""


@dataclass(frozen=True, slots=True)
class Written:
    """A rung as it was written."""

    rung: Rung
    codec: str
    """Of its picture, by RFC 6381."""
    segments: tuple[tuple[float, int], ...]
    """Seconds and bytes of each."""

    @property
    def peak(self) -> int:
        """Bits a second of the costliest segment; a last one that is too short to matter does not count."""
        telling = [(s, size) for s, size in self.segments if s >= SEGMENT_SECONDS / 2]
        return max((math.ceil(8 * size / s) for s, size in telling), default=self.average)

    @property
    def average(self) -> int:
        """Bits a second of all segments together."""
        seconds = math.fsum(s for s, _ in self.segments)
        return math.ceil(8 * sum(size for _, size in self.segments) / max(seconds, 0.001))


def picture_codec(segment: bytes) -> str | None:
    """The codec of a segment's picture by RFC 6381, from its first bytes; None where they do not tell."""
    at = segment.find(_PARAMETERS) + len(_PARAMETERS)
    told = segment[at : at + 3]
    return f"avc1.{told.hex()}" if at >= len(_PARAMETERS) and len(told) == 3 else None


def master(rungs: Sequence[Written], rate: Fraction) -> str:
    """The playlist's text; the rungs in their order, which is ascending."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for written in rungs:
        rung = written.rung
        codecs = f"{written.codec},{AAC_LC}" if rung.audio_bitrate else written.codec
        told = (
            f"BANDWIDTH={max(written.peak, written.average)}",
            f"AVERAGE-BANDWIDTH={written.average}",
            f"RESOLUTION={rung.width}x{rung.height}",
            f"FRAME-RATE={float(rate):.3f}",
            f'CODECS="{codecs}"',
        )
        lines += [f"#EXT-X-STREAM-INF:{','.join(told)}", playlist_path(rung.name).rpartition("/")[2]]
    return "\n".join([*lines, ""])

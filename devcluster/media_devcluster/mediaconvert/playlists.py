"""The multivariant playlist of an HLS group, written as the service writes it: a variant an output, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PROFILE_IDS = {"Constrained Baseline": 0x42, "Baseline": 0x42, "Main": 0x4D, "High": 0x64}
CONSTRAINED = 0x40
AAC_LC = "mp4a.40.2"


@dataclass(frozen=True)
class Variant:
    """What the playlist says of a variant; bandwidths in bits a second."""

    uri: str
    peak: int
    average: int
    width: int
    height: int
    rate: float
    profile: str
    level: int
    has_sound: bool

    @property
    def codecs(self) -> str:
        """By RFC 6381."""
        constraints = CONSTRAINED if self.profile == "Constrained Baseline" else 0
        video = f"avc1.{PROFILE_IDS.get(self.profile, 0x64):02x}{constraints:02x}{self.level:02x}"
        return f"{video},{AAC_LC}" if self.has_sound else video


def master(variants: Sequence[Variant], *, resolutions: bool) -> str:
    """The playlist's text."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for variant in variants:
        told = [f"BANDWIDTH={variant.peak}", f"AVERAGE-BANDWIDTH={variant.average}", f'CODECS="{variant.codecs}"']
        if resolutions:
            told.append(f"RESOLUTION={variant.width}x{variant.height}")
        lines += [f"#EXT-X-STREAM-INF:{','.join(told)},FRAME-RATE={variant.rate:.3f}", variant.uri]
    return "\n".join([*lines, ""])


def durations(media_playlist: str) -> list[float]:
    """How long each segment of a media playlist says it is."""
    marked = [line.removeprefix("#EXTINF:") for line in media_playlist.splitlines() if line.startswith("#EXTINF:")]
    return [float(line.partition(",")[0]) for line in marked]

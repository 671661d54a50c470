"""What ffmpeg says of how far it is (`-progress`), line by line. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

MOST_PERCENT = 99
"""As long as it runs: what is left is to close the files."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is."""

    frames: int = 0
    seconds: float = 0.0
    """Of the film."""

    def after(self, line: str) -> Progress:
        """How far it is after it has said that; what it says of other things, or before it knows, changes nothing."""
        name, _, value = line.strip().partition("=")
        if not value.isascii() or not value.isdecimal() or len(value) > 18:
            return self
        if name == "frame":
            return replace(self, frames=max(self.frames, int(value)))
        if name == "out_time_us":
            return replace(self, seconds=max(self.seconds, int(value) / 1e6))
        return self

    def percent(self, duration_seconds: float) -> int:
        """Of a film of that length; 0 where it is not known."""
        if duration_seconds <= 0:
            return 0
        return min(int(100 * self.seconds / duration_seconds), MOST_PERCENT)

"""Numbers as people read them."""

from __future__ import annotations


def bytes_text(count: int) -> str:
    """A size with three digits at most: 912 B, 45.1 kB, 3.2 MB."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5 or unit == "GB":
            return f"{count} B" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError("the loop above always returns")


def share_text(part: int, whole: int) -> str:
    """A share in per cent, small ones with a decimal: 25%, 0.2%."""
    share = part / whole
    return f"{share:.0%}" if share >= 0.0095 else f"{share:.1%}"


def seconds_text(seconds: float) -> str:
    """A duration: 85 ms, 1.24 s, 75 s."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"

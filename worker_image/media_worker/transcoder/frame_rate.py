"""The constant rate that a film's pictures are shown at in everything that is made of it. Pure.

A rung of varying rate would have its key frames elsewhere than the next one, and players stumble over it.
"""

from __future__ import annotations

from fractions import Fraction

SLOWEST, FASTEST = Fraction(5), Fraction(60)
UNKNOWN = Fraction(30)
"""For a film that does not tell, as of what browsers record."""
USUAL = tuple(
    Fraction(rate)
    for rate in ("10", "12", "15", "24000/1001", "24", "25", "30000/1001", "30", "50", "60000/1001", "60")
)
_NEARLY = Fraction(995, 1000)


def frame_rate(average: Fraction, least: Fraction, *, interlaced: bool = False) -> Fraction:
    """The rate to show a film at, from its average and from the least rate at which no picture falls between two.

    Where pictures come evenly both are the same. Of an uneven film the latter keeps every picture, if it is a rate at
    all and not just the container's clock; of an interlaced one it counts half pictures.
    """
    if 0 < least <= FASTEST and not interlaced:
        return max(least, SLOWEST)
    if average <= 0:
        return UNKNOWN
    even = average == least
    while average * _NEARLY > FASTEST:
        average /= 2
    if even or interlaced:
        return min(max(average, SLOWEST), FASTEST)
    return next((usual for usual in USUAL if usual >= average * _NEARLY), FASTEST)

"""The sizes of everything, computed once from the original's: every step reads them from the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from media_worker.decoder.protocol import RenditionSize


@dataclass(frozen=True, slots=True)
class Size:
    """Pixels across and down."""

    width: int
    height: int

    @property
    def turned(self) -> Size:
        """The same, lying on its side."""
        return Size(self.height, self.width)

    @property
    def pair(self) -> tuple[int, int]:
        """As the imaging library takes it."""
        return self.width, self.height


@dataclass(frozen=True, slots=True)
class Target:
    """One rendition to make."""

    name: str
    size: Size


@dataclass(frozen=True, slots=True)
class Plan:
    """The original's size, and the renditions in the order in which they were asked for."""

    original: Size
    targets: tuple[Target, ...]

    @property
    def largest(self) -> Size:
        """No step ever needs more pixels than this one has."""
        return max((target.size for target in self.targets), key=lambda size: size.width * size.height)

    @property
    def descending(self) -> tuple[Size, ...]:
        """Every size that is to be made, once each: each can be made of the one before."""
        sizes = {target.size for target in self.targets}
        return tuple(sorted(sizes, key=lambda size: (size.width * size.height, size.width), reverse=True))

    @property
    def turned(self) -> Plan:
        """The same plan for an original that lies on its side."""
        targets = tuple(Target(target.name, target.size.turned) for target in self.targets)
        return Plan(self.original.turned, targets)


def fit(original: Size, box: int) -> Size:
    """The size that fits inside a square of `box` pixels, keeps the proportions, and is never above the original's."""
    longest = max(original.width, original.height)
    if longest <= box:
        return original
    return Size(_scaled(original.width, box, longest), _scaled(original.height, box, longest))


def plan(original: Size, renditions: Sequence[RenditionSize]) -> Plan:
    """What to make of an original of that size."""
    return Plan(original, tuple(Target(rendition.name, fit(original, rendition.size)) for rendition in renditions))


def _scaled(length: int, box: int, longest: int) -> int:
    """Rounded half up, in integers: floating point would turn sides of the same length into different ones."""
    return max(1, (2 * length * box + longest) // (2 * longest))

"""What is asked of both sides of the race, so that one piece of code measures them alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import psutil


@dataclass(frozen=True, slots=True)
class Settled:
    """An asset of which the database says that it is done."""

    asset: str
    ok: bool
    written: datetime


class Side(Protocol):
    """A running system that makes renditions."""

    async def put(self, photos: Sequence[Path]) -> list[str]:
        """Upload without confirming; the assets' ids."""

    async def confirm(self, assets: Sequence[str]) -> list[float]:
        """Confirm, eight at a time; the seconds each took."""

    async def settled_since(self, moment: datetime) -> list[Settled]:
        """What the database has since then."""

    async def shown(self, asset: str) -> bool:
        """Whether a page would show it as done."""

    def workers(self) -> Iterable[psutil.Process]:
        """The processes that do the work."""

    def parts(self) -> Mapping[str, Iterable[psutil.Process]]:
        """The processes of each part, for what they cost."""

"""Cursors: where a page of a list ended, opaque to the client. By position and not by count, so nothing is skipped."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last asset of a page."""

    created_at: datetime
    asset_id: UUID

    def encode(self) -> str:
        """As the client gets it."""
        plain = json.dumps([self.created_at.isoformat(), str(self.asset_id)], separators=(",", ":"))
        return base64.urlsafe_b64encode(plain.encode()).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str) -> Self:
        """Raises ValueError for anything that `encode` did not make."""
        try:
            created_at, asset_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            moment = datetime.fromisoformat(created_at)
            if moment.tzinfo is None:
                raise ValueError("a moment without its zone")
            # In UTC, for at the ends of the calendar a zone can lead to a day that PostgreSQL's driver cannot write.
            return cls(moment.astimezone(UTC), UUID(asset_id))
        except (binascii.Error, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            raise ValueError("it is not a cursor of this service") from None

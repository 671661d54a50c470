"""Whether the user may: asked of the API server by a SubjectAccessReview, remembered for ten seconds.

The API server has asked itself before it passed the request on; this second question costs an attacker who holds a
front-proxy certificate, and nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from media_operator.external_metrics.identity import User

REMEMBERED_SECONDS = 10.0
REMEMBERED = 1024
REVIEW_SECONDS = 5.0
"""A handler is not cancelled when its client goes: without an end of its own, they pile up."""
MASTERS = "system:masters"


@dataclass(frozen=True, slots=True)
class Access:
    """What is asked for. The verb is the API server's word for a GET of a metric."""

    group: str
    version: str
    resource: str
    namespace: str
    verb: str = "list"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, and the reason that the API server's authorizer gave."""

    allowed: bool
    reason: str = ""


class NoVerdict(Exception):
    """The question could not be put, or was not answered in time; it can pass."""


class Reviews(Protocol):
    """Who answers."""

    async def review(self, user: User, access: Access) -> Verdict:
        """Raises NoVerdict."""
        ...


class Authorization:
    """The answers of the last ten seconds, and where to get others."""

    def __init__(
        self, reviews: Reviews, monotonic: Callable[[], float], review_seconds: float = REVIEW_SECONDS
    ) -> None:
        self._reviews, self._monotonic, self._review_seconds = reviews, monotonic, review_seconds
        self._remembered: dict[tuple[User, Access], tuple[float, Verdict]] = {}

    async def verdict(self, user: User, access: Access) -> Verdict:
        """Raises NoVerdict. The API server's own group is let through, as it is everywhere."""
        if MASTERS in user.groups:
            return Verdict(True)
        now = self._monotonic()
        until, known = self._remembered.get((user, access), (0.0, None))
        if known is not None and now < until:
            return known
        try:
            async with asyncio.timeout(self._review_seconds):
                found = await self._reviews.review(user, access)
        except TimeoutError:
            raise NoVerdict(f"no answer within {self._review_seconds:g} s") from None
        if len(self._remembered) >= REMEMBERED:
            self._remembered = {key: kept for key, kept in self._remembered.items() if now < kept[0]}
        if len(self._remembered) < REMEMBERED:
            self._remembered[user, access] = (now + REMEMBERED_SECONDS, found)
        return found

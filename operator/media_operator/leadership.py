"""The Lease, asked for and renewed: of several operators one works, the others stand by.

What to do is `media_core.lease`; here it is done. A connection of its own carries it, so that writes which hang do
not hold up a renewal. It runs in the operator's loop on purpose: a loop that is stuck does not renew.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

import structlog

from media_core.lease import Lost, Record, Sight, Take, Term, Wait, decide, lost, observe, released
from media_operator import metrics
from media_operator.adapters.cluster import AlreadyExists, Cluster, ClusterError, Conflict, Kind, NotFound

log = structlog.get_logger()

RETRIES_PER_RENEWAL = 4
RELEASE_SECONDS = 2.0


def own_name() -> str:
    """Unique to this process: two of one name would both believe that the Lease is theirs."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass
class Held:
    """A Lease that is held: since when by the operator's clock, and when its last renewal was sent."""

    since: datetime
    renewed: float


class Leadership:
    """One candidate for one Lease: `acquire`, then `keep`, then `release`."""

    def __init__(
        self,
        cluster: Cluster,
        name: str,
        term: Term,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._name, self._term = cluster, name, term
        self._clock, self._monotonic = clock, monotonic
        self._seen: Sight | None = None
        self._body: Mapping[str, Any] | None = None
        self._held: Held | None = None
        self._told = ""
        self._trouble = "the Lease was not read yet"

    @property
    def since(self) -> datetime | None:
        """Since when the Lease is held, or None."""
        return self._held.since if self._held else None

    def unseen(self) -> str | None:
        """Why it is not known who holds the Lease, or None where it is."""
        return self._trouble if self._seen is None else None

    def holds(self) -> bool:
        """Whether the Lease is held at this very moment. Asked before each write: a process may wake up late."""
        return self._held is not None and self.overdue() is None

    def overdue(self) -> str | None:
        """Why the Lease that was held is none any more, or None."""
        if self._held is None or self._seen is None:
            return None
        return lost(self._term, self._seen.record, self._held.renewed, self._monotonic())

    async def acquire(self) -> None:
        """Stand by until the Lease is held; an API server that is away is waited for."""
        while True:
            pause = self._term.look_every * random.uniform(0.6, 1.0)  # noqa: S311 - candidates that do not collide
            try:
                async with asyncio.timeout(self._term.patience):
                    await self._look()
                    decision = await self._attempt()
            except (ClusterError, TimeoutError) as error:
                self._trouble = str(error) or "the API server did not answer in time"
                self._tell("lease_not_seen", error=self._trouble)
            else:
                if self._held is not None:
                    metrics.LEADER.set(1)
                    log.info("leadership_acquired", lease=self._name, identity=self._term.identity)
                    return
                if isinstance(decision, Wait):
                    self._tell("standing_by", holder=decision.holder)
                    pause = min(pause, decision.until - self._monotonic())
            await asyncio.sleep(max(pause, 0.0))

    async def keep(self) -> None:
        """Renew until the Lease is lost."""
        while (why := self.overdue()) is None:
            pause = self._term.renew_every / RETRIES_PER_RENEWAL
            try:
                async with asyncio.timeout(min(self._term.patience, self._left())):
                    if isinstance(await self._attempt(), Take):
                        pause = self._term.renew_every
            except (ClusterError, TimeoutError) as error:
                log.warning(
                    "lease_not_renewed", error=str(error) or "no answer in time", seconds_left=round(self._left(), 1)
                )
            if self.overdue() is None:
                await asyncio.sleep(min(pause, self._left()))
        metrics.LEADER.set(0)
        log.error("leadership_lost", lease=self._name, identity=self._term.identity, why=why)

    async def release(self) -> None:
        """Let the next one in at once, where the Lease is still held."""
        held, self._held = self.holds(), None
        metrics.LEADER.set(0)
        if not held:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                while not await self._released():
                    await self._look()
        except (ClusterError, TimeoutError) as error:
            log.warning("lease_not_released", error=str(error) or "no answer in time")

    async def _released(self) -> bool:
        """Whether it is not ours any more. False: it was written meanwhile, by a renewal that was interrupted."""
        record = self._seen.record if self._seen else None
        if record is None or self._body is None or record.holder != self._term.identity:
            return True
        spec = released(record, self._clock()).to_json()
        try:
            await self._cluster.replace(Kind.LEASE, {**self._body, "spec": spec})
        except (Conflict, NotFound):
            return False
        log.info("leadership_released", lease=self._name, identity=self._term.identity)
        return True

    async def _look(self) -> None:
        body = await self._cluster.get(Kind.LEASE, self._name)
        self._take_in(body, self._monotonic())

    def _take_in(self, body: Mapping[str, Any] | None, now: float) -> None:
        self._body = body
        self._seen = observe(self._seen, None if body is None else Record.read(body.get("spec") or {}), now)

    async def _attempt(self) -> Take | Wait | Lost | None:
        """Decide on what was seen, and write where that is called for. None: somebody else wrote first."""
        assert self._seen is not None, "a decision follows a look"
        now = self._monotonic()
        renewed = self._held.renewed if self._held else None
        decision = decide(self._term, self._seen, renewed, now, self._clock())
        match decision:
            case Take(record):
                return decision if await self._write(record, now) else None
            case Wait() | Lost():
                return decision
            case _:
                assert_never(decision)

    async def _write(self, record: Record, now: float) -> bool:
        try:
            if self._body is None:
                metadata = {"name": self._name}
                body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
                answer = await self._cluster.create(Kind.LEASE, {**body, "spec": record.to_json()})
            else:
                answer = await self._cluster.replace(Kind.LEASE, {**self._body, "spec": record.to_json()})
        except (Conflict, AlreadyExists, NotFound):
            await self._look()
            return False
        self._take_in(answer, now)
        self._held = Held(self._held.since if self._held else self._clock(), now)
        return True

    def _left(self) -> float:
        """Seconds until the Lease is given up."""
        assert self._held is not None, "only a Lease that is held is kept"
        return max(0.0, self._held.renewed + self._term.given_up_after - self._monotonic())

    def _tell(self, event: str, **more: str) -> None:
        """One line a change, not one a look."""
        told = f"{event} {more}"
        if told != self._told:
            self._told = told
            log.info(event, lease=self._name, identity=self._term.identity, **more)

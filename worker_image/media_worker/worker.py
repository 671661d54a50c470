"""The worker: feeds what happens into the pure model of `assignments`, and carries out what follows.

One task per claim, and one that follows the watch. Ends when it has been idle or alive for long enough, or when it was
told to and everything is finished or given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import assert_never

import structlog

from media_core.asset import MediaAsset
from media_core.reasons import Reason
from media_worker.assignments import advance
from media_worker.carrying import Carrier, Stopwatch
from media_worker.delivery import Delivery
from media_worker.hand import (
    Action,
    Announce,
    Claim,
    Decode,
    DrainBegan,
    DrainOver,
    Ended,
    Event,
    Fetch,
    GiveBack,
    Hand,
    Reached,
    Room,
    Seen,
    Stage,
    Stop,
)
from media_worker.lifetime import End, Lifetime
from media_worker.report import Completed, Failed, GivenBack, Outcome, Progress, Started

log = structlog.get_logger()

SAID: dict[Reason, str] = {
    Reason.DRAINING: "The worker was asked to end before it was done with it.",
    Reason.DELETED: "It is being deleted; the worker has stopped.",
}


class Revoked(Exception):
    """The asset is not ours any more."""


@dataclass(slots=True)
class Work:
    """What runs for one claim."""

    claim: Claim
    watch: Stopwatch
    called: asyncio.Event = field(default_factory=asyncio.Event)
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    begun: bool = False
    """A task that is cancelled before its first step never takes one, and could not give anything back."""
    stop: Stop | None = None


class Worker:
    """Works on what is bound to one Job, until there is a reason to end."""

    def __init__(
        self,
        job: str,
        room: Room,
        lifetime: Lifetime,
        carrier: Carrier,
        delivery: Delivery,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hand = Hand(job, room)
        self._lifetime = lifetime
        self._carrier = carrier
        self._delivery = delivery
        self._clock = clock
        self._works: dict[Claim, Work] = {}
        self._changed = asyncio.Event()
        self._drain_asked = asyncio.Event()

    async def run(self, sightings: AsyncIterator[Event]) -> End:
        """Work until the end; returns why it came."""
        following = asyncio.create_task(self._follow(sightings))
        ending = asyncio.create_task(self._until_the_end())
        try:
            await asyncio.wait([following, ending], return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                await following
            return await ending
        finally:
            running = [following, ending, *(work.task for work in self._works.values() if work.task)]
            for task in running:
                task.cancel()
            await asyncio.wait(running, timeout=2)

    def drain(self) -> None:
        """Begin nothing more, give back what is not begun, and end when the rest is finished."""
        self._drain_asked.set()

    async def _follow(self, sightings: AsyncIterator[Event]) -> None:
        async for event in sightings:
            self.take(event)
        raise RuntimeError("The watch ended.")

    async def _until_the_end(self) -> End:
        reason = await self._until_it_may_end()
        if reason is not None:
            return reason
        log.info("drain_began", in_hand=len(self._hand.items))
        self.take(DrainBegan())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._lifetime.drain):
                await self._until_empty()
            return End.DRAINED
        log.warning("drain_over", in_hand=len(self._hand.items))
        self.take(DrainOver())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._lifetime.farewell):
                await self._until_empty()
            return End.DRAINED
        log.error("ended_with_work_in_hand", asset_ids=[claim.asset_id for claim in self._hand.items])
        return End.OUT_OF_TIME

    async def _until_it_may_end(self) -> End | None:
        """Why there is nothing more to do; None when the worker was asked to drain, or must."""
        born = idle_since = self._clock()
        while not self._drain_asked.is_set():
            now = self._clock()
            if not self._hand.idle:
                idle_since = now
            end = self._lifetime.end(self._hand, age=now - born, idle_for=now - idle_since)
            if end is not None:
                return None if end is End.OVERDUE else end
            await self._something(min(1.0, self._lifetime.idle / 4 + 0.01))
        return None

    async def _something(self, seconds: float) -> None:
        """Until the hand changes or the order to drain comes, at most so long."""
        self._changed.clear()
        waits = [asyncio.create_task(event.wait()) for event in (self._changed, self._drain_asked)]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()

    async def _until_empty(self) -> None:
        while self._hand.items:
            self._changed.clear()
            await self._changed.wait()

    def take(self, event: Event) -> None:
        """Let the model react, and do what follows."""
        self._hand, actions = advance(self._hand, event)
        for action in actions:
            self._do(action)
        self._changed.set()

    def _do(self, action: Action) -> None:
        match action:
            case Fetch(claim):
                self._begin(claim, None)
            case GiveBack(claim, reason):
                self._begin(claim, GivenBack(reason, SAID[reason]))
            case Announce(claim):
                self._works[claim].called.set()
            case Decode(claim):
                self._works[claim].turn.set()
            case Stop(claim, _):
                work = self._works[claim]
                work.stop = action
                if work.task is not None and work.begun:
                    work.task.cancel()
            case _:
                assert_never(action)

    def _begin(self, claim: Claim, known: Outcome | None) -> None:
        work = Work(claim, Stopwatch(self._clock))
        self._works[claim] = work
        work.task = asyncio.create_task(self._carry(work, known), name=f"{claim.asset_id}/{claim.binding}")

    async def _carry(self, work: Work, known: Outcome | None) -> None:
        claim = work.claim
        work.begun = True
        try:
            outcome = _stopped(work) if work.stop else known or await self._outcome(work)
            self.take(Reached(claim, Stage.REPORTING))
            await self._report(work, outcome)
        except (Revoked, asyncio.CancelledError):
            log.info("asset_dropped", asset_id=claim.asset_id, binding=claim.binding)
        except Exception:
            log.exception("report_failed", asset_id=claim.asset_id, binding=claim.binding)
        finally:
            del self._works[claim]
            self.take(Ended(claim))

    async def _outcome(self, work: Work) -> Outcome:
        """What came of the work, or what it was stopped for. Raises Revoked where it is to be dropped silently."""
        try:
            return await self._carrier.carry(self._sight(work.claim), _Turns(self, work), work.watch)
        except asyncio.CancelledError:
            if work.stop is None:
                raise
            if work.task is not None:
                work.task.uncancel()
            return _stopped(work)
        except Revoked:
            raise
        except Exception as error:
            log.exception("work_failed", asset_id=work.claim.asset_id)
            return GivenBack(Reason.INTERNAL_ERROR, f"The worker met an error of its own: {error!r}")

    async def _report(self, work: Work, outcome: Outcome) -> None:
        claim = work.claim
        arrived = await self._delivery.deliver(claim, lambda: self._sight(claim), outcome)
        if arrived is None:
            raise Revoked
        match outcome:
            case Completed():
                log.info("asset_completed", asset_id=claim.asset_id, **work.watch.laps)
            case Failed(reason, message):
                log.info("asset_failed", asset_id=claim.asset_id, reason=reason, message=message, **work.watch.laps)
            case GivenBack(reason, message):
                log.info("asset_given_back", asset_id=claim.asset_id, reason=reason, message=message)
            case _:
                assert_never(outcome)

    async def tell_progress(self, work: Work, progress: Progress) -> None:
        """Once, and as far as it can be told: the next report finds out what came in between."""
        arrived = await self._delivery.mention(work.claim, self._sight(work.claim), progress)
        if arrived is not None:
            self.take(Seen(arrived))

    def _sight(self, claim: Claim) -> MediaAsset:
        return self._hand.items[claim].asset

    async def wait_for_turn(self, work: Work) -> None:
        """Until a decoder is free, and the report Processing is in.

        Were it decoded first, a worker that crashes on an asset would leave it unsuspected, to crash the next.
        """
        self.take(Reached(work.claim, Stage.READY))
        await work.called.wait()
        arrived = await self._delivery.deliver(work.claim, lambda: self._sight(work.claim), Started())
        if arrived is None:
            raise Revoked
        self.take(Seen(arrived))
        await work.turn.wait()


def _stopped(work: Work) -> GivenBack:
    reason = work.stop.reason if work.stop else None
    if reason is None:
        raise Revoked
    return GivenBack(reason, SAID[reason])


class _Turns:
    """`carrying.Turns` for one claim."""

    def __init__(self, worker: Worker, work: Work) -> None:
        self._worker = worker
        self._work = work

    async def fetched(self) -> None:
        await self._worker.wait_for_turn(self._work)

    def decoded(self) -> None:
        self._worker.take(Reached(self._work.claim, Stage.UPLOADING))

    async def progressed(self, progress: Progress) -> None:
        await self._worker.tell_progress(self._work, progress)

"""Which asset goes to which worker: one pure function of a pool's snapshot, as kube-scheduler binds Pods to Nodes.

Nothing is awaited while deciding. The operator takes a snapshot, calls `schedule`, and carries out the actions
before it takes the next one.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from media_core.jobs import Fruitless
from media_core.pool import PoolSpec
from media_core.reasons import Reason

STUCK_AFTER = timedelta(seconds=30)
"""A Job seen without a ready pod for that long does not start by itself (F8)."""
LOST_AFTER = timedelta(seconds=60)
"""A Job that was ready and has not been for that long sits on a lost node (F6)."""
WAITS_LONG_AFTER = timedelta(seconds=30)
"""That all workers are busy is no news before: in a burst nearly every image waits, and is bound within seconds."""
ISOLATED_SHARE = 4
"""At most one slot in so many is for assets that run alone."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An unbound asset that waits for a worker."""

    name: str
    owner: str
    priority: int
    created: datetime
    not_before: datetime | None = None
    isolated: bool = False

    def due(self, now: datetime) -> bool:
        """Whether nothing but a free worker is missing."""
        return self.not_before is None or self.not_before <= now


@dataclass(frozen=True, slots=True)
class Seat:
    """A worker Job that is not over, and what is bound to it.

    `unready_since` is None while it has a ready pod; `ever_ready` tells a start from a loss. Both times are of the
    operator's clock, since the API server's may differ by more than what is measured.
    `idle_since` is None while something is bound to it.
    """

    job: str
    created: datetime
    bound: tuple[str, ...] = ()
    bound_owners: tuple[str, ...] = ()
    current: bool = True
    """Made from the pool's present template."""
    deleting: bool = False
    isolated_for: str | None = None
    ever_ready: bool = True
    unready_since: datetime | None = None
    idle_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One pool at one moment.

    No further workers are started while storage fails (`degraded`), nor before `vain.until`: the last ones ended
    without finishing anything, and the next would likely too. `beyond` wait besides those in `waiting`, which are
    the first in order and as many as `most_bound` says: nothing that is decided depends on the others.
    """

    spec: PoolSpec
    waiting: Sequence[Waiting]
    seats: Sequence[Seat]
    degraded: bool = False
    vain: Fruitless | None = None
    beyond: int = 0

    @property
    def queued(self) -> int:
        """All that wait."""
        return len(self.waiting) + self.beyond


def most_bound(spec: PoolSpec) -> int:
    """How many assets of a pool one decision can depend on: all of its workers filled, and as many more started."""
    return spec.replicas * (spec.concurrency + spec.room)


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind the asset to the Job."""

    asset: str
    job: str


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Start a worker; for one asset alone where `isolated_for` names it."""

    isolated_for: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Take from the Job everything that is bound to it, with no blame; the Job itself is left to start or to end."""

    job: str
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Delete a Job that has nothing bound to it, or that is lost."""

    job: str


Action = Bind | CreateJob | Release | Retire


def schedule(seen: Snapshot, now: datetime) -> tuple[Action, ...]:
    """All that is to be done for the pool now: releases first, then binds, then new workers."""
    spec = seen.spec
    freed = (*_stuck(seen.seats, now), *_lost(seen.seats, now))
    if spec.paused:
        return freed
    lost = {action.job for action in freed if isinstance(action, Retire)}
    seats = [seat for seat in seen.seats if seat.job not in lost]
    general = [seat for seat in seats if seat.isolated_for is None]
    due = [asset for asset in seen.waiting if asset.due(now)]
    alone = [asset for asset in due if asset.isolated]
    shared = [asset for asset in due if not asset.isolated]

    held_off = seen.vain is not None and now < seen.vain.until
    starting = not seen.degraded and not held_off and not any(is_stuck(seat, now) for seat in seats)
    slots = max(0, spec.replicas - len(seen.seats)) if starting else 0

    actions: list[Action] = list(freed)
    taken = sum(1 for seat in seen.seats if seat.isolated_for)
    isolated_actions, slots = _isolate(alone, seats, taken, spec, slots, now)
    actions += isolated_actions
    actions += [Retire(seat.job) for seat in general if _is_useless(seat, spec, bool(due), slots == 0, now)]
    going = {action.job for action in actions if isinstance(action, Retire)}
    staying = [seat for seat in seats if not seat.deleting and seat.job not in going]
    crowded_out = starting and bool(alone) and not any(seat.isolated_for for seat in seats)
    wanted = spec.replicas - (crowded_out and spec.replicas > 0)
    retired = _surplus(staying, len(staying) - wanted, now)
    actions += [Retire(seat.job) for seat in retired if not seat.bound]

    usable = [seat for seat in general if seat in staying and seat not in retired and accepts(seat, spec, now)]
    actions += _place(shared, usable, general, spec, slots)
    return tuple(actions)


def accepts(seat: Seat, spec: PoolSpec, now: datetime) -> bool:
    """Whether anything more may be bound to the Job.

    Not to one that is going, of an older template, past its lifetime, lost or stuck, nor to one idle for more than
    half its idle time: it might leave at the same moment (F7).
    """
    if seat.deleting or not seat.current:
        return False
    if now - seat.created >= timedelta(seconds=spec.max_lifetime_seconds):
        return False
    if seat.unready_since is not None and (seat.ever_ready or is_stuck(seat, now)):
        return False
    if seat.idle_since is None or not seat.ever_ready:
        return True
    return now - seat.idle_since <= timedelta(seconds=spec.idle_seconds / 2)


def is_stuck(seat: Seat, now: datetime) -> bool:
    """Whether the Job does not start by itself."""
    if seat.ever_ready or seat.deleting or seat.unready_since is None:
        return False
    return now - seat.unready_since >= STUCK_AFTER


def _is_useless(seat: Seat, spec: PoolSpec, work: bool, full: bool, now: datetime) -> bool:
    """Nothing is bound to it, and nothing will be.

    It is of an older template; or stuck with no work to try it with; or there is work, the pool is full, and it only
    holds a slot that a fresh worker could have, since it is about to leave.
    """
    if seat.bound or seat.deleting:
        return False
    if not seat.current:
        return True
    if is_stuck(seat, now):
        return not work
    return work and full and seat.ever_ready and seat.unready_since is None and not accepts(seat, spec, now)


def _stuck(seats: Sequence[Seat], now: datetime) -> Iterator[Action]:
    for seat in seats:
        if is_stuck(seat, now) and seat.bound:
            yield Release(
                seat.job,
                Reason.WORKERS_STUCK,
                f"Worker {seat.job} had no ready pod after {STUCK_AFTER.total_seconds():.0f} s.",
            )


def _lost(seats: Sequence[Seat], now: datetime) -> Iterator[Action]:
    for seat in seats:
        if seat.ever_ready and seat.unready_since is not None and now - seat.unready_since >= LOST_AFTER:
            if seat.bound:
                yield Release(
                    seat.job,
                    Reason.RELEASED,
                    f"Worker {seat.job} was not ready for {LOST_AFTER.total_seconds():.0f} s; its node may be lost.",
                )
            if not seat.deleting:
                yield Retire(seat.job)


def _isolate(
    alone: Sequence[Waiting], seats: Sequence[Seat], taken: int, spec: PoolSpec, slots: int, now: datetime
) -> tuple[list[Action], int]:
    """Each suspect gets a Job of its own; returns the actions and the slots left.

    `taken` of the suspects' share are in use; a lost Job counts until it is gone, though it is not among `seats`.
    """
    actions: list[Action] = []
    own = {seat.isolated_for: seat for seat in seats if seat.isolated_for}
    wanted = {asset.name for asset in alone}
    for name, seat in own.items():
        if name not in wanted and not seat.bound and not seat.deleting:
            actions.append(Retire(seat.job))
    running = taken
    for asset in sorted(alone, key=lambda a: (-a.priority, a.created, a.name)):
        seat_of_its_own = own.get(asset.name)
        if seat_of_its_own is not None:
            if accepts(seat_of_its_own, spec, now):
                actions.append(Bind(asset.name, seat_of_its_own.job))
            elif not seat_of_its_own.deleting and not (seat_of_its_own.current and is_stuck(seat_of_its_own, now)):
                actions.append(Retire(seat_of_its_own.job))
        elif slots > 0 and running < max(1, spec.replicas // ISOLATED_SHARE):
            actions.append(CreateJob(asset.name))
            slots, running = slots - 1, running + 1
    return actions, slots


def _surplus(staying: Sequence[Seat], count: int, now: datetime) -> list[Seat]:
    """The Jobs to bind no more to where the pool has more than its slots: the emptiest, then the newest."""
    candidates = [seat for seat in staying if seat.isolated_for is None]
    return sorted(candidates, key=lambda seat: (len(seat.bound), now - seat.created))[: max(0, count)]


def _place(
    shared: Sequence[Waiting], usable: Sequence[Seat], general: Sequence[Seat], spec: PoolSpec, slots: int
) -> list[Action]:
    """Fill each worker's concurrency, start workers for the rest, then let workers prefetch."""
    counts = {seat.job: len(seat.bound) for seat in usable}
    ready = {seat.job: seat.unready_since is None for seat in usable}
    room = sum(max(0, spec.concurrency - n) for n in counts.values())
    beyond = max(0, len(shared) - room)
    created = min(slots, ceil(beyond / spec.concurrency))
    reserved = min(created * spec.concurrency, beyond)
    order = fair_order(shared, Counter(owner for seat in general for owner in seat.bound_owners))

    actions: list[Action] = []
    to_bind = len(shared) - reserved
    for depth in (spec.concurrency, spec.room):
        seats = [(n, not ready[job], job) for job, n in counts.items() if n < depth]
        heapq.heapify(seats)
        while seats and to_bind > 0:
            n, unready, job = heapq.heappop(seats)
            actions.append(Bind(next(order).name, job))
            to_bind -= 1
            counts[job] = n + 1
            if n + 1 < depth:
                heapq.heappush(seats, (n + 1, unready, job))
    actions += [CreateJob()] * created
    return actions


def fair_order(waiting: Sequence[Waiting], bound_by_owner: Counter[str]) -> Iterator[Waiting]:
    """Owner with the fewest bound first, then priority, then age: one owner's thousand does not delay another."""
    queues: dict[str, list[tuple[int, datetime, str, Waiting]]] = {}
    for asset in waiting:
        queues.setdefault(asset.owner, []).append((-asset.priority, asset.created, asset.name, asset))
    for queue in queues.values():
        heapq.heapify(queue)
    heads = [(bound_by_owner[owner], *queue[0][:3], owner) for owner, queue in queues.items()]
    heapq.heapify(heads)
    while heads:
        bound, _, _, _, owner = heapq.heappop(heads)
        yield heapq.heappop(queues[owner])[3]
        if queues[owner]:
            heapq.heappush(heads, (bound + 1, *queues[owner][0][:3], owner))


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What keeps the due assets of a pool waiting. Who has waited for less than `patience` need not hear it."""

    reason: Reason
    message: str
    patience: timedelta = timedelta()


def waits_because(seen: Snapshot, now: datetime) -> Hindrance:
    """The answer to "why is it still waiting?" for the assets of a pool that could be bound but are not."""
    if seen.spec.paused:
        return Hindrance(Reason.POOL_PAUSED, "Its pool is paused; set spec.paused to false to go on.")
    if any(is_stuck(seat, now) for seat in seen.seats):
        return Hindrance(
            Reason.WORKERS_STUCK, "The workers of its pool do not start; see the pool's condition WorkersStuck."
        )
    if seen.degraded:
        return Hindrance(Reason.POOL_DEGRADED, "Object storage does not answer well; work goes on when it does.")
    if seen.spec.replicas == 0:
        return Hindrance(Reason.NO_FREE_WORKER, "Its pool has 0 replicas; scale it up to go on.")
    waiting, busy = seen.queued, sum(len(seat.bound) for seat in seen.seats)
    return Hindrance(
        Reason.NO_FREE_WORKER,
        f"All of the pool's {len(seen.seats)} workers (of {seen.spec.replicas} slots) are busy: "
        f"{waiting} wait, {busy} are being worked on.",
        WAITS_LONG_AFTER,
    )

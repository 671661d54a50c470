"""A cluster of values: the real decisions, carried out on a model in which workers come, work, crash and vanish.

Nothing is awaited and no time passes, so hours of bad luck fit into a second. Every step asserts the rules
that no single decision can show: what is bound, to whom, how often, and by whom it may still be written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_core.asset import AssetStatus, MediaAsset, Phase
from media_core.conditions import Truth
from media_core.jobs import Outcome, WorkerJob, fruitless
from media_core.lifecycle import decide
from media_core.observed import JobSight
from media_core.plan import WriteStatus
from media_core.pool import PoolSpec
from media_core.reasons import Reason
from media_core.scheduling import Action, Bind, CreateJob, Release, Retire, Snapshot, Waiting, schedule
from media_core.statuses import bound, released
from media_operator.cache import bound_to, waits
from media_operator.seats import SeatTimes
from support.build import NOW, a_status, an_asset, observed

SPEC = PoolSpec(replicas=3, idle_seconds=6, max_lifetime_seconds=120)
NODE_GIVEN_UP = 1 / 300
"""Chance per second that the cluster takes a lost node for dead and evicts its pods."""


@dataclass
class Worker:
    """A Job and its pod. `starts` None: it never will; `claims` are the bindings it has seen, by asset."""

    job: WorkerJob
    starts: datetime | None
    idle_since: datetime
    lost: bool = False
    claims: dict[str, int] = field(default_factory=dict)
    begun: dict[str, datetime] = field(default_factory=dict)


@dataclass
class Luck:
    """Chances per second and worker, and how long a start and a piece of work take at most."""

    random: Random
    start: int = 3
    work: int = 4
    stuck: float = 0.0
    evicted: float = 0.0
    drained: float = 0.0
    lost: float = 0.0
    lingering: float = 0.0

    def hits(self, chance: float) -> bool:
        return self.random.random() < chance

    def seconds(self, most: int) -> timedelta:
        return timedelta(seconds=self.random.randint(0, most))


class Model:
    """One pool, its assets and its workers; `poison` are assets that crash whatever works on them."""

    def __init__(
        self, assets: Iterable[MediaAsset], luck: Luck, poison: Iterable[str] = (), spec: PoolSpec = SPEC
    ) -> None:
        self.assets = {asset.name: asset for asset in assets}
        self.luck, self.poison, self.spec = luck, set(poison), spec
        self.workers: dict[str, Worker] = {}
        self.now, self.template, self.number = NOW, "1", 0
        self.times = SeatTimes()
        self.finished_by: set[str] = set()
        self.done: dict[str, int] = dict.fromkeys(self.assets, 0)
        self.bound_in_order: list[str] = []
        self.refused: list[str] = []

    # -- the operator --

    def step(self) -> None:
        """One second: workers act, the operator looks at every asset, and at the pool."""
        self.now += timedelta(seconds=1)
        for worker in list(self.workers.values()):
            self._act(worker)
        for name in list(self.assets):
            self._look(name)
        for action in schedule(self.snapshot(), self.now):
            self._apply(action)
        self._check()

    def until_settled(self, seconds: int) -> None:
        for _ in range(seconds):
            if all(self.status(name).phase.settled for name in self.assets):
                return
            self.step()
        waiting = {name: self.status(name) for name in self.assets if not self.status(name).phase.settled}
        raise AssertionError(f"not settled after {seconds} s: {waiting} {self.workers}")

    def status(self, name: str) -> AssetStatus:
        status = self.assets[name].status
        assert status is not None
        return status

    def live(self) -> list[Worker]:
        return [worker for worker in self.workers.values() if not worker.job.over]

    def bound(self, job: str) -> list[MediaAsset]:
        return [asset for asset in self.assets.values() if bound_to(asset) == job]

    def snapshot(self) -> Snapshot:
        self.times.keep({worker.job.name for worker in self.live()})
        seats = [
            self.times.seat(w.job, self.bound(w.job.name), self.template, lambda _: None, self.now)
            for w in self.live()
        ]
        waiting = [
            Waiting(
                name=asset.name,
                owner=asset.spec.owner,
                priority=asset.spec.priority,
                created=asset.metadata.creation_timestamp or NOW,
                not_before=self.status(asset.name).not_before,
                isolated=self.status(asset.name).isolated,
            )
            for asset in self.assets.values()
            if waits(asset)
        ]
        there = [worker.job for worker in self.workers.values() if worker.job.outcome is not Outcome.GONE]
        vain = fruitless(there, self.finished_by.__contains__)
        return Snapshot(self.spec, waiting, seats, vain=vain)

    def _look(self, name: str) -> None:
        status = self.status(name)
        job = None
        if status.assigned_job is not None and not status.phase.settled:
            worker = self.workers.get(status.assigned_job)
            job = JobSight(worker.job.outcome, worker.job.isolated_for) if worker else JobSight(Outcome.GONE)
        plan = decide(observed(self.assets[name], now=self.now, job=job, chance=self.luck.random.random()))
        if isinstance(plan, WriteStatus):
            self._write(name, plan.status)

    def _write(self, name: str, status: AssetStatus) -> None:
        self.assets[name] = self.assets[name].model_copy(update={"status": status})

    def _apply(self, action: Action) -> None:
        match action:
            case Bind(asset, job):
                status, worker = self.status(asset), self.workers[job]
                assert (status.phase, status.assigned_job) == (Phase.PENDING, None), "never bound twice at once"
                assert not worker.job.over
                self._write(asset, bound(status, job, self.now))
                self.bound_in_order.append(asset)
            case CreateJob(isolated_for):
                assert len(self.live()) < self.spec.replicas, "slots are never exceeded"
                self._create(isolated_for)
            case Release(job, reason, message):
                for freed in self.bound(job):
                    self._write(freed.name, released(self.status(freed.name), reason, message, self.now))
            case Retire(job):
                assert not self.bound(job), "no worker that has work is taken away"
                worker = self.workers[job]
                worker.job = replace(worker.job, deleting=True)
                if not self.luck.hits(self.luck.lingering):
                    self._end(worker, Outcome.GONE)

    def _create(self, isolated_for: str | None) -> None:
        self.number += 1
        name = f"job-{self.number}"
        job = WorkerJob(name, name, 1, "default", self.template, isolated_for, self.now, 0, None, False)
        starts = None if self.luck.hits(self.luck.stuck) else self.now + self.luck.seconds(self.luck.start)
        self.workers[name] = Worker(job, starts, self.now)

    def _check(self) -> None:
        for worker in self.live():
            bound_here = self.bound(worker.job.name)
            assert len(bound_here) <= self.spec.room
            suspects = {asset.name for asset in bound_here if self.status(asset.name).isolated}
            if worker.job.isolated_for is not None:
                assert {asset.name for asset in bound_here} <= {worker.job.isolated_for}, "a suspect runs alone"
            else:
                assert not suspects, "no suspect runs among others"

    # -- the workers --

    def _act(self, worker: Worker) -> None:
        luck = self.luck
        if worker.job.over:
            if worker.lost:
                self._work(worker)
            return
        if worker.job.deleting and not luck.hits(luck.lingering):
            self._end(worker, Outcome.GONE)
        elif worker.starts is None or self.now < worker.starts:
            return
        elif luck.hits(luck.evicted) or (worker.lost and luck.hits(NODE_GIVEN_UP)):
            self._end(worker, Outcome.DISRUPTED)
        elif luck.hits(luck.drained):
            self._give_back(worker)
            self._end(worker, Outcome.COMPLETED)
        else:
            worker.lost = worker.lost or luck.hits(luck.lost)
            worker.job = replace(worker.job, ready=0 if worker.lost else 1)
            self._work(worker)

    def _work(self, worker: Worker) -> None:
        """A worker on a lost node goes on with what it has, and sees nothing new."""
        if not worker.lost:
            worker.claims = {asset.name: self.status(asset.name).binding for asset in self.bound(worker.job.name)}
            worker.begun = {name: at for name, at in worker.begun.items() if name in worker.claims}
        for name in list(worker.claims)[: self.spec.concurrency - len(worker.begun)]:
            if name not in worker.begun and self._report(worker, name, Phase.PROCESSING, Reason.PROCESSING):
                worker.begun[name] = self.now + self.luck.seconds(self.luck.work)
        for name, ends in list(worker.begun.items()):
            if self.now < ends:
                continue
            if name in self.poison:
                self._end(worker, Outcome.CRASHED)
                return
            if self._report(worker, name, Phase.COMPLETED, Reason.COMPLETED):
                self.done[name] += 1
                self.finished_by.add(worker.job.name)
            worker.begun.pop(name)
            worker.claims.pop(name)
        if worker.begun or worker.lost:
            worker.idle_since = self.now
        elif self.now - worker.idle_since >= timedelta(seconds=self.spec.idle_seconds):
            self._end(worker, Outcome.COMPLETED)

    def _report(self, worker: Worker, name: str, phase: Phase, reason: Reason) -> bool:
        """The fence: Job and binding have to be what the worker was bound by."""
        status = self.status(name)
        if (status.assigned_job, status.binding) != (worker.job.name, worker.claims[name]) or status.phase.settled:
            self.refused.append(name)
            return False
        truth = Truth.TRUE if phase is Phase.COMPLETED else Truth.UNKNOWN
        times = {"completion_time": self.now} if phase.settled else {"start_time": self.now}
        update = {"phase": phase, **times}
        self._write(name, status.model_copy(update=update).because(truth, reason, "", self.now))
        return True

    def _give_back(self, worker: Worker) -> None:
        for name in worker.claims:
            self._report(worker, name, Phase.PENDING, Reason.DRAINING)

    def _end(self, worker: Worker, outcome: Outcome) -> None:
        """A Job ends once; a pod on a lost node may go on after that."""
        was_over = worker.job.over
        if not was_over:
            worker.job = replace(worker.job, ready=0, outcome=outcome, ended=self.now)
        if was_over or not worker.lost:
            worker.claims, worker.begun = {}, {}


def queued(owner: str, count: int) -> list[MediaAsset]:
    return [an_asset(f"{owner}/{number}", a_status(), owner=owner) for number in range(count)]


def assert_only_the_guilty_were_charged(model: Model) -> None:
    for name in model.assets:
        status = model.status(name)
        if name in model.poison:
            assert (status.phase, status.reason, status.attempts) == (Phase.FAILED, Reason.ATTEMPTS_EXHAUSTED, 3)
        else:
            assert (status.phase, status.attempts, model.done[name]) == (Phase.COMPLETED, 0, 1)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    counts=st.lists(st.integers(1, 8), min_size=1, max_size=3),
    poison=st.integers(0, 3),
    replicas=st.integers(1, 9),
    concurrency=st.integers(1, 3),
)
def test_whatever_happens_to_workers_everything_is_settled_once_and_only_the_guilty_are_charged(
    seed: int, counts: list[int], poison: int, replicas: int, concurrency: int
) -> None:
    random = Random(seed)
    assets = [asset for number, count in enumerate(counts) for asset in queued(f"owner-{number}", count)]
    guilty = random.sample([asset.name for asset in assets], min(poison, len(assets)))
    storm = Luck(random, stuck=0.2, evicted=0.05, drained=0.05, lost=0.03, lingering=0.5, start=40)
    spec = SPEC.model_copy(update={"replicas": replicas, "concurrency": concurrency, "prefetch": 2})
    model = Model(assets, storm, guilty, spec)
    for _ in range(60):
        if storm.hits(0.05):
            model.template = str(random.randint(1, 3))
        if storm.hits(0.1):
            model.spec = spec.model_copy(update={"replicas": random.randint(0, 9), "paused": storm.hits(0.2)})
        model.step()

    model.spec, model.luck = spec, Luck(random)
    for worker in model.workers.values():
        worker.starts = worker.starts or model.now
    model.until_settled(3000)
    assert_only_the_guilty_were_charged(model)


@pytest.mark.failure("F3")
@pytest.mark.failure("F4")
@pytest.mark.failure("F15")
def test_one_poisonous_asset_fails_and_all_that_ran_beside_it_are_completed() -> None:
    assets = queued("user-1", 12)
    model = Model(assets, Luck(Random(1)), poison=[assets[0].name])
    model.until_settled(600)
    assert_only_the_guilty_were_charged(model)


def test_with_a_single_slot_suspects_and_the_others_take_turns() -> None:
    assets = queued("user-1", 12)
    spec = SPEC.model_copy(update={"replicas": 1})
    model = Model(assets, Luck(Random(1)), poison=[asset.name for asset in assets[:3]], spec=spec)
    model.until_settled(1200)
    assert_only_the_guilty_were_charged(model)


@pytest.mark.failure("F6")
def test_a_worker_that_returns_from_a_lost_node_writes_nothing() -> None:
    """It would complete what is at work elsewhere; every asset is completed once for all that."""
    model = Model(queued("user-1", 6), Luck(Random(3), start=0, work=30))
    for _ in range(3):
        model.step()
    (first, *_) = model.workers.values()
    held = {name: model.now + timedelta(seconds=200) for name in first.begun}
    assert held
    first.lost, first.begun = True, dict(held)
    for _ in range(300):
        model.step()
    assert set(model.refused) >= held.keys(), "it tried"
    assert all(model.status(name).assigned_job != first.job.name for name in held)
    assert_only_the_guilty_were_charged(model)


@pytest.mark.failure("F8")
def test_workers_that_do_not_start_do_not_multiply_and_work_goes_on_when_they_do() -> None:
    model = Model(queued("user-1", 9), Luck(Random(4), stuck=1.0))
    for _ in range(120):
        model.step()
    stuck = model.live()
    assert len(stuck) <= model.spec.replicas
    assert len(model.workers) == len(stuck), "none was made in place of another"
    assert all(model.status(name).assigned_job is None for name in model.assets), "nothing waits for what is stuck"
    model.luck = Luck(Random(4))
    for worker in stuck:
        worker.starts = model.now
    model.until_settled(60)
    assert_only_the_guilty_were_charged(model)


def test_a_pool_with_no_more_to_do_is_empty_after_its_idle_time() -> None:
    model = Model(queued("user-1", 9), Luck(Random(5)))
    model.until_settled(60)
    for _ in range(SPEC.idle_seconds + 1):
        model.step()
    assert not model.live()


def test_one_owners_thousand_does_not_delay_anothers_one_beyond_one_round() -> None:
    model = Model(queued("many", 300), Luck(Random(6)))
    for _ in range(20):
        model.step()
    (late,) = queued("one", 1)
    model.assets[late.name], model.done[late.name] = late, 0
    before = len(model.bound_in_order)
    while len(model.bound_in_order) == before:
        model.step()
    assert model.bound_in_order[before] == late.name


def test_a_smaller_pool_shrinks_without_taking_work_away() -> None:
    model = Model(queued("user-1", 60), Luck(Random(7)), spec=SPEC.model_copy(update={"replicas": 5}))
    for _ in range(10):
        model.step()
    assert len(model.live()) == 5
    model.spec = model.spec.model_copy(update={"replicas": 2})
    for _ in range(20):
        model.step()
    assert len(model.live()) == 2
    model.until_settled(120)
    assert_only_the_guilty_were_charged(model)


def test_a_new_template_takes_over_without_taking_work_away() -> None:
    model = Model(queued("user-1", 80), Luck(Random(8)))
    for _ in range(10):
        model.step()
    model.template = "2"
    for _ in range(30):
        model.step()
    assert {worker.job.template_hash for worker in model.live()} == {"2"}
    model.until_settled(240)
    assert_only_the_guilty_were_charged(model)

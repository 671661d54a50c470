from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from media_core.asset import MediaAsset
from media_core.jobs import WorkerJob
from media_core.pool import PoolSpec
from media_core.scheduling import Release, Retire, Seat, Snapshot, accepts, schedule
from media_operator.seats import SeatTimes
from support.build import JOB, NOW, a_job_body, ago, an_asset, an_id, in_, processing, scheduled

BUSY = (an_asset("x", processing(), owner="owner-x"),)
BOUND = (an_asset("x", scheduled(), owner="owner-x"),)


class Watched:
    """One Job over time, as the scheduler sees it. `completed` is when it last completed something."""

    def __init__(self, *, created: datetime = NOW, completed: datetime | None = None) -> None:
        self.times = SeatTimes()
        self._created, self._completed = created, completed

    def at(
        self, seconds: float, ready: int, held: Sequence[MediaAsset] = (), *, current: str = "0a1b2c3d", **job: Any
    ) -> Seat:
        sight = WorkerJob.read(a_job_body(created=self._created, ready=ready, **job))
        return self.times.seat(sight, held, current, lambda _: self._completed, in_(seconds))


def test_a_seat_tells_what_its_job_is_and_holds() -> None:
    seat = Watched().at(5, 1, BUSY, isolated_for=an_id("x"), deleted=NOW)
    assert (seat.job, seat.created, seat.deleting, seat.isolated_for) == (JOB, NOW, True, an_id("x"))
    assert (seat.bound, seat.bound_owners) == ((an_id("x"),), ("owner-x",))
    assert seat.current


def test_a_job_of_another_template_is_not_current() -> None:
    assert not Watched().at(5, 1, current="ffffffff").current


@pytest.mark.parametrize(
    ("sights", "ever_ready", "unready_since"),
    [
        pytest.param([(0, 0)], False, in_(0), id="not yet ready"),
        pytest.param([(0, 0), (9, 0)], False, in_(0), id="unready since it was first seen"),
        pytest.param([(0, 0), (9, 1)], True, None, id="ready"),
        pytest.param([(0, 1), (9, 0)], True, in_(9), id="unready since it was seen so"),
        pytest.param([(0, 1), (9, 0), (20, 0)], True, in_(9), id="unready for longer"),
        pytest.param([(0, 1), (9, 0), (20, 1), (30, 0)], True, in_(30), id="unready again"),
    ],
)
def test_readiness_is_remembered(
    sights: list[tuple[float, int]], ever_ready: bool, unready_since: datetime | None
) -> None:
    watched = Watched()
    seats = [watched.at(seconds, ready, BOUND) for seconds, ready in sights]
    assert (seats[-1].ever_ready, seats[-1].unready_since) == (ever_ready, unready_since)


def test_a_job_that_holds_something_is_not_idle() -> None:
    assert Watched().at(500, 1, BUSY).idle_since is None


def test_a_job_is_idle_since_it_last_held_something() -> None:
    watched = Watched(completed=in_(3))
    watched.at(0, 1, BUSY)
    watched.at(7, 1, BUSY)
    assert watched.at(9, 1).idle_since == in_(7)
    assert watched.at(30, 1).idle_since == in_(7)
    watched.at(31, 1, BUSY)
    assert watched.at(32, 1).idle_since == in_(31)


def test_a_job_first_met_idle_is_idle_since_its_last_completion() -> None:
    assert Watched(created=ago(600), completed=ago(14)).at(0, 1).idle_since == ago(14)


def test_a_job_first_met_idle_that_never_completed_anything_is_idle_since_it_was_made() -> None:
    """After a restart of the operator; better bound to another than to one that is leaving."""
    seat = Watched(created=ago(40)).at(0, 1)
    assert seat.idle_since == ago(40)
    assert not accepts(seat, PoolSpec(), NOW)


@pytest.mark.parametrize("held", [(), BOUND])
def test_a_job_that_was_slow_to_start_is_idle_since_it_started(held: tuple[MediaAsset, ...]) -> None:
    """Its worker counts from then, so what waits may be bound to it."""
    watched = Watched()
    watched.at(0, 0, held)
    watched.at(119, 0)
    seat = watched.at(120, 1)
    assert seat.idle_since == in_(120)
    assert accepts(seat, PoolSpec(), in_(130))
    assert not accepts(watched.at(140, 1), PoolSpec(), in_(140))


def test_becoming_ready_again_does_not_begin_the_idle_time_anew() -> None:
    watched = Watched()
    watched.at(0, 1, BUSY)
    watched.at(1, 1)
    watched.at(5, 0)
    assert watched.at(9, 1).idle_since == in_(0)


# --- after a restart of the operator -------------------------------------------------------------------------------


@pytest.mark.failure("F6")
def test_a_node_lost_while_no_operator_looked_is_a_loss_and_not_a_failed_start() -> None:
    watched = Watched(created=ago(600))
    seat = watched.at(0, 0, BUSY)
    assert (seat.ever_ready, seat.unready_since) == (True, NOW)
    assert schedule(Snapshot(PoolSpec(), [], [seat]), NOW) == ()
    seat = watched.at(60, 0, BUSY)
    release, retire = schedule(Snapshot(PoolSpec(), [], [seat]), in_(60))
    assert isinstance(release, Release)
    assert retire == Retire(JOB)


def test_an_old_job_that_completed_something_was_ready_once() -> None:
    assert Watched(created=ago(600), completed=ago(60)).at(0, 0).ever_ready


def test_an_old_job_that_began_nothing_never_started() -> None:
    assert not Watched(created=ago(600)).at(0, 0, BOUND).ever_ready
    assert not Watched(created=ago(600)).at(0, 0).ever_ready


def test_a_young_job_whose_status_lags_behind_its_worker_goes_on_taking_work() -> None:
    seat = Watched(created=ago(2)).at(0, 0, BUSY)
    assert accepts(seat, PoolSpec(), NOW)


def test_what_is_over_is_forgotten() -> None:
    watched = Watched(completed=in_(50))
    watched.at(0, 1, BUSY)
    watched.times.keep({"another"})
    seat = watched.at(60, 0)
    assert (seat.unready_since, seat.idle_since) == (in_(60), in_(50))


def test_what_is_not_over_is_kept() -> None:
    watched = Watched()
    watched.at(0, 1, BUSY)
    watched.times.keep({JOB})
    assert watched.at(60, 0).ever_ready

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_core.asset import AssetType
from media_core.jobs import Fruitless
from media_core.pool import PoolSpec, pool_of
from media_core.reasons import Reason
from media_core.scheduling import (
    Action,
    Bind,
    CreateJob,
    Release,
    Retire,
    Seat,
    Snapshot,
    Waiting,
    accepts,
    fair_order,
    schedule,
    waits_because,
)
from support.build import NOW, a_seat, a_snapshot, a_spec, a_starting_seat, a_waiting, ago, in_


def some(count: int, owner: str = "user-1", **fields: Any) -> list[Waiting]:
    """That many waiting assets of an owner, the first the oldest."""
    return [a_waiting(f"{owner}/{n}", owner, created=ago(600 - n), **fields) for n in range(count)]


def suspects(count: int, **fields: Any) -> list[Waiting]:
    return some(count, "poison", isolated=True, **fields)


def binds(actions: tuple[Action, ...]) -> dict[str, list[str]]:
    """Assets by the Job they are bound to."""
    found: dict[str, list[str]] = {}
    for action in actions:
        if isinstance(action, Bind):
            found.setdefault(action.job, []).append(action.asset)
    return found


def without_binds(actions: tuple[Action, ...]) -> list[Action]:
    return [action for action in actions if not isinstance(action, Bind)]


# --- how many workers, and what each gets ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waiting", "replicas", "workers"),
    [
        pytest.param(0, 5, 0, id="an idle pool costs nothing at any number of replicas"),
        pytest.param(1, 5, 1, id="one asset starts one worker"),
        pytest.param(2, 5, 1, id="as many as one works on at once start one"),
        pytest.param(3, 5, 2, id="one more starts another"),
        pytest.param(1000, 5, 5, id="a thousand start all there are slots for"),
        pytest.param(1000, 0, 0, id="without slots none is started"),
    ],
)
def test_workers_are_started_for_what_waits(waiting: int, replicas: int, workers: int) -> None:
    assert schedule(a_snapshot(some(waiting), replicas=replicas), NOW) == (CreateJob(),) * workers


@pytest.mark.parametrize(
    ("waiting", "seats", "expected"),
    [
        pytest.param(2, [a_seat("a")], {"a": 2}, id="a worker gets what it works on at once"),
        pytest.param(6, [a_seat("a")], {"a": 6}, id="without another slot it gets what it can fetch besides"),
        pytest.param(99, [a_seat("a")], {"a": 6}, id="and no more"),
        pytest.param(4, [a_seat("a"), a_seat("b")], {"a": 2, "b": 2}, id="two workers share"),
        pytest.param(7, [a_seat("a", "x", "y"), a_seat("b")], {"a": 3, "b": 4}, id="the emptier gets more"),
        pytest.param(1, [a_seat("a", "x"), a_seat("b")], {"b": 1}, id="an idle one goes before a busy one"),
        pytest.param(1, [a_starting_seat("a"), a_seat("b")], {"b": 1}, id="a ready one goes before a starting one"),
        pytest.param(2, [a_starting_seat("a"), a_seat("b")], {"a": 1, "b": 1}, id="a starting one is used"),
        pytest.param(1, [a_seat("a", *"uvwxyz")], {}, id="a full one gets nothing"),
    ],
)
def test_work_is_spread_over_the_workers_there_are(waiting: int, seats: list[Seat], expected: dict[str, int]) -> None:
    actions = schedule(a_snapshot(some(waiting), seats, replicas=len(seats)), NOW)
    assert {job: len(assets) for job, assets in binds(actions).items()} == expected
    assert not without_binds(actions)


def test_what_a_ready_worker_can_begin_with_does_not_wait_for_one_that_is_started() -> None:
    actions = schedule(a_snapshot(some(3), [a_seat("a")], replicas=2), NOW)
    assert binds(actions) == {"a": ["user-1/0", "user-1/1"]}
    assert without_binds(actions) == [CreateJob()]


def test_the_oldest_go_first_and_the_rest_is_left_to_workers_that_start() -> None:
    actions = schedule(a_snapshot(some(20), [a_seat("a")], replicas=3), NOW)
    assert without_binds(actions) == [CreateJob(), CreateJob()]
    assert binds(actions) == {"a": [f"user-1/{n}" for n in range(6)]}


def test_no_second_worker_is_started_for_what_a_starting_one_will_do() -> None:
    assert without_binds(schedule(a_snapshot(some(2), [a_starting_seat()], replicas=9), NOW)) == []


@pytest.mark.parametrize(
    "waiting",
    [
        pytest.param(a_waiting("x", not_before=in_(0.1)), id="backs off"),
        pytest.param(a_waiting("x", not_before=in_(3600), isolated=True), id="a suspect that backs off"),
    ],
)
def test_what_backs_off_is_left_alone(waiting: Waiting) -> None:
    assert schedule(a_snapshot([waiting], [a_seat()]), NOW) == ()
    assert schedule(a_snapshot([waiting]), NOW) == ()


def test_what_has_backed_off_is_bound() -> None:
    assert schedule(a_snapshot([a_waiting("x", not_before=NOW)], [a_seat("a")]), NOW) == (Bind("x", "a"),)


# --- fairness --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waiting", "bound", "order"),
    [
        pytest.param(
            [*some(3, "many"), *some(1, "one")], {}, ["many/0", "one/0", "many/1", "many/2"], id="owners take turns"
        ),
        pytest.param(
            [*some(2, "many"), *some(2, "one")],
            {"many": 2},
            ["one/0", "one/1", "many/0", "many/1"],
            id="whoever has more bound waits until the other has as many",
        ),
        pytest.param(
            [a_waiting("late", priority=5), a_waiting("early", created=ago(99))],
            {},
            ["late", "early"],
            id="one owner's priority goes before age",
        ),
        pytest.param(
            [a_waiting("a", "many", priority=1000), a_waiting("b", "one")],
            {"many": 1},
            ["b", "a"],
            id="priority does not go before another owner's turn",
        ),
        pytest.param(
            [a_waiting("b"), a_waiting("a")],
            {},
            ["a", "b"],
            id="of the same age the name decides, so that it is stable",
        ),
    ],
)
def test_the_order_is_fair(waiting: list[Waiting], bound: dict[str, int], order: list[str]) -> None:
    assert [asset.name for asset in fair_order(waiting, Counter(bound))] == order


def test_one_owners_thousand_does_not_delay_anothers_one() -> None:
    full = a_seat("a", *(f"x{n}" for n in range(5)), bound_owners=("many",) * 5)
    waiting = [*some(1000, "many"), a_waiting("one/0", "one", created=ago(1))]
    assert schedule(a_snapshot(waiting, [full]), NOW) == (Bind("one/0", "a"),)


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from("abcde"), st.integers(1, 30), min_size=1),
    st.dictionaries(st.sampled_from("abcde"), st.integers(0, 10)),
)
def test_no_owner_is_ever_more_than_one_ahead_of_another_that_waits(
    waits: dict[str, int], bound: dict[str, int]
) -> None:
    waiting = [asset for owner, count in waits.items() for asset in some(count, owner)]
    got, left = Counter(bound), Counter(waits)
    order = list(fair_order(waiting, Counter(bound)))
    assert sorted(asset.name for asset in order) == sorted(asset.name for asset in waiting)
    for asset in order:
        assert all(got[asset.owner] <= got[owner] for owner, count in left.items() if count)
        got[asset.owner] += 1
        left[asset.owner] -= 1


def test_the_order_is_found_without_looking_at_all_that_wait() -> None:
    first = islice(fair_order([*some(10_000, "many"), *some(1, "one")], Counter()), 2)
    assert [asset.name for asset in first] == ["many/0", "one/0"]


# --- to which worker nothing is bound --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seat", "expected"),
    [
        pytest.param(a_seat("a", "x"), True, id="a busy one"),
        pytest.param(a_seat(idle_since=ago(15)), True, id="idle for half its idle time"),
        pytest.param(a_seat(idle_since=ago(15.1)), False, id="idle for longer: it might leave at this moment"),
        pytest.param(a_seat(deleting=True), False, id="one that is being deleted"),
        pytest.param(a_seat(current=False), False, id="one of an older template"),
        pytest.param(a_seat("a", "x", created=ago(3599)), True, id="shortly before its lifetime is over"),
        pytest.param(a_seat("a", "x", created=ago(3600)), False, id="past its lifetime"),
        pytest.param(a_seat("a", "x", unready_since=ago(1)), False, id="one that was ready and is not"),
        pytest.param(a_starting_seat(age=29), True, id="one that starts"),
        pytest.param(a_starting_seat(age=29, idle_since=ago(29)), True, id="one that starts is not idle"),
        pytest.param(a_starting_seat(age=30), False, id="one that does not start"),
    ],
)
def test_whether_a_worker_takes_more(seat: Seat, expected: bool) -> None:
    assert accepts(seat, PoolSpec(), NOW) is expected


@pytest.mark.failure("F7")
@pytest.mark.parametrize(
    ("seat", "full"),
    [
        pytest.param(
            a_seat("a", idle_since=ago(20)), (Retire("a"),), id="that may be leaving, and makes room at once"
        ),
        pytest.param(
            a_seat("a", created=ago(4000)), (Retire("a"),), id="that is past its lifetime with nothing bound"
        ),
        pytest.param(a_seat("a", deleting=True), (), id="that is being deleted"),
        pytest.param(a_seat("a", "x", created=ago(4000)), (), id="that is past its lifetime and busy"),
    ],
)
def test_for_a_worker_that_takes_no_more_another_is_started(seat: Seat, full: tuple[Action, ...]) -> None:
    assert schedule(a_snapshot(some(1), [seat], replicas=2), NOW) == (CreateJob(),)
    assert schedule(a_snapshot(some(1), [seat], replicas=1), NOW) == full
    assert schedule(a_snapshot([], [seat], replicas=1), NOW) == ()


# --- stuck and lost --------------------------------------------------------------------------------------------------


@pytest.mark.failure("F8")
def test_what_is_bound_to_a_worker_that_does_not_start_goes_to_others() -> None:
    stuck = a_starting_seat("s", "x", age=30)
    actions = schedule(a_snapshot(some(1), [stuck, a_seat("a")], replicas=9), NOW)
    assert actions == (
        Release("s", Reason.WORKERS_STUCK, "Worker s had no ready pod after 30 s."),
        Bind("user-1/0", "a"),
    )


@pytest.mark.failure("F8")
@pytest.mark.parametrize(
    ("waiting", "stuck"),
    [
        pytest.param(some(50), a_starting_seat("s", age=30), id="a thousand do not start another"),
        pytest.param(suspects(1), a_starting_seat("s", age=30), id="nor does a suspect"),
        pytest.param(some(1), a_starting_seat("s", age=7000), id="it is kept to see whether it starts after all"),
        pytest.param(
            suspects(1),
            a_starting_seat("s", age=40, isolated_for="poison/0"),
            id="a suspect's own that does not start",
        ),
    ],
)
def test_no_worker_is_started_while_one_does_not_start(waiting: list[Waiting], stuck: Seat) -> None:
    assert schedule(a_snapshot(waiting, [stuck], replicas=9), NOW) == ()


@pytest.mark.parametrize(
    ("seat", "waiting"),
    [
        pytest.param(a_starting_seat("s", age=30), [], id="with no work to try it with"),
        pytest.param(a_starting_seat("s", current=False, age=30), some(1), id="of an older template"),
        pytest.param(
            a_starting_seat("s", current=False, age=30, isolated_for="poison/0"),
            suspects(1),
            id="of an older template, and a suspect's own",
        ),
        pytest.param(a_starting_seat("s", isolated_for="poison/0", age=30), some(1), id="a suspect's that is gone"),
    ],
)
def test_a_worker_that_does_not_start_is_given_up(seat: Seat, waiting: list[Waiting]) -> None:
    assert schedule(a_snapshot(waiting, [seat], replicas=1), NOW) == (Retire("s"),)


@pytest.mark.failure("F8")
def test_workers_are_started_again_once_the_stuck_one_is_ready() -> None:
    seat = a_seat("s", idle_since=ago(1), created=ago(300))
    assert schedule(a_snapshot(some(5), [seat], replicas=2), NOW)[-1] == CreateJob()


@pytest.mark.failure("F6")
@pytest.mark.parametrize(
    ("seat", "expected"),
    [
        pytest.param(a_seat("l", "x", unready_since=ago(59)), [], id="unready for less than a minute"),
        pytest.param(
            a_seat("l", "x", unready_since=ago(60)),
            [
                Release("l", Reason.RELEASED, "Worker l was not ready for 60 s; its node may be lost."),
                Retire("l"),
            ],
            id="unready for a minute",
        ),
        pytest.param(a_seat("l", unready_since=ago(60)), [Retire("l")], id="unready, with nothing bound"),
        pytest.param(
            a_seat("l", "x", unready_since=ago(60), deleting=True),
            [Release("l", Reason.RELEASED, "Worker l was not ready for 60 s; its node may be lost.")],
            id="unready, and already being deleted",
        ),
        pytest.param(
            a_seat("l", "x", unready_since=ago(60), isolated_for="x"),
            [
                Release("l", Reason.RELEASED, "Worker l was not ready for 60 s; its node may be lost."),
                Retire("l"),
            ],
            id="a suspect's own",
        ),
    ],
)
@pytest.mark.parametrize("paused", [False, True])
def test_a_worker_on_a_lost_node_loses_what_was_bound_to_it(seat: Seat, expected: list[Action], paused: bool) -> None:
    assert list(schedule(a_snapshot([], [seat], paused=paused), NOW)) == expected


def test_the_slot_of_a_lost_worker_is_free_when_its_job_is_gone_and_not_before() -> None:
    lost = a_seat("l", unready_since=ago(60))
    assert schedule(a_snapshot(some(1), [lost], replicas=1), NOW) == (Retire("l"),)
    assert schedule(a_snapshot(some(1), [], replicas=1), NOW) == (CreateJob(),)


# --- paused and degraded ---------------------------------------------------------------------------------------------


def test_a_paused_pool_does_nothing_new() -> None:
    seats = [a_seat("a"), a_seat("b", "x", current=False)]
    assert schedule(a_snapshot([*some(5), *suspects(1)], seats, paused=True, replicas=1), NOW) == ()


@pytest.mark.failure("F10")
def test_a_degraded_pool_goes_on_with_the_workers_it_has() -> None:
    actions = schedule(a_snapshot(some(50), [a_seat("a")], degraded=True, replicas=9), NOW)
    assert binds(actions) == {"a": [f"user-1/{n}" for n in range(6)]}
    assert not without_binds(actions)


@pytest.mark.parametrize(
    "why",
    [
        pytest.param({"degraded": True}, id="storage fails"),
        pytest.param({"vain": Fruitless(1, in_(0.1), "")}, id="the last workers finished nothing"),
    ],
)
def test_no_worker_is_started_or_taken_away_while(why: dict[str, Any]) -> None:
    seen = replace(a_snapshot([*suspects(1), *some(9)], [a_seat("a")], replicas=1), **why)
    assert not without_binds(schedule(seen, NOW))
    assert not schedule(replace(seen, seats=[], spec=PoolSpec(replicas=9)), NOW)


def test_workers_are_started_again_when_the_time_has_come() -> None:
    assert schedule(replace(a_snapshot(some(1)), vain=Fruitless(1, NOW, "")), NOW) == (CreateJob(),)


# --- suspects run alone ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "count", "started"),
    [
        pytest.param(1, 3, 1, id="of one slot, one"),
        pytest.param(4, 3, 1, id="of four slots, one"),
        pytest.param(7, 3, 1, id="of seven slots, one"),
        pytest.param(8, 3, 2, id="of eight slots, two"),
        pytest.param(100, 3, 3, id="of enough slots, all"),
        pytest.param(0, 3, 0, id="of no slots, none"),
    ],
)
def test_one_slot_in_four_is_for_suspects(replicas: int, count: int, started: int) -> None:
    waiting = suspects(count)
    expected = tuple(CreateJob(asset.name) for asset in waiting[:started])
    assert schedule(a_snapshot(waiting, replicas=replicas), NOW) == expected


@pytest.mark.failure("F3")
def test_a_suspect_is_bound_to_its_own_worker_and_nothing_else_is() -> None:
    own = a_starting_seat("own", isolated_for="poison/0")
    waiting = [*suspects(1), *some(20)]
    actions = schedule(a_snapshot(waiting, [own, a_seat("a")], replicas=2), NOW)
    assert binds(actions)["own"] == ["poison/0"]
    assert set(binds(actions)["a"]) == {f"user-1/{n}" for n in range(6)}


def test_an_ordinary_asset_is_never_bound_to_a_suspects_worker() -> None:
    assert schedule(a_snapshot(some(9), [a_seat("own", "poison/0", isolated_for="poison/0")]), NOW) == ()


def test_a_suspects_worker_that_may_be_leaving_is_replaced() -> None:
    seat = a_seat("own", isolated_for="poison/0", idle_since=ago(29))
    assert schedule(a_snapshot(suspects(1), [seat], replicas=1), NOW) == (Retire("own"),)


def test_a_suspects_worker_that_is_going_is_waited_for() -> None:
    seat = a_seat("own", isolated_for="poison/0", deleting=True)
    assert schedule(a_snapshot(suspects(1), [seat], replicas=8), NOW) == ()


@pytest.mark.parametrize(
    "waiting",
    [
        pytest.param([], id="it is done or deleted"),
        pytest.param(suspects(1, not_before=in_(30)), id="it backs off, and the slot is not kept for it"),
        pytest.param([a_waiting("poison/0")], id="it is a suspect no more"),
    ],
)
def test_a_suspects_worker_goes_when_it_is_not_wanted(waiting: list[Waiting]) -> None:
    actions = schedule(a_snapshot(waiting, [a_seat("own", isolated_for="poison/0")], replicas=1), NOW)
    assert actions == (Retire("own"),)


@pytest.mark.parametrize(
    ("seats", "expected"),
    [
        pytest.param([a_seat("a"), a_seat("b")], [Retire("b")], id="an idle worker leaves at once"),
        pytest.param(
            [a_seat("a", "x", "y"), a_seat("b", "z")], [], id="the emptiest gets nothing more until it is done"
        ),
        pytest.param([a_seat("a"), a_seat("b", deleting=True)], [], id="one that is going makes room already"),
        pytest.param(
            [a_seat("a"), a_seat("b", current=False)], [Retire("b")], id="one of an older template makes room"
        ),
        pytest.param([a_seat("a")], [CreateJob("poison/0")], id="a free slot is taken, and nobody has to go"),
        pytest.param([a_seat("a"), a_seat("own", "p", isolated_for="p")], [], id="a suspect at work is waited for"),
    ],
)
def test_where_all_slots_are_taken_one_makes_room_for_a_suspect(seats: list[Seat], expected: list[Action]) -> None:
    aged = [seat if n == 0 else _younger(seat) for n, seat in enumerate(seats)]
    actions = schedule(a_snapshot([*suspects(1), *some(1)], aged, replicas=2), NOW)
    assert without_binds(actions) == expected
    assert binds(actions) == {"a": ["user-1/0"]}


def _younger(seat: Seat) -> Seat:
    return Seat(**{**{name: getattr(seat, name) for name in Seat.__slots__}, "created": ago(60)})


def test_a_lost_suspects_worker_keeps_its_share_until_it_is_gone() -> None:
    lost = a_seat("l", "w", isolated_for="w", unready_since=ago(61))
    actions = schedule(a_snapshot(suspects(1), [lost], replicas=3), NOW)
    assert Retire("l") in actions
    assert not any(isinstance(action, CreateJob) for action in actions)


def test_stuck_workers_are_not_taken_away_for_a_suspect() -> None:
    seats = [a_seat("a"), a_starting_seat("s", age=40)]
    assert schedule(a_snapshot(suspects(1), seats, replicas=2), NOW) == ()


# --- fewer slots, another template -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seats", "replicas", "expected"),
    [
        pytest.param([a_seat("a"), a_seat("b", "x")], 1, {"a"}, id="the idle one goes"),
        pytest.param([a_seat("a", created=ago(9)), a_seat("b")], 1, {"a"}, id="of two idle ones the newer goes"),
        pytest.param([a_seat("a", "x"), a_seat("b", "y")], 1, set(), id="a busy one is never taken away"),
        pytest.param([a_seat("a"), a_seat("b"), a_seat("c")], 0, {"a", "b", "c"}, id="without slots all idle ones go"),
        pytest.param(
            [a_seat("a", deleting=True), a_seat("b"), a_seat("c")], 2, set(), id="one that is going is not counted"
        ),
        pytest.param(
            [a_seat("a", unready_since=ago(99)), a_seat("b"), a_seat("c")],
            2,
            {"a"},
            id="a lost one goes in another's stead",
        ),
        pytest.param(
            [a_seat("own", isolated_for="gone"), a_seat("b")], 1, {"own"}, id="so does one of a suspect that is gone"
        ),
        pytest.param(
            [a_seat("own", "p", isolated_for="p"), a_seat("b")], 1, {"b"}, id="a suspect at work is left alone"
        ),
    ],
)
def test_with_fewer_slots_workers_go_as_they_get_empty(seats: list[Seat], replicas: int, expected: set[str]) -> None:
    actions = schedule(a_snapshot([], seats, replicas=replicas), NOW)
    assert {action.job for action in actions if isinstance(action, Retire)} == expected
    assert len(actions) == len(expected), "each once"


def test_a_worker_beyond_the_slots_gets_nothing_more() -> None:
    seats = [a_seat("a", *"uvwx"), a_seat("b", "y")]
    actions = schedule(a_snapshot(some(9), seats, replicas=1), NOW)
    assert binds(actions) == {"a": ["user-1/0", "user-1/1"]}
    assert not without_binds(actions)


def test_workers_of_an_older_template_go_as_they_get_empty() -> None:
    old = [a_seat("busy", "x", current=False), a_seat("idle", current=False)]
    actions = schedule(a_snapshot(some(3), [*old, a_seat("new")], replicas=3), NOW)
    assert Retire("idle") in actions
    assert binds(actions) == {"new": ["user-1/0", "user-1/1", "user-1/2"]}
    assert not any(isinstance(action, CreateJob) for action in actions), "no slot is free before one is gone"


def test_an_older_worker_that_is_going_is_not_told_twice() -> None:
    assert schedule(a_snapshot([], [a_seat("a", current=False, deleting=True)]), NOW) == ()


# --- why is it still waiting? ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "reason", "says"),
    [
        pytest.param(a_snapshot(paused=True), Reason.POOL_PAUSED, "spec.paused", id="the pool is paused"),
        pytest.param(
            a_snapshot(seats=[a_starting_seat(age=31)]),
            Reason.WORKERS_STUCK,
            "do not start",
            id="workers do not start",
        ),
        pytest.param(a_snapshot(degraded=True), Reason.POOL_DEGRADED, "Object storage", id="storage fails"),
        pytest.param(a_snapshot(replicas=0), Reason.NO_FREE_WORKER, "0 replicas", id="there are no slots"),
        pytest.param(
            a_snapshot(some(3), [a_seat("a", "x", "y")], replicas=4),
            Reason.NO_FREE_WORKER,
            "pool's 1 workers (of 4 slots) are busy: 3 wait, 2 are being worked on",
            id="all workers are busy",
        ),
    ],
)
def test_what_waits_is_told_why(seen: Snapshot, reason: Reason, says: str) -> None:
    told = waits_because(seen, NOW)
    assert told.reason is reason
    assert says in told.message


# --- any snapshot at all ---------------------------------------------------------------------------------------------

TIMES = st.sampled_from([0, 1, 10, 20, 29, 31, 61, 4000]).map(ago)
NAMES = st.sampled_from([f"s{n}" for n in range(6)])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    names = [f"w{n}" for n in range(draw(st.integers(0, 12)))]
    waiting = [
        a_waiting(
            name,
            draw(st.sampled_from("abc")),
            created=draw(TIMES),
            isolated=draw(st.booleans()),
            not_before=draw(st.none() | st.sampled_from([ago(1), in_(1)])),
        )
        for name in names
    ]
    seats = []
    for number in range(draw(st.integers(0, 6))):
        alone = draw(st.sampled_from([None, None, f"w{number}", f"gone{number}"]))
        bound = tuple(f"b{number}.{n}" for n in range(draw(st.integers(0, 6))))
        if alone and bound:
            bound, waiting = (alone,), [asset for asset in waiting if asset.name != alone]
        ready = draw(st.booleans())
        seats.append(
            a_seat(
                f"j{number}",
                *bound,
                created=draw(TIMES),
                current=draw(st.booleans()),
                deleting=draw(st.booleans()),
                isolated_for=alone,
                ever_ready=ready or draw(st.booleans()),
                unready_since=None if ready else draw(TIMES),
                idle_since=None if bound else draw(TIMES),
            )
        )
    flags = {"paused": draw(st.booleans()), "replicas": draw(st.integers(0, 8))}
    return a_snapshot(waiting, seats, degraded=draw(st.booleans()), **flags)


@settings(max_examples=200, deadline=None)
@given(snapshots())
def test_no_decision_breaks_a_rule(seen: Snapshot) -> None:
    actions = schedule(seen, NOW)
    seats = {seat.job: seat for seat in seen.seats}
    suspect = {asset.name: asset.isolated for asset in seen.waiting}
    bound = [action.asset for action in actions if isinstance(action, Bind)]
    assert len(set(bound)) == len(bound), "nothing is bound twice"
    assert set(bound) <= {a.name for a in seen.waiting if a.not_before is None or a.not_before <= NOW}
    assert len(set(actions) - {CreateJob()}) == len([a for a in actions if a != CreateJob()]), "nothing is said twice"

    gone = {action.job for action in actions if isinstance(action, Retire)}
    for job, assets in binds(actions).items():
        seat = seats[job]
        assert accepts(seat, seen.spec, NOW)
        assert job not in gone
        assert len(seat.bound) + len(assets) <= seen.spec.room
        for asset in assets:
            assert seat.isolated_for == (asset if suspect[asset] else None), "suspects alone, others never"
    for job in gone:
        lost = Release(job, Reason.RELEASED, f"Worker {job} was not ready for 60 s; its node may be lost.")
        assert not seats[job].deleting
        assert not seats[job].bound or lost in actions, "a Job at work is never taken away"

    created = [action for action in actions if isinstance(action, CreateJob)]
    assert len(seen.seats) + len(created) <= max(seen.spec.replicas, len(seen.seats)), "slots are never exceeded"
    alone = {seat.isolated_for for seat in seen.seats if seat.isolated_for}
    started = [action.isolated_for for action in created if action.isolated_for]
    assert not alone & set(started)
    assert not started or len(alone) + len(started) <= max(1, seen.spec.replicas // 4)
    if seen.degraded or seen.spec.paused:
        assert not created
    if seen.spec.paused:
        assert not bound


@pytest.mark.parametrize(
    ("asset_type", "named", "pool"),
    [
        pytest.param(AssetType.IMAGE, "default", "default", id="an image in the default pool"),
        pytest.param(AssetType.VIDEO, "video", "video", id="a video in its own"),
        pytest.param(AssetType.VIDEO, "default", "video", id="a video for which none was named"),
        pytest.param(AssetType.VIDEO, "large", "video", id="a video in a pool whose workers are for images"),
        pytest.param(AssetType.IMAGE, "video", "default", id="an image in the pool whose workers are for films"),
        pytest.param(AssetType.IMAGE, "large", "large", id="an image in a pool that somebody chose"),
    ],
)
def test_an_asset_is_worked_on_by_the_pool_it_names_where_its_workers_can(
    asset_type: AssetType, named: str, pool: str
) -> None:
    assert pool_of(a_spec(asset_type=asset_type, pool=named)) == pool

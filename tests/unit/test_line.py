"""The line before a pool gives the first few in the very order that sorting all of them would."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

import pytest

from media_core.line import Line
from media_core.scheduling import Waiting, fair_order

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def waiting(name: str, owner: str = "o", **more: object) -> Waiting:
    return Waiting(**{"name": name, "owner": owner, "priority": 0, "created": NOW, **more})


def anyone(random: Random) -> Waiting:
    return Waiting(
        name=f"a{random.randrange(40)}",
        owner=f"o{random.randrange(6)}",
        priority=random.choice((0, 0, 0, 5)),
        created=NOW - timedelta(seconds=random.randrange(20)),
        not_before=random.choice((None, None, NOW + timedelta(seconds=random.randrange(60)))),
        isolated=random.random() < 0.1,
    )


@pytest.mark.parametrize("seed", range(60))
def test_whoever_comes_and_goes_the_first_are_those_that_sorting_all_of_them_gives(seed: int) -> None:
    random, line, there, now = Random(seed), Line(), dict[str, Waiting](), NOW
    for _ in range(150):
        if random.random() < 0.6:
            one = anyone(random)
            there[one.name] = one
            line.add(one)
        else:
            name = f"a{random.randrange(40)}"
            there.pop(name, None)
            line.discard(name)
        now += timedelta(seconds=random.randrange(2))
        bound = Counter({f"o{random.randrange(6)}": random.randrange(1, 4) for _ in range(random.randrange(3))})
        count = random.randrange(8)
        due = [w for w in there.values() if not w.isolated and (w.not_before is None or w.not_before <= now)]
        assert line.first(count, bound, now) == list(islice(fair_order(due, bound), count))
        assert len(line) == len(there)
        assert {w.name for w in line.alone()} == {w.name for w in there.values() if w.isolated}


def test_asking_takes_nobody_out_of_the_line() -> None:
    line = Line()
    for index in range(5):
        line.add(waiting(f"a{index}"))
    assert line.first(3, {}, NOW) == line.first(3, {}, NOW)
    assert len(line) == 5


def test_who_waits_for_a_time_stands_in_line_when_it_has_come() -> None:
    line = Line()
    line.add(waiting("later", not_before=NOW + timedelta(seconds=10)))
    assert line.first(1, {}, NOW) == []
    assert [w.name for w in line.first(1, {}, NOW + timedelta(seconds=10))] == ["later"]


def test_saying_the_same_again_makes_the_line_no_longer_inside() -> None:
    line = Line()
    for _ in range(1000):
        line.add(waiting("a"))
    assert sum(map(len, line._queues.values())) + len(line._owners) == 2

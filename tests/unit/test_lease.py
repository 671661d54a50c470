"""Who may hold the Lease: the rule as a table, and that two never hold it at once, whatever their clocks say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_core.lease import (
    Decision,
    Lost,
    Record,
    Sight,
    Take,
    Term,
    Wait,
    decide,
    lost,
    observe,
    released,
    stamp,
)
from support.build import NOW, ago

TERM = Term("me", 10)
THEIRS = Record("other", 10, stamp(ago(60)), stamp(ago(2)), transitions=3)
MINE = Record("me", 10, stamp(ago(60)), stamp(ago(2)), transitions=3)
FREE = Record("", 1, stamp(ago(60)), stamp(ago(2)), transitions=3)
TAKEN_OVER = Take(Record("me", 10, stamp(NOW), stamp(NOW), transitions=4))


def decided(record: Record | None, *, since: float = 100.0, held: float | None = None, now: float = 100.0) -> Decision:
    return decide(TERM, Sight(record, since), held, now, NOW)


@pytest.mark.parametrize(
    ("record", "since", "now", "expected"),
    [
        pytest.param(None, 100, 100, Take(Record("me", 10, stamp(NOW), stamp(NOW))), id="there is none: it is made"),
        pytest.param(THEIRS, 100, 100, Wait("other", 110), id="another's, seen for the first time, however old it is"),
        pytest.param(THEIRS, 100, 109.9, Wait("other", 110), id="another's, not renewed for almost its time"),
        pytest.param(THEIRS, 100, 110, TAKEN_OVER, id="another's, not renewed for as long as it says"),
        pytest.param(
            replace(THEIRS, seconds=60), 100, 159, Wait("other", 160), id="the record's own duration counts, not mine"
        ),
        pytest.param(FREE, 100, 100, TAKEN_OVER, id="released: taken at once"),
        pytest.param(
            MINE, 100, 100, Take(replace(MINE, acquired=stamp(NOW), renewed=stamp(NOW))),
            id="mine from before a restart: taken up at once",
        ),
    ],
)  # fmt: skip
def test_one_that_does_not_hold_it(record: Record | None, since: float, now: float, expected: Decision) -> None:
    assert decided(record, since=since, now=now) == expected


@pytest.mark.parametrize(
    ("record", "now", "expected"),
    [
        pytest.param(MINE, 102, Take(replace(MINE, renewed=stamp(NOW))), id="renewed, since when it is held stays"),
        pytest.param(MINE, 106.9, Take(replace(MINE, renewed=stamp(NOW))), id="almost at the deadline"),
        pytest.param(MINE, 107, Lost("not renewed for 7.0 s, and 7 s are allowed"), id="at the deadline"),
        pytest.param(MINE, 500, Lost("not renewed for 400.0 s, and 7 s are allowed"), id="awake after a long sleep"),
        pytest.param(THEIRS, 102, Lost("other holds it"), id="another has it"),
        pytest.param(FREE, 102, Lost("somebody released it"), id="somebody emptied it"),
        pytest.param(None, 102, Take(Record("me", 10, stamp(NOW), stamp(NOW))), id="somebody deleted it: made again"),
    ],
)
def test_one_that_holds_it(record: Record | None, now: float, expected: Decision) -> None:
    assert decided(record, held=100.0, now=now) == expected


def test_a_record_that_stays_the_same_grows_old_and_one_that_changes_does_not() -> None:
    first = observe(None, THEIRS, 100)
    assert observe(first, replace(THEIRS), 104) == Sight(THEIRS, 100)
    renewed = replace(THEIRS, renewed=stamp(NOW))
    assert observe(first, renewed, 104) == Sight(renewed, 104)
    assert observe(first, None, 104) == Sight(None, 104)


def test_a_holder_gives_up_before_anybody_may_take_over_and_has_time_for_more_than_one_try() -> None:
    for seconds in range(2, 61):
        term = Term("me", seconds)
        assert term.renew_every + 2 * term.patience < term.seconds
        assert term.given_up_after < term.seconds
        assert term.look_every <= 1


def test_a_released_lease_names_nobody_and_can_be_taken_at_once() -> None:
    assert released(MINE, NOW) == replace(MINE, holder="", seconds=1, renewed=stamp(NOW))
    assert isinstance(decided(released(MINE, NOW)), Take)


def test_a_record_is_read_as_it_was_written_and_one_that_lacks_parts_as_released() -> None:
    assert Record.read(MINE.to_json()) == MINE
    assert Record.read({}) == Record("", 1)
    assert Record.read({"holderIdentity": None, "leaseDurationSeconds": None, "leaseTransitions": None}).holder == ""


def test_times_are_written_with_six_digits_in_utc() -> None:
    assert stamp(NOW) == "2026-01-02T03:04:05.000000Z"
    assert stamp(NOW.astimezone(timezone(timedelta(hours=5)))) == stamp(NOW)


@dataclass
class Candidate:
    """One operator with a clock of its own: it looks, decides on what it saw, and writes under that version."""

    term: Term
    ahead: float
    seen: Sight | None = None
    version: int = -1
    held: float | None = None
    ended: bool = False

    def leads(self, now: float) -> bool:
        if self.held is None or self.seen is None or self.ended:
            return False
        return lost(self.term, self.seen.record, self.held, now + self.ahead) is None


class Server:
    """The Lease, and the one rule of the API server: a write needs the version that is stored."""

    def __init__(self) -> None:
        self.record: Record | None = None
        self.version = 0

    def look(self, who: Candidate, now: float) -> None:
        who.seen, who.version = observe(who.seen, self.record, now + who.ahead), self.version

    def act(self, who: Candidate, now: float, answered: bool) -> None:
        if who.seen is None or who.ended:
            return
        match decide(who.term, who.seen, who.held, now + who.ahead, NOW + timedelta(seconds=now)):
            case Lost():
                who.ended = True
            case Take(record) if who.version == self.version:
                self.record, self.version = record, self.version + 1
                if answered:
                    who.seen = observe(who.seen, record, now + who.ahead)
                    who.version, who.held = self.version, now + who.ahead


STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["look", "act", "act, and the answer is lost", "both"]),
        st.sampled_from([0.0, 0.1, 0.5, 2.0, 6.9, 7.0, 9.9, 10.0]),
    ),
    max_size=60,
)


@given(STEPS, st.tuples(*[st.floats(-1e6, 1e6)] * 3))
def test_two_never_hold_it_at_once_whatever_their_clocks_say_and_however_long_they_sleep(
    steps: list[tuple[int, str, float]], clocks: tuple[float, float, float]
) -> None:
    server, now = Server(), 0.0
    candidates = [Candidate(Term(f"operator-{number}", 10), ahead) for number, ahead in enumerate(clocks)]
    for number, step, later in steps:
        now += later
        who = candidates[number]
        if step in ("look", "both"):
            server.look(who, now)
        if step != "look":
            server.act(who, now, answered="lost" not in step)
        assert sum(candidate.leads(now) for candidate in candidates) <= 1

from __future__ import annotations

from datetime import datetime

import pytest

from media_core.conditions import Condition, ConditionType, Truth, find, holds, with_condition, without_condition
from media_core.reasons import CHARGED, UNTROUBLED, Reason
from support.build import NOW, ago, in_

ISOLATED = Condition(
    type=ConditionType.ISOLATED, status=Truth.TRUE, reason=Reason.WORKER_CRASHED, last_transition_time=ago(9)
)
QUEUED = Condition(
    type=ConditionType.SUCCEEDED, status=Truth.UNKNOWN, reason=Reason.QUEUED, last_transition_time=ago(60)
)


@pytest.mark.parametrize(
    ("before", "status", "since"),
    [
        pytest.param((), Truth.UNKNOWN, NOW, id="a new condition holds from now on"),
        pytest.param((QUEUED,), Truth.UNKNOWN, ago(60), id="another reason for the same status keeps the time"),
        pytest.param((QUEUED,), Truth.TRUE, NOW, id="another status takes the present time"),
    ],
)
def test_the_transition_time_moves_only_with_the_status(
    before: tuple[Condition, ...], status: Truth, since: datetime
) -> None:
    after = with_condition(before, ConditionType.SUCCEEDED, status, Reason.BOUND, "Bound.", NOW, 4)
    assert after == (
        Condition(
            type="Succeeded",
            status=status,
            reason="Bound",
            message="Bound.",
            last_transition_time=since,
            observed_generation=4,
        ),
    )


def test_other_conditions_stay_where_they_are() -> None:
    after = with_condition((ISOLATED, QUEUED), ConditionType.ISOLATED, Truth.FALSE, Reason.RETRIED, "", in_(1))
    assert [c.type for c in after] == ["Isolated", "Succeeded"]
    assert after[1] is QUEUED
    assert not holds(after, ConditionType.ISOLATED)


def test_a_message_is_cut_to_what_the_schema_takes() -> None:
    (only,) = with_condition((), ConditionType.READY, Truth.TRUE, Reason.IDLE, "x" * 5000, NOW)
    assert len(only.message) == 1024


def test_a_condition_is_found_by_its_type() -> None:
    assert find((ISOLATED, QUEUED), ConditionType.SUCCEEDED) is QUEUED
    assert find((ISOLATED,), ConditionType.SUCCEEDED) is None
    assert holds((ISOLATED,), ConditionType.ISOLATED)
    assert not holds((QUEUED,), ConditionType.SUCCEEDED)
    assert not holds((), ConditionType.ISOLATED)


def test_a_condition_can_be_taken_away() -> None:
    assert without_condition((ISOLATED, QUEUED), ConditionType.ISOLATED) == (QUEUED,)


def test_a_reason_that_charges_is_never_one_that_is_bound_again_at_once() -> None:
    assert not CHARGED & UNTROUBLED


def test_a_reason_read_from_json_is_the_reason() -> None:
    """Sets of reasons are asked with the plain text of a condition."""
    assert "DecoderCrashed" in CHARGED
    assert "Draining" in UNTROUBLED
    assert "Whatever" not in set(Reason)

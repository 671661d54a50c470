"""The token bucket of submissions."""

from __future__ import annotations

import pytest

from media_operator.bucket import LONGEST_PAUSE_SECONDS, TokenBucket


def taken(bucket: TokenBucket, now: float, tries: int = 100) -> int:
    return sum(bucket.take(now) for _ in range(tries))


def test_so_many_are_given_at_once_and_then_so_many_a_second() -> None:
    bucket = TokenBucket(2.0, 10)
    assert taken(bucket, 1000.0) == 10
    assert taken(bucket, 1000.4) == 0
    assert bucket.wait(1000.4) == pytest.approx(0.1)
    assert taken(bucket, 1000.5) == 1
    assert taken(bucket, 1003.5) == 6
    assert taken(bucket, 9000.0) == 10, "it holds no more than its burst"


def test_a_clock_that_stands_still_or_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(2.0, 1)
    assert taken(bucket, 1000.0) == 1
    assert taken(bucket, 999.0) == taken(bucket, 1000.0) == 0


def shut_for(bucket: TokenBucket, now: float) -> float:
    """Seconds it is shut for after a refusal."""
    bucket.refused(now)
    return bucket.wait(now)


def test_each_refusal_in_a_row_shuts_it_for_twice_as_long_up_to_a_limit() -> None:
    bucket, now, pauses = TokenBucket(2.0, 10), 0.0, []
    for _ in range(8):
        pauses.append(shut_for(bucket, now))
        now += pauses[-1]
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]
    assert taken(bucket, now - 1) == 0
    assert taken(bucket, now) == 10


def test_refusals_of_calls_under_way_at_once_count_as_one() -> None:
    bucket = TokenBucket(2.0, 10)
    assert [shut_for(bucket, now) for now in (0.0, 0.0, 0.5)] == [1, 1, 0.5]
    assert shut_for(bucket, 1.0) == 2


def test_after_one_that_was_granted_the_next_refusal_is_the_first() -> None:
    bucket = TokenBucket(2.0, 10)
    assert [shut_for(bucket, now) for now in (0.0, 1.0)] == [1, 2]
    bucket.granted()
    assert shut_for(bucket, 10.0) == 1

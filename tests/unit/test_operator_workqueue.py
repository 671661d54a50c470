"""The work queue in a loop whose time does not pass but jumps: no test waits for anything."""

from __future__ import annotations

import asyncio
import selectors
import weakref
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from media_operator.workqueue import WorkQueue

T = TypeVar("T")


class Jumping(selectors.SelectSelector):
    """Instead of waiting for its timeout it says that so much time has passed."""

    passed = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing would ever happen")
        self.passed += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.passed


def told(scenario: Callable[[WorkQueue], Awaitable[T]]) -> T:
    """What the scenario returns."""

    async def within_a_day() -> T:
        async with asyncio.timeout(86_400):
            return await scenario(WorkQueue())

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(within_a_day())


def now() -> float:
    return round(asyncio.get_running_loop().time(), 3)


async def next_at(queue: WorkQueue) -> tuple[str, float]:
    """The next key and when it came."""
    key = await queue.get()
    queue.done(key)
    return key, now()


async def nothing_for(queue: WorkQueue, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await queue.get()
    except TimeoutError:
        return True
    return False


def test_keys_come_in_the_order_they_were_added() -> None:
    async def scenario(queue: WorkQueue) -> list[str]:
        for key in "abc":
            queue.add(key)
        assert len(queue) == 3
        return [await queue.get() for _ in range(3)]

    assert told(scenario) == ["a", "b", "c"]


def test_a_key_added_twice_comes_once() -> None:
    async def scenario(queue: WorkQueue) -> bool:
        queue.add("a")
        queue.add("a")
        await next_at(queue)
        return await nothing_for(queue, 60)

    assert told(scenario)


def test_a_key_added_while_it_is_looked_at_comes_again_afterwards_and_once() -> None:
    async def scenario(queue: WorkQueue) -> None:
        queue.add("a")
        key = await queue.get()
        queue.add("a")
        queue.add("a")
        assert await nothing_for(queue, 60), "never twice at the same time"
        queue.done(key)
        assert await queue.get() == "a"
        queue.done("a")
        assert await nothing_for(queue, 60)

    told(scenario)


def test_a_key_that_is_due_while_it_is_looked_at_comes_again_afterwards() -> None:
    async def scenario(queue: WorkQueue) -> None:
        queue.add("a")
        key = await queue.get()
        queue.add_after("a", 5)
        assert await nothing_for(queue, 60)
        queue.done(key)
        assert await next_at(queue) == ("a", 60)

    told(scenario)


@pytest.mark.parametrize(
    ("wishes", "at"),
    [
        pytest.param([5], [5], id="after its time"),
        pytest.param([5, 90], [5], id="a later wish adds nothing"),
        pytest.param([90, 5], [5], id="an earlier wish takes its place"),
        pytest.param([90, 50, 5, 70], [5], id="the earliest of many counts"),
        pytest.param([0], [0], id="no time is now"),
        pytest.param([-3], [0], id="a time that has passed is now"),
    ],
)
def test_a_delayed_key_comes_once_at_the_earliest_of_its_times(wishes: list[float], at: list[float]) -> None:
    async def scenario(queue: WorkQueue) -> list[float]:
        for seconds in wishes:
            queue.add_after("a", seconds)
        came = [(await next_at(queue))[1]]
        assert await nothing_for(queue, 600)
        return came

    assert told(scenario) == at


def test_delayed_keys_come_by_their_times_and_not_by_their_order() -> None:
    async def scenario(queue: WorkQueue) -> list[tuple[str, float]]:
        for key, seconds in (("late", 30.0), ("soon", 10.0), ("sooner", 5.0)):
            queue.add_after(key, seconds)
        return [await next_at(queue) for _ in range(3)]

    assert told(scenario) == [("sooner", 5), ("soon", 10), ("late", 30)]


def test_a_key_that_is_delayed_can_come_at_once_as_well() -> None:
    async def scenario(queue: WorkQueue) -> list[tuple[str, float]]:
        queue.add_after("a", 10)
        queue.add("a")
        return [await next_at(queue), await next_at(queue)]

    assert told(scenario) == [("a", 0), ("a", 10)]


def test_whoever_waits_is_woken_by_an_earlier_key() -> None:
    async def scenario(queue: WorkQueue) -> tuple[str, float]:
        queue.add_after("late", 1000)
        asyncio.get_running_loop().call_later(3, queue.add_after, "soon", 4)
        return await next_at(queue)

    assert told(scenario) == ("soon", 7)


def test_several_who_wait_each_get_a_key() -> None:
    async def scenario(queue: WorkQueue) -> set[str]:
        async with asyncio.TaskGroup() as group:
            getting = [group.create_task(queue.get()) for _ in range(3)]
            await asyncio.sleep(1)
            for key in "abc":
                queue.add(key)
        return {task.result() for task in getting}

    assert told(scenario) == {"a", "b", "c"}


def test_a_getter_that_gives_up_takes_no_key_along() -> None:
    async def scenario(queue: WorkQueue) -> tuple[str, float]:
        gives_up = asyncio.create_task(queue.get())
        await asyncio.sleep(1)
        queue.add("a")
        gives_up.cancel()
        await asyncio.gather(gives_up, return_exceptions=True)
        return await next_at(queue)

    assert told(scenario) == ("a", 1)


def test_the_wait_after_a_failure_doubles_until_it_succeeds() -> None:
    async def scenario(queue: WorkQueue) -> list[float]:
        waits = [queue.retry("a", first=1.0, longest=5.0) for _ in range(4)]
        queue.forget("a")
        queue.forget("never failed")
        return [*waits, queue.retry("a", first=1.0, longest=5.0)]

    assert told(scenario) == [1, 2, 4, 5, 1]


def test_a_retried_key_comes_after_its_wait() -> None:
    async def scenario(queue: WorkQueue) -> list[tuple[str, float]]:
        came = []
        queue.add("a")
        for _ in range(3):
            key = await queue.get()
            came.append((key, now()))
            queue.retry(key, first=1.0)
            queue.done(key)
        return came

    assert told(scenario) == [("a", 0), ("a", 1), ("a", 3)]


def test_ten_thousand_failures_wait_no_longer_than_the_longest() -> None:
    async def scenario(queue: WorkQueue) -> float:
        return [queue.retry("a") for _ in range(10_000)][-1]

    assert told(scenario) == 30


class Key(str):
    """A key of which can be told whether anybody has it still."""


def test_what_is_dropped_does_not_come_and_is_not_kept_until_it_would_have_come() -> None:
    async def scenario(queue: WorkQueue) -> tuple[int, tuple[str, float]]:
        kept: weakref.WeakSet[Key] = weakref.WeakSet()
        for number in range(100):
            key = Key(number)
            kept.add(key)
            queue.add_after(key, 3600)
            queue.add_after(key, 1800)
            queue.drop(key)
        queue.add_after("last", 7200)
        return len(kept), await next_at(queue)

    kept, came = told(scenario)
    assert kept <= 2, "one that was dropped last may be there still"
    assert came == ("last", 7200)


def test_a_key_that_was_dropped_can_come_again() -> None:
    async def scenario(queue: WorkQueue) -> tuple[str, float]:
        queue.add_after("a", 10)
        queue.drop("a")
        queue.add_after("a", 20)
        return await next_at(queue)

    assert told(scenario) == ("a", 20)

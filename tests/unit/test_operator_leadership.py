"""The Lease in practice: two candidates on one API server that fails in the ways such servers fail."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from media_core.lease import Term
from media_operator.adapters.cluster import (
    AlreadyExists,
    Cluster,
    Conflict,
    Kind,
    NotAllowed,
    NotFound,
    Unavailable,
)
from media_operator.leadership import Leadership, own_name
from support.deadlines import eventually

SECONDS = 2
JSON = dict[str, Any]


class Leases:
    """The methods of a cluster that a Lease needs. `trouble` is asked before each call; it may raise, or hang."""

    def __init__(self) -> None:
        self.body: JSON | None = None
        self.version = 0
        self.trouble: Callable[[str], Any] = lambda verb: None
        self.lose_answers = 0

    async def get(self, kind: Kind, name: str) -> JSON | None:
        await self._begin("get", kind)
        return copy.deepcopy(self.body)

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> JSON:
        await self._begin("create", kind)
        if self.body is not None:
            raise AlreadyExists(409, "there is one")
        return self._store(body)

    async def replace(self, kind: Kind, body: Mapping[str, Any]) -> JSON:
        await self._begin("replace", kind)
        if self.body is None:
            raise NotFound(404, "there is none")
        if body["metadata"]["resourceVersion"] != self.body["metadata"]["resourceVersion"]:
            raise Conflict(409, "it was written since")
        return self._store(body)

    def hand_to(self, holder: str) -> None:
        """As somebody with kubectl does."""
        assert self.body is not None
        self._store({**self.body, "spec": {**self.body["spec"], "holderIdentity": holder}})

    @property
    def holder(self) -> str | None:
        return self.body["spec"]["holderIdentity"] if self.body else None

    async def _begin(self, verb: str, kind: Kind) -> None:
        assert kind is Kind.LEASE
        waits = self.trouble(verb)
        if waits is not None:
            await waits

    def _store(self, body: Mapping[str, Any]) -> JSON:
        self.version += 1
        stored = copy.deepcopy(dict(body))
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.body = stored
        if self.lose_answers:
            self.lose_answers -= 1
            raise Unavailable(0, "the connection was closed")
        return copy.deepcopy(stored)


class Time:
    """A monotonic clock that can be put forward, as it is for a process that was stopped."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.ahead


def refuse(verb: str) -> None:
    raise Unavailable(0, "nobody answers")


def a_candidate(leases: Leases, name: str, monotonic: Callable[[], float] | None = None) -> Leadership:
    return Leadership(
        cast(Cluster, leases),
        "media-operator",
        Term(name, SECONDS),
        clock=lambda: datetime.now(UTC),
        monotonic=monotonic or Time(),
    )


async def soon(awaited: Any, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        await awaited


async def test_the_first_makes_the_lease_and_the_second_takes_over_once_it_is_not_renewed() -> None:
    leases = Leases()
    first, second = a_candidate(leases, "first"), a_candidate(leases, "second")
    assert second.unseen() == "the Lease was not read yet"
    await soon(first.acquire())
    assert (first.holds(), leases.holder) == (True, "first")

    began = asyncio.get_running_loop().time()
    await soon(second.acquire())

    assert asyncio.get_running_loop().time() - began >= SECONDS
    assert leases.holder == "second"
    assert (first.holds(), second.holds()) == (False, True)
    assert second.unseen() is None


async def test_while_it_is_renewed_the_other_stands_by_and_when_it_is_released_it_is_next() -> None:
    leases = Leases()
    first, second = a_candidate(leases, "first"), a_candidate(leases, "second")
    await soon(first.acquire())
    keeping, waiting = asyncio.create_task(first.keep()), asyncio.create_task(second.acquire())
    await eventually(lambda: leases.version > 2 * 5)  # renewals of more than two terms
    assert not waiting.done()
    assert second.since is None

    keeping.cancel()
    await first.release()

    await soon(waiting, 1.5)
    assert leases.holder == "second"
    assert first.since is None


async def test_one_that_cannot_renew_gives_up_before_the_other_can_take_over() -> None:
    leases = Leases()
    first, second = a_candidate(leases, "first"), a_candidate(leases, "second")
    await soon(first.acquire())
    began = asyncio.get_running_loop().time()
    leases.trouble = refuse

    await soon(first.keep())

    took = asyncio.get_running_loop().time() - began
    assert 0.5 * SECONDS < took < SECONDS
    assert not first.holds()
    assert first.overdue() is not None
    await first.release()
    assert leases.holder == "first", "what is lost is not released: it could be another's by now"
    leases.trouble = lambda verb: None
    await soon(second.acquire())


async def test_one_whose_requests_hang_gives_up_as_well() -> None:
    leases = Leases()
    first = a_candidate(leases, "first")
    await soon(first.acquire())
    leases.trouble = lambda verb: asyncio.sleep(3600)
    await soon(first.keep(), SECONDS)


async def test_one_that_wakes_up_late_holds_nothing_from_that_moment_on() -> None:
    leases, time = Leases(), Time()
    first = a_candidate(leases, "first", time)
    await soon(first.acquire())
    written = leases.version

    time.ahead += SECONDS

    assert not first.holds()
    await soon(first.keep(), 1)
    assert leases.version == written


@pytest.mark.parametrize("holder", ["second", ""])
async def test_one_that_finds_another_name_or_none_in_the_lease_gives_up_at_once(holder: str) -> None:
    leases = Leases()
    first = a_candidate(leases, "first")
    await soon(first.acquire())
    keeping = asyncio.create_task(first.keep())
    leases.hand_to(holder)
    await soon(keeping, SECONDS)
    assert leases.holder == holder


async def test_a_renewal_whose_answer_is_lost_is_found_to_have_been_made() -> None:
    leases = Leases()
    leases.lose_answers = 1
    first = a_candidate(leases, "first")
    await soon(first.acquire())
    keeping = asyncio.create_task(first.keep())
    leases.lose_answers = 3
    then = leases.version
    await eventually(lambda: leases.version > then + 6)
    assert not keeping.done()
    assert first.holds()
    keeping.cancel()


async def test_a_lease_that_was_deleted_is_made_again() -> None:
    leases = Leases()
    first = a_candidate(leases, "first")
    await soon(first.acquire())
    keeping = asyncio.create_task(first.keep())
    leases.body = None
    await eventually(lambda: leases.holder == "first")
    assert not keeping.done()
    keeping.cancel()


async def test_a_release_gets_through_although_a_renewal_was_interrupted() -> None:
    leases = Leases()
    first = a_candidate(leases, "first")
    await soon(first.acquire())
    leases.hand_to("first")
    await first.release()
    assert leases.holder == ""


async def test_a_release_that_is_not_answered_does_not_hold_up_the_end() -> None:
    leases = Leases()
    first = a_candidate(leases, "first")
    await soon(first.acquire())
    leases.trouble = refuse
    await soon(first.release(), 1)
    assert leases.holder == "first"
    assert not first.holds()


async def test_without_an_api_server_it_waits_and_says_what_is_wrong() -> None:
    leases = Leases()
    leases.trouble = refuse
    first = a_candidate(leases, "first")
    acquiring = asyncio.create_task(first.acquire())
    await eventually(lambda: first.unseen() == "nobody answers")
    leases.trouble = lambda verb: None
    await soon(acquiring)
    assert first.unseen() is None


async def test_of_two_that_start_at_once_one_gets_it() -> None:
    leases = Leases()
    candidates = [a_candidate(leases, f"operator-{number}") for number in range(4)]
    waiting = [asyncio.create_task(candidate.acquire()) for candidate in candidates]
    await eventually(lambda: any(task.done() for task in waiting))
    assert [candidate.holds() for candidate in candidates].count(True) == 1
    for task in waiting:
        task.cancel()


async def test_a_cluster_that_may_not_write_sends_nothing() -> None:
    cluster = Cluster(cast(Any, None), "default", may_write=lambda: False)
    writes = (
        cluster.create(Kind.EVENT, {}),
        cluster.replace_status(Kind.ASSET, {"metadata": {"name": "a"}}),
        cluster.merge(Kind.ASSET, "a", {}),
        cluster.delete(Kind.JOB, "a", "uid"),
    )
    for write in writes:
        with pytest.raises(NotAllowed):
            await write


def test_every_process_has_a_name_of_its_own() -> None:
    assert own_name() != own_name()

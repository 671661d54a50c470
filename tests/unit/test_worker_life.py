"""The worker's life with everything around it in memory: what ends it, and what becomes of what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from media_core.asset import AssetMeta, AssetSpec, AssetStatus, AssetType, MediaAsset, Phase, Result, Source
from media_core.reasons import Reason
from media_worker.assignments import advance
from media_worker.hand import Claim, Event, Hand, Left, Listed, Room, Seen
from media_worker.lifetime import End, Lifetime
from media_worker.report import Completed, GivenBack, Outcome, Report, Started
from media_worker.worker import Worker

JOB = "default-ab12-1"
A = str(UUID(int=1))
DONE = Completed(Result(width=1, height=1))
SHORT = Lifetime(idle=0.1, lifetime=60, hard_limit=60, drain=0.1, farewell=0.2)


def asset(version: int = 10, deleting: bool = False, job: str = JOB) -> MediaAsset:
    source = Source(bucket="media", key="uploads/image/o/a.jpg", etag="e", size_bytes=1, content_type="image/jpeg")
    deleted = {"deletionTimestamp": "2026-01-02T03:04:05Z"} if deleting else {}
    return MediaAsset(
        metadata=AssetMeta.model_validate({"name": A, "resourceVersion": str(version), **deleted}),
        spec=AssetSpec(asset_type=AssetType.IMAGE, source=source, owner="o"),
        status=AssetStatus(phase=Phase.SCHEDULED, assigned_job=job, binding=1),
    )


@dataclass
class Work:
    """A rendering that does as it is told."""

    does: Callable[[Any], Awaitable[Outcome]]

    async def carry(self, subject: MediaAsset, turns: Any, watch: Any) -> Outcome:
        return await self.does(turns)


@dataclass
class Post:
    """Reports that arrive at once, unless `holds`, or fail."""

    arrived: list[Report] = field(default_factory=list)
    holds: bool = False
    fails: bool = False
    ours: bool = True

    async def deliver(self, claim: Claim, sight: Callable[[], MediaAsset], report: Report) -> MediaAsset | None:
        if self.holds:
            await asyncio.get_running_loop().create_future()
        if self.fails:
            raise ValueError("an answer that nobody understands")
        self.arrived.append(report)
        return sight() if self.ours else None


async def done(turns: Any) -> Outcome:
    await turns.fetched()
    turns.decoded()
    return DONE


async def endless(turns: Any) -> Outcome:
    await turns.fetched()
    return await asyncio.get_running_loop().create_future()


async def broken(turns: Any) -> Outcome:
    raise ZeroDivisionError("division by zero")


async def told(*events: Event) -> AsyncIterator[Event]:
    """Those events, and then nothing for ever."""
    for event in events:
        yield event
    await asyncio.get_running_loop().create_future()


async def lived(
    does: Callable[[Any], Awaitable[Outcome]], post: Post, *events: Event, lifetime: Lifetime = SHORT
) -> End:
    """Why the worker ended."""
    worker = Worker(JOB, Room(1, 1, 100), lifetime, Work(does), post)
    async with asyncio.timeout(10):
        return await worker.run(told(*events))


async def test_a_worker_ends_when_it_is_idle_and_its_work_is_reported() -> None:
    post = Post()
    assert await lived(done, post, Listed((asset(),))) is End.IDLE
    assert post.arrived == [Started(), DONE]


async def test_a_worker_that_never_hears_of_the_api_server_ends_at_its_hard_limit() -> None:
    assert await lived(done, Post(), lifetime=Lifetime(0.1, 0.1, 0.2, 0.1)) is End.DRAINED


async def test_a_worker_whose_last_reports_cannot_be_made_ends_all_the_same() -> None:
    lifetime = Lifetime(idle=0.1, lifetime=0.1, hard_limit=0.3, drain=0.1, farewell=0.2)
    assert await lived(endless, Post(holds=True), Listed((asset(),)), lifetime=lifetime) is End.OUT_OF_TIME


async def test_an_error_of_the_worker_itself_gives_the_asset_back() -> None:
    post = Post()
    await lived(broken, post, Listed((asset(),)))
    [report] = post.arrived
    assert isinstance(report, GivenBack)
    assert report.reason is Reason.INTERNAL_ERROR
    assert "ZeroDivisionError" in report.message


async def test_a_report_that_breaks_does_not_keep_the_worker_from_ending() -> None:
    assert await lived(done, Post(fails=True), Listed((asset(),))) is End.IDLE


async def test_an_asset_that_is_not_ours_any_more_is_not_decoded() -> None:
    begun: list[int] = []

    async def decode(turns: Any) -> Outcome:
        await turns.fetched()
        begun.append(1)
        return DONE

    assert await lived(decode, Post(ours=False), Listed((asset(),))) is End.IDLE
    assert begun == []


@pytest.mark.parametrize(
    ("event", "expected"),
    [(Left(A), []), (Seen(asset(11, deleting=True)), [Reason.DELETED]), (Seen(asset(11, job="other")), [])],
    ids=["left", "deleted", "bound elsewhere"],
)
async def test_work_that_is_stopped_before_its_first_step_still_ends_well(
    event: Event, expected: list[Reason]
) -> None:
    post = Post()
    assert await lived(endless, post, Listed((asset(),)), event) is End.IDLE
    assert [report.reason for report in post.arrived if isinstance(report, GivenBack)] == expected


async def test_a_watch_that_ends_breaks_the_worker() -> None:
    async def ending() -> AsyncIterator[Event]:
        yield Listed(())

    worker = Worker(JOB, Room(1, 1, 100), Lifetime(60, 60, 60, 1), Work(done), Post())
    with pytest.raises(RuntimeError, match="The watch ended"):
        await worker.run(ending())


IDLE = Hand(JOB, Room(1, 1, 100), synced=True)
BUSY = advance(IDLE, Seen(asset()))[0]
TIMES = Lifetime(idle=30, lifetime=3600, hard_limit=7200, drain=45)
ENDS: list[tuple[str, Hand, float, float, End | None]] = [
    ("a young worker stays", IDLE, 29, 29, None),
    ("an idle one ends", IDLE, 100, 30, End.IDLE),
    ("one that never heard of the API server is not idle", Hand(JOB, Room(1, 1, 100)), 100, 100, None),
    ("one with work is not idle", BUSY, 100, 0, None),
    ("an old one ends between two assets", IDLE, 3600, 0, End.OLD),
    ("an old one with work stays", BUSY, 3600, 0, None),
    ("past the hard limit even one with work must end", BUSY, 7200, 0, End.OVERDUE),
]


@pytest.mark.parametrize(("hand", "age", "idle_for", "end"), [row[1:] for row in ENDS], ids=[row[0] for row in ENDS])
def test_when_a_worker_ends(hand: Hand, age: float, idle_for: float, end: End | None) -> None:
    assert TIMES.end(hand, age, idle_for) is end

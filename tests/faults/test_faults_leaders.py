"""F11 with the Lease: of two operators one works, and the other takes over when it is gone, hangs, or leaves."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from media_devcluster.embedded.faults import Effect
from support.deadlines import eventually
from support.service import LEASES, OperatorProcess, Service

Picture = Callable[..., bytes]
LEASE_SECONDS = 6
"""A leader gives up after seven tenths of it without a renewal: longer than a busy machine stalls."""
ROOM_SECONDS = 7
"""For a look at the Lease, for the first LIST, and for a machine that is busy."""
TERM = {"MEDIA_LEASE_SECONDS": str(LEASE_SECONDS)}

pytestmark = pytest.mark.failure("F11")


async def leader_and_other(service: Service) -> tuple[OperatorProcess, OperatorProcess]:
    """One at work, and one that stands by."""
    leader = await service.operator_process(**TERM)
    return leader, await service.operator_process("standing by", **TERM)


async def settled_once(service: Service, *asset_ids: str) -> None:
    """All are completed with all their renditions, none was bound twice, nothing was charged."""
    for asset_id in asset_ids:
        status = await service.phase(asset_id, "Completed", "Failed", seconds=60)
        assert (status["phase"], status["attempts"], status["binding"]) == ("Completed", 0, 1), status
        assert len(service.stored(asset_id)) == 4
        assert (await service.settled_row(asset_id))["transcode_status"] == "COMPLETED"


async def measured(operator: OperatorProcess) -> bool:
    """Whether its metrics say that it leads."""
    status, text = await operator.probe("metrics")
    assert status == 200
    return "media_leader 1.0" in text.splitlines()


async def test_of_two_operators_one_works_and_the_other_stands_by_alive_and_ready(
    service: Service, picture: Picture
) -> None:
    leader, other = await leader_and_other(service)

    await settled_once(service, *[await service.upload(picture(seed=seed)) for seed in range(3)])

    assert (await service.lease())["holderIdentity"] == leader.name
    assert await leader.probe("readyz") == (200, "ok\n")
    assert await other.probe("readyz") == (200, "standing by\n")
    assert [await one.probe("livez") for one in (leader, other)] == [(200, "ok\n")] * 2
    assert [await measured(one) for one in (leader, other)] == [True, False]
    assert leader.logged("job_created")
    assert [line["holder"] for line in other.logged("standing_by")] == [leader.name]
    assert not any(other.logged(event) for event in ("job_created", "ledger_swept", "leadership_acquired"))


async def test_a_leader_that_is_killed_is_followed_by_the_other_and_nothing_is_run_twice(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    leader, other = await leader_and_other(service)
    begun = await service.upload(slow_picture, content_type="image/png")
    await service.working_on(begun)
    waiting = [await service.upload(picture(seed=seed), create=seed > 1) for seed in range(4)]

    await leader.kill()
    died = time.monotonic()

    await other.until("ok")
    assert time.monotonic() - died < LEASE_SECONDS + ROOM_SECONDS
    assert (await service.lease())["holderIdentity"] == other.name
    await settled_once(service, begun, *waiting)
    assert await measured(other)


async def test_a_leader_that_was_paused_past_its_lease_wakes_and_ends_without_a_write(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    """What it had begun to write when it was stopped is the other's by now; its own process must not go on with it."""
    paused, other = await leader_and_other(service)
    begun = await service.upload(slow_picture, content_type="image/png")
    await service.working_on(begun)
    paused.signal(signal.SIGSTOP)
    waiting = [await service.upload(picture(seed=seed), create=seed > 1) for seed in range(4)]
    await other.until("ok")
    await settled_once(service, begun, *waiting)
    then = {asset_id: await service.asset(asset_id) for asset_id in (begun, *waiting)}
    jobs = {job["metadata"]["name"] for job in await service.jobs()}

    paused.signal(signal.SIGCONT)

    assert await paused.ended() == 1
    (lost,) = paused.logged("leadership_lost")
    assert lost["why"].startswith("not renewed for")
    assert (await service.lease())["holderIdentity"] == other.name
    assert {asset_id: await service.asset(asset_id) for asset_id in then} == then
    assert {job["metadata"]["name"] for job in await service.jobs()} == jobs
    await settled_once(service, await service.upload(picture(seed=9)))


async def test_a_leader_that_is_asked_to_end_hands_over_at_once(service: Service, picture: Picture) -> None:
    """With a Lease of a minute: it is given back, not waited for."""
    long = {"MEDIA_LEASE_SECONDS": "60"}
    leader = await service.operator_process(**long)
    other = await service.operator_process("standing by", **long)
    await settled_once(service, await service.upload(picture()))
    asked = datetime.now(UTC)

    assert await leader.stop() == 0

    await other.until("ok")
    lease = await service.lease()
    assert lease["holderIdentity"] == other.name
    assert (datetime.fromisoformat(lease["acquireTime"]) - asked).total_seconds() < 2
    await settled_once(service, await service.upload(picture(seed=2)))
    assert await other.stop() == 0
    assert (await service.lease())["holderIdentity"] == ""


@pytest.mark.failure("F12")
async def test_a_leader_that_cannot_reach_the_api_server_ends_and_takes_up_its_work_when_it_is_back(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    term = 2 * LEASE_SECONDS
    operator = await service.operator_process(MEDIA_LEASE_SECONDS=str(term))
    begun = await service.upload(slow_picture, content_type="image/png")
    await service.working_on(begun)
    service.cluster.faults.go_down()
    went = datetime.now(UTC)
    try:
        assert await operator.ended() == 1
        (lost,) = operator.logged("leadership_lost")
        given_up = datetime.fromisoformat(lost["timestamp"])
        assert given_up - went < timedelta(seconds=term), "before anybody may take over; its exit may take longer"
        restarted = asyncio.create_task(operator.start())
        await eventually(lambda: len(operator.logged("operator_started")) == 2)
        await eventually(lambda: operator.logged("lease_not_seen"))
        assert await operator.probe("livez") == (200, "ok\n"), "it waits; to end it once more would help nobody"
        assert (await operator.probe("readyz"))[0] == 503
    finally:
        service.cluster.faults.come_back()

    await restarted
    await settled_once(service, begun, await service.upload(picture()))


async def test_a_leader_whose_renewals_get_no_answer_ends_although_all_else_works(service: Service) -> None:
    leader, other = await leader_and_other(service)
    service.cluster.faults.add(Effect.LATENCY, verbs=("update",), resource="leases", times=1, seconds=60)
    service.cluster.faults.add(Effect.CLOSE, verbs=("update",), resource="leases", lasting=LEASE_SECONDS)

    assert await leader.ended() == 1

    await other.until("ok")


async def test_answers_that_get_lost_cost_no_leader_its_lease(service: Service, picture: Picture) -> None:
    leader = await service.operator_process(**TERM)
    lost = service.cluster.faults.add(Effect.LOSE_ANSWER, verbs=("update",), resource="leases", times=3)

    await eventually(lambda: lost.hits == 3)
    then = (await service.lease())["renewTime"]

    async def renewed() -> bool:
        return bool((await service.lease())["renewTime"] > then)

    await eventually(renewed)
    await settled_once(service, await service.upload(picture()))
    assert (await service.lease())["leaseTransitions"] == 0
    assert not leader.logged("leadership_lost")


@pytest.mark.parametrize("change", ["released", "taken"])
async def test_a_leader_ends_when_its_lease_names_it_no_more(service: Service, change: str) -> None:
    leader = await service.operator_process(**TERM)
    holder = "" if change == "released" else "somebody-else"

    await service.call("PATCH", f"{LEASES}/media-operator", {"spec": {"holderIdentity": holder}})

    assert await leader.ended() == 1
    assert (await service.lease())["holderIdentity"] == holder


async def test_a_lease_that_is_deleted_is_held_by_one_of_them_again_and_work_goes_on(
    service: Service, picture: Picture
) -> None:
    names = {operator.name for operator in await leader_and_other(service)}

    await service.call("DELETE", f"{LEASES}/media-operator")

    async def held() -> bool:
        return (await service.lease()).get("holderIdentity") in names

    await eventually(held)
    await settled_once(service, await service.upload(picture()))

"""Rows of the failure table that begin with a dependency: storage, the API server, PostgreSQL, the operator itself."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Callable
from uuid import UUID

import pytest

from media_core.asset import AssetSpec, AssetType, Source
from media_devcluster.embedded.faults import Effect
from support.deadlines import eventually
from support.s3_faults import gets, puts
from support.service import JOBS, OWN, Service

Picture = Callable[..., bytes]
PAUSE_SECONDS = 40.0
"""Longer than any watch a paused operator could still believe in, and shorter than the Lease it has to itself."""


async def completed_once(service: Service, *asset_ids: str, attempts: int = 0) -> None:
    """All are completed with all their renditions, so many attempts charged, and the ledger agrees."""
    for asset_id in asset_ids:
        status = await service.phase(asset_id, "Completed", "Failed", seconds=60)
        assert status["phase"] == "Completed", status
        assert status["attempts"] == attempts, status
        assert len(service.stored(asset_id)) == 4
        assert (await service.settled_row(asset_id))["transcode_status"] == "COMPLETED"


def uploads_of(service: Service, asset_id: str) -> int:
    """How often a rendition of it was uploaded."""
    return len([call for call in service.storage.made(puts) if asset_id in call.key])


@pytest.mark.failure("F10")
async def test_while_storage_fails_work_is_given_back_uncharged_and_the_pool_says_so(
    service: Service, picture: Picture
) -> None:
    service.storage.fail(503, gets)
    await service.here.start()
    asset_id = await service.upload(picture())

    async def degraded() -> bool:
        return (await service.pool_condition("Degraded")).get("status") == "True"

    await eventually(degraded, 60)
    status = await service.status(asset_id)
    assert status["attempts"] == 0
    assert status["phase"] != "Failed"

    service.storage.heal()
    service.here.advance(61)
    await completed_once(service, asset_id)


@pytest.mark.failure("F11")
async def test_with_the_operator_down_running_work_ends_uploads_are_kept_and_all_is_picked_up(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    operator = await service.operator_process()
    running = await service.upload(slow_picture, content_type="image/png")
    await service.working_on(running)
    await operator.kill()

    later = [await service.upload(picture(seed=seed), create=seed > 1) for seed in range(3)]
    assert (await service.phase(running, "Completed"))["binding"] == 1
    assert (await service.row(running))["state"] == "confirmed"

    await operator.start()
    await completed_once(service, running, *later)
    assert (await service.status(running))["binding"] == 1, "what ran was neither released nor run again"


@pytest.mark.failure("F11")
async def test_two_operators_that_both_lead_lose_nothing_charge_nothing_and_agree_in_the_end(
    service: Service, picture: Picture
) -> None:
    """On Leases of different names both work, as they would if the Lease ever failed: the fences alone hold.

    One may start a worker too many before it sees that of the other; the pool is back at its slots by itself, and
    what was bound to the worker that goes is bound again, uncharged.
    """
    await service.pool(replicas=2, concurrency=2)
    await asyncio.gather(*(service.operator_process(MEDIA_LEASE_NAME=name) for name in ("one", "other")))
    asset_ids = [await service.upload(picture(seed=seed)) for seed in range(20)]

    await completed_once(service, *asset_ids)

    for asset_id in asset_ids:
        row = await service.row(asset_id)
        assert row is not None
        assert row["status"] is not None
        mirrored, status = json.loads(row["status"]), await service.status(asset_id)
        assert (mirrored["binding"], mirrored["assignedJob"]) == (status["binding"], status["assignedJob"])

    async def within_its_slots() -> bool:
        return len([job for job in await service.jobs() if not (job.get("status") or {}).get("conditions")]) <= 2

    await eventually(within_its_slots)


@pytest.mark.slow
@pytest.mark.failure("F11")
async def test_an_operator_that_was_paused_wakes_with_old_state_and_changes_nothing(
    service: Service, picture: Picture
) -> None:
    """Its Lease has another name and outlasts the pause, so that only the fences keep it from doing harm."""
    paused = await service.operator_process(MEDIA_LEASE_NAME="paused")
    before = await service.upload(picture())
    await completed_once(service, before)
    waiting = [await service.upload(picture(seed=seed)) for seed in range(2, 5)]
    paused.signal(signal.SIGSTOP)
    wakes = time.monotonic() + PAUSE_SECONDS
    await service.operator_process()
    deleted = waiting.pop()
    await service.delete(deleted)
    await service.gone(deleted, 60)
    await completed_once(service, *waiting)
    settled = {asset_id: await service.asset(asset_id) for asset_id in (before, *waiting)}

    await asyncio.sleep(wakes - time.monotonic())
    paused.signal(signal.SIGCONT)

    fresh = await service.upload(picture(seed=9))
    await completed_once(service, fresh)
    await eventually(lambda: paused.logged("ledger_swept"))
    for asset_id, then in settled.items():
        now = await service.asset(asset_id)
        assert now is not None
        assert then is not None
        assert now["status"] == then["status"]
    assert await service.asset(deleted) is None
    assert service.stored(deleted) == []


@pytest.mark.failure("F12")
async def test_with_the_api_server_down_a_worker_holds_its_result_and_reports_it_later(
    service: Service, slow_picture: bytes
) -> None:
    """The outage is shorter than the Lease, which survives it; test_faults_leaders.py has the longer one."""
    operator = await service.operator_process()
    asset_id = await service.upload(slow_picture, content_type="image/png")
    await service.working_on(asset_id)

    service.cluster.faults.go_down()
    await service.storage.asked(lambda call: call.method == "PUT" and asset_id in call.key, count=3, seconds=40)
    service.cluster.faults.come_back()

    await completed_once(service, asset_id)
    assert uploads_of(service, asset_id) == 3
    assert (await service.status(asset_id))["binding"] == 1
    assert operator.process is not None
    assert operator.process.returncode is None


@pytest.mark.failure("F12")
async def test_throttling_and_errors_of_the_api_server_delay_work_and_lose_none(
    service: Service, picture: Picture
) -> None:
    await service.here.start()
    faults = service.cluster.faults
    faults.add(Effect.TOO_MANY_REQUESTS, verbs=("update", "patch"), times=6, seconds=1)
    asset_ids = [await service.upload(picture(seed=seed)) for seed in range(3)]
    faults.add(Effect.LOSE_ANSWER, verbs=("patch", "update"), resource="mediaassets", times=4)

    await completed_once(service, *asset_ids)


@pytest.mark.failure("F13")
async def test_with_postgresql_down_processing_goes_on_and_the_mirror_catches_up(
    service: Service, picture: Picture
) -> None:
    await service.pool(paused=True)
    await service.here.start()
    asset_id = await service.upload(picture())
    doomed = await service.upload(picture(seed=2))
    for one in (asset_id, doomed):
        await service.until(one, lambda status: status.get("conditions"))

    await service.gate.shut()
    try:
        await service.pool(paused=False)
        await service.phase(asset_id, "Completed", seconds=40)
        await service.delete(doomed)
        assert await service.asset(doomed) is not None, "its finalizer waits for the tombstone"
    finally:
        await service.gate.open()

    await completed_once(service, asset_id)
    await service.gone(doomed, 60)
    assert (await service.row_in(doomed, "deleted"))["state"] == "deleted"


async def _forget_object(service: Service, asset_id: str) -> AssetSpec:
    """As a lost cluster does: the object is gone with nobody told. Returns its spec."""
    asset = await service.asset(asset_id)
    assert asset is not None
    spec = AssetSpec.model_validate(asset["spec"])
    await service.call("PATCH", f"{OWN}/mediaassets/{asset_id}", {"metadata": {"finalizers": None}})
    await service.call("DELETE", f"{OWN}/mediaassets/{asset_id}")
    await service.gone(asset_id)
    return spec


@pytest.mark.failure("F17")
async def test_an_object_restored_without_its_status_gets_it_back_and_is_not_run_again(
    service: Service, picture: Picture
) -> None:
    await service.here.start()
    asset_id = await service.upload(picture())
    await completed_once(service, asset_id)
    then = await service.status(asset_id)
    await service.here.stop()
    spec = await _forget_object(service, asset_id)
    await service.create(asset_id, spec)

    await service.here.start()

    now = await service.phase(asset_id, "Completed")
    assert now["result"] == then["result"]
    assert now["binding"] == then["binding"]
    assert uploads_of(service, asset_id) == 3
    await service.delete(asset_id)
    await service.gone(asset_id)
    assert service.stored(asset_id) == []


@pytest.mark.failure("F17")
async def test_an_object_whose_row_was_deleted_meanwhile_goes_on_sight(service: Service, picture: Picture) -> None:
    await service.here.start()
    asset_id = await service.upload(picture())
    await completed_once(service, asset_id)
    spec = await _forget_object(service, asset_id)
    await service.delete_by_ledger(asset_id)
    await service.row_in(asset_id, "deleted")

    await service.create(asset_id, spec)

    await service.gone(asset_id)
    assert service.stored(asset_id) == []


@pytest.mark.failure("F17")
async def test_an_object_without_a_row_gets_one(service: Service, picture: Picture) -> None:
    await service.here.start()
    asset_id = await service.upload(picture(), create=False)
    row = await service.row(asset_id)
    assert row is not None
    await service.database.execute("DELETE FROM media.assets WHERE id = $1", UUID(asset_id))
    source = Source(
        bucket=row["bucket"],
        key=row["s3_key"],
        etag=row["etag"],
        size_bytes=row["size_bytes"],
        content_type=row["content_type"],
    )

    await service.create(asset_id, AssetSpec(asset_type=AssetType.IMAGE, owner="alice", source=source))

    await completed_once(service, asset_id)
    found = await service.row(asset_id)
    assert found is not None
    assert (found["owner"], found["s3_key"]) == ("alice", row["s3_key"])


async def test_an_operator_restarted_while_a_worker_runs_releases_nothing(
    service: Service, slow_picture: bytes
) -> None:
    """Assets are listed after Jobs, and even an asset that is seen before its Job is only released by a live GET."""
    await service.here.start()
    asset_id = await service.upload(slow_picture, content_type="image/png")
    await service.working_on(asset_id)
    await service.here.stop()
    service.cluster.faults.add(Effect.LATENCY, verbs=("list",), resource="jobs", times=3, seconds=0.3)

    await service.here.start()

    await completed_once(service, asset_id)
    assert (await service.status(asset_id))["binding"] == 1


async def test_a_job_whose_event_is_late_keeps_its_assets(service: Service, picture: Picture) -> None:
    await service.here.start()
    service.cluster.faults.add(Effect.SILENT_WATCH, verbs=("watch",), resource="jobs", lasting=6)

    asset_id = await service.upload(picture())

    await completed_once(service, asset_id)
    assert (await service.status(asset_id))["binding"] == 1


async def test_a_job_deleted_in_a_gap_of_the_watch_is_found_by_the_next_list(
    service: Service, slow_picture: bytes
) -> None:
    await service.here.start()
    asset_id = await service.upload(slow_picture, content_type="image/png")
    worker = await service.working_on(asset_id)
    job = worker.environ()["MEDIA_JOB_NAME"]
    operator = service.here.operator
    assert operator is not None
    await eventually(lambda: operator.world.jobs.get(job))
    silent = service.cluster.faults.add(Effect.SILENT_WATCH, verbs=("watch",), resource="jobs")
    worker.suspend()
    await service.call("DELETE", f"{JOBS}/{job}", {"propagationPolicy": "Background"})

    async def no_such_job() -> bool:
        return await service.find(f"{JOBS}/{job}") is None

    await eventually(no_such_job)
    assert operator.world.jobs.get(job) is not None, "nobody has told it"
    service.cluster.faults.remove(silent)
    service.cluster.store.compact()

    await operator.world.list_all(operator.cluster)

    await completed_once(service, asset_id)
    assert (await service.status(asset_id))["assignedJob"] != job


async def test_released_and_bound_again_to_the_same_job_only_the_new_binding_may_report(
    service: Service, slow_picture: bytes
) -> None:
    await service.here.start()
    asset_id = await service.upload(slow_picture, content_type="image/png")
    worker = await service.working_on(asset_id)
    job = worker.environ()["MEDIA_JOB_NAME"]
    await service.here.stop()
    status = await service.status(asset_id)
    free = {"phase": "Pending", "assignedJob": None, "binding": 2, "startTime": None}
    await service.call("PATCH", f"{OWN}/mediaassets/{asset_id}/status", {"status": free})
    again = {"phase": "Scheduled", "assignedJob": job, "binding": 3}
    await service.call("PATCH", f"{OWN}/mediaassets/{asset_id}/status", {"status": again})
    assert status["binding"] == 1

    ended = await service.phase(asset_id, "Completed", seconds=60)

    assert ended["binding"] == 3
    await service.here.start()
    await completed_once(service, asset_id)


async def test_uploads_beyond_the_live_limit_wait_in_the_ledger_until_settled_ones_make_room(
    service: Service, picture: Picture
) -> None:
    await service.pool(concurrency=2)
    await service.here.start(MEDIA_MAX_LIVE_ASSETS="3")
    asset_ids = [await service.upload(picture(seed=seed), owner=f"user-{seed % 2}", create=False) for seed in range(6)]
    await service.database.execute("UPDATE media.assets SET confirmed_at = now() - interval '1 minute'")
    most = 0

    async def all_settled() -> bool:
        nonlocal most
        most = max(most, len((await service.call("GET", f"{OWN}/mediaassets"))["items"]))
        rows = [await service.row(asset_id) for asset_id in asset_ids]
        return all(row is not None and row["state"] == "settled" for row in rows)

    await eventually(all_settled, 60)
    assert most == 3

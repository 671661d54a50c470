"""Rows of the failure table that begin with the worker: crashes, evictions, lost nodes, Jobs that never start."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from support.deadlines import eventually
from support.service import CORE, JOBS, NAMESPACE, OWN, Service

Picture = Callable[..., bytes]
UNPULLABLE = "unpullable.invalid/media-worker:1"
NEXT = "media-worker:next"


async def completed_once(service: Service, *asset_ids: str, attempts: int = 0) -> None:
    """All are completed with all their renditions, so many attempts charged, and the ledger agrees."""
    for asset_id in asset_ids:
        status = await service.phase(asset_id, "Completed", "Failed", seconds=60)
        assert status["phase"] == "Completed", status
        assert status["attempts"] == attempts, status
        assert len(status["result"]["variants"]) == 3
        assert len(service.stored(asset_id)) == 4
        assert (await service.settled_row(asset_id))["transcode_status"] == "COMPLETED"


def isolated(status: dict[str, object]) -> bool:
    """Whether it is marked to run alone."""
    conditions = status.get("conditions") or []
    return any(item["type"] == "Isolated" and item["status"] == "True" for item in conditions)  # type: ignore[attr-defined]


@pytest.mark.failure("F3")
async def test_a_worker_that_crashes_makes_what_it_had_begun_a_suspect_and_charges_nobody(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    await service.here.start()
    begun = await service.upload(slow_picture, content_type="image/png", priority=1)
    waiting = [await service.upload(picture(seed=seed)) for seed in range(2)]
    worker = await service.working_on(begun)
    await eventually(service.busy_decoders)

    worker.kill()

    assert isolated(await service.until(begun, isolated))
    await completed_once(service, begun, *waiting)
    assert not isolated(await service.status(waiting[0]))
    events = await service.events(begun)
    assert events["Released"] == 1


@pytest.mark.failure("F4")
async def test_a_crash_while_it_runs_alone_is_charged(service: Service, slow_picture: bytes) -> None:
    await service.here.start()
    asset_id = await service.upload(slow_picture, content_type="image/png")
    (await service.working_on(asset_id)).kill()
    first = await service.until(asset_id, isolated)
    await service.until(
        asset_id, lambda status: status["phase"] == "Processing" and status["binding"] > first["binding"], 60
    )
    alone = await service.working_on(asset_id)
    jobs = {job["metadata"]["name"]: job["metadata"]["labels"] for job in await service.jobs()}
    assert jobs[alone.environ()["MEDIA_JOB_NAME"]]["media.docfliq.com/isolated"] == asset_id

    alone.kill()

    await service.until(asset_id, lambda status: status["attempts"] == 1)
    await completed_once(service, asset_id, attempts=1)


@pytest.mark.parametrize("how", ["eviction", "deletion of the pod", "drain"])
@pytest.mark.failure("F5")
async def test_a_disruption_gives_everything_back_and_suspects_nobody(
    service: Service, picture: Picture, slow_picture: bytes, how: str
) -> None:
    await service.here.start()
    begun = await service.upload(slow_picture, content_type="image/png", priority=1)
    waiting = await service.upload(picture())
    worker = await service.working_on(begun)
    (pod,) = [pod["metadata"]["name"] for pod in await service.pods()]
    match how:
        case "eviction":
            eviction = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": pod, "namespace": NAMESPACE},
            }
            await service.call("POST", f"{CORE}/pods/{pod}/eviction", eviction)
        case "deletion of the pod":
            await service.call("DELETE", f"{CORE}/pods/{pod}")
        case _:
            worker.send_signal(signal.SIGTERM)

    await completed_once(service, begun, waiting)
    for asset_id in (begun, waiting):
        assert not isolated(await service.status(asset_id))


@pytest.mark.failure("F6")
async def test_a_lost_node_frees_its_assets_and_its_late_writer_is_refused(
    service: Service, slow_picture: bytes
) -> None:
    """The kubelet's silence is played by hand: the worker hangs, and its pod is said to be ready no more."""
    await service.here.start()
    asset_id = await service.upload(slow_picture, content_type="image/png")
    worker = await service.working_on(asset_id)
    lost = worker.environ()["MEDIA_JOB_NAME"]
    worker.suspend()
    (pod,) = [pod["metadata"]["name"] for pod in await service.pods()]
    silent = {"conditions": [{"type": "Ready", "status": "False", "reason": "NodeStatusUnknown"}]}
    await service.call("PATCH", f"{CORE}/pods/{pod}/status", {"status": silent})
    operator = service.here.operator
    assert operator is not None
    await eventually(lambda: (job := operator.world.jobs.get(lost)) is not None and job.ready == 0)
    service.here.advance(0.5)
    await eventually(lambda: operator.scheduler.snapshot(operator.world.pools["default"], service.here.clock()))

    service.here.advance(61)

    other = await service.until(asset_id, lambda status: status.get("assignedJob") not in (None, lost), 40)
    worker.resume()
    await completed_once(service, asset_id)
    status = await service.status(asset_id)
    assert status["assignedJob"] != lost
    assert status["binding"] == other["binding"]
    assert not isolated(status)


@pytest.mark.failure("F7")
async def test_an_asset_bound_to_a_worker_that_has_just_left_goes_to_another(
    service: Service, picture: Picture
) -> None:
    await service.pool(idleSeconds=1)
    await service.here.start()
    first = await service.upload(picture())
    await service.phase(first, "Completed")

    async def left() -> str | None:
        over = [job for job in await service.jobs() if job["status"].get("completionTime")]
        return over[0]["metadata"]["name"] if over else None

    job = await eventually(left)
    await service.here.stop()
    late = await service.upload(picture(seed=2))
    status = {"phase": "Scheduled", "assignedJob": job, "binding": 1, "attempts": 0, "conditions": []}
    await service.call("PATCH", f"{OWN}/mediaassets/{late}/status", {"status": status})

    await service.here.start()

    await completed_once(service, late)
    assert (await service.status(late))["assignedJob"] != job


@pytest.mark.failure("F8")
async def test_workers_that_never_start_are_said_to_be_stuck_and_their_assets_go_on_once_it_is_mended(
    service: Service, picture: Picture
) -> None:
    await service.here.start(MEDIA_WORKER_IMAGE=UNPULLABLE)
    asset_id = await service.upload(picture())
    await service.phase(asset_id, "Scheduled")

    service.here.advance(31)

    status = await service.phase(asset_id, "Pending")
    assert status["attempts"] == 0
    stuck = await eventually(lambda: _true(service, "WorkersStuck"))
    assert "30 s" in stuck["message"]
    await service.pool(replicas=3)
    service.here.advance(2)
    assert len(await service.jobs()) == 1, "no further Jobs until one is ready"
    await service.here.stop()

    await service.here.start()
    await completed_once(service, asset_id)


async def _true(service: Service, type_: str) -> dict[str, str] | None:
    condition = await service.pool_condition(type_)
    return condition if condition.get("status") == "True" else None


@pytest.mark.failure("F9")
async def test_a_job_deleted_by_a_person_releases_its_assets(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    await service.here.start()
    begun = await service.upload(slow_picture, content_type="image/png", priority=1)
    waiting = await service.upload(picture())
    job = (await service.working_on(begun)).environ()["MEDIA_JOB_NAME"]

    await service.call("DELETE", f"{JOBS}/{job}", {"propagationPolicy": "Background"})

    await completed_once(service, begun, waiting)
    assert (await service.status(begun))["assignedJob"] != job


@pytest.mark.failure("F9")
async def test_without_its_pool_an_asset_waits_and_says_so(service: Service, picture: Picture) -> None:
    await service.here.start()
    await service.call("DELETE", f"{OWN}/mediaworkerpools/default")
    asset_id = await service.upload(picture())

    def says_it(status: dict[str, object]) -> bool:
        return any(item["reason"] == "PoolMissing" for item in status.get("conditions", []))  # type: ignore[attr-defined]

    await service.until(asset_id, says_it)
    await service.pool(concurrency=1)
    await completed_once(service, asset_id)


async def test_an_upgrade_gives_new_work_to_new_workers_while_the_old_ones_end_what_they_have(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    await service.pool(replicas=2)
    await service.here.start()
    begun = await service.upload(slow_picture, content_type="image/png")
    await service.working_on(begun)
    await service.here.stop()

    await service.here.start(MEDIA_WORKER_IMAGE=NEXT)
    new = [await service.upload(picture(seed=seed)) for seed in range(2, 5)]

    await completed_once(service, begun, *new)
    old = (await service.status(begun))["assignedJob"]
    assert (await service.status(begun))["binding"] == 1, "what ran was left to end"
    assert old not in {(await service.status(asset_id))["assignedJob"] for asset_id in new}

    async def only_new_ones() -> bool:
        alive = [job for job in await service.jobs() if not (job.get("status") or {}).get("conditions")]
        images = {job["spec"]["template"]["spec"]["containers"][0]["image"] for job in alive}
        return images <= {NEXT} and await service.find(f"{JOBS}/{old}") is None

    await eventually(only_new_ones)

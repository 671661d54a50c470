"""Rows of the failure table that begin with the asset: bad bytes, decoders that die, deadlines, retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from media_core.asset import AssetType
from media_core.names import RETRY_ANNOTATION
from support.deadlines import eventually
from support.service import Object, Service

Picture = Callable[..., bytes]


def summary(status: Object) -> tuple[str, str]:
    """Reason and message of the summary condition."""
    found = next(item for item in status["conditions"] if item["type"] == "Succeeded")
    return found["reason"], found["message"]


async def failures_told(service: Service, asset_id: str) -> int:
    """How many Kubernetes Events say that it failed."""
    return (await service.events(asset_id))["Failed"]


async def kill_decoders_while_processing(service: Service, asset_id: str, binding: int) -> None:
    """Kill whatever decodes once the asset is being processed under that binding."""
    await service.until(
        asset_id, lambda status: status.get("phase") == "Processing" and status["binding"] == binding, 40
    )
    for child in await eventually(service.busy_decoders):
        child.kill()


@pytest.mark.failure("F1")
async def test_a_corrupt_image_fails_at_once_with_a_reason_and_delays_nobody(
    service: Service, picture: Picture
) -> None:
    await service.here.start()
    good = picture()
    bad = await service.upload(good[: len(good) // 2])
    junk = await service.upload(b"\xff\xd8\xff" + b"junk" * 50)
    fine = await service.upload(good, owner="bob")

    for asset_id in (bad, junk):
        status = await service.phase(asset_id, "Failed")
        reason, message = summary(status)
        assert reason == "Undecodable"
        assert message
        assert status["attempts"] == 0
        row = await service.settled_row(asset_id)
        assert (row["transcode_status"], row["reason"], row["message"]) == ("FAILED", "Undecodable", message)
        assert await eventually(lambda asset_id=asset_id: failures_told(service, asset_id)) == 1
    assert (await service.phase(fine, "Completed"))["attempts"] == 0


@pytest.mark.failure("F1")
async def test_an_original_that_changed_since_confirm_fails(service: Service, picture: Picture) -> None:
    asset_id = await service.upload(picture())
    (key,) = service.stored(asset_id)
    service.s3.put_object(Bucket=service.bucket, Key=key, Body=picture(seed=2))
    await service.here.start()

    status = await service.phase(asset_id, "Failed")

    assert summary(status)[0] == "SourceChanged"
    assert service.stored(asset_id) == [key]


@pytest.mark.failure("F2", "F15")
async def test_an_image_that_kills_the_decoder_fails_after_three_charged_attempts_and_can_be_retried(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    await service.here.start()
    asset_id = await service.upload(slow_picture, content_type="image/png")
    for attempt in (1, 2, 3):
        binding = (await service.until(asset_id, lambda status: status.get("assignedJob")))["binding"]
        await kill_decoders_while_processing(service, asset_id, binding)
        status = await service.until(asset_id, lambda status, n=attempt: status["attempts"] == n)

    assert status["phase"] == "Failed"
    reason, message = summary(status)
    assert reason == "AttemptsExhausted"
    assert "3 attempts" in message
    fine = await service.upload(picture())
    await service.phase(fine, "Completed")
    assert (await service.status(asset_id))["phase"] == "Failed", "it is sticky"

    await service.patch(asset_id, metadata={"annotations": {RETRY_ANNOTATION: "please"}})
    status = await service.phase(asset_id, "Completed", seconds=60)
    assert status["attempts"] == 0
    asset = await eventually(lambda: service.asset(asset_id))
    assert RETRY_ANNOTATION not in asset["metadata"].get("annotations", {})
    assert (await service.settled_row(asset_id))["transcode_status"] == "COMPLETED"


@pytest.mark.failure("F14")
async def test_an_image_that_takes_too_long_fails_and_its_decoder_is_free_again(
    service: Service, picture: Picture, slow_picture: bytes
) -> None:
    await service.pool(assetTimeoutSeconds=1)
    await service.here.start()
    slow = await service.upload(slow_picture, content_type="image/png", priority=1)
    fine = await service.upload(picture())

    status = await service.phase(slow, "Failed")

    assert summary(status)[0] == "DeadlineExceeded"
    assert status["attempts"] == 0
    await service.phase(fine, "Completed")


async def test_pdf_and_scorm_complete_without_renditions_and_video_says_that_no_backend_is_there(
    service: Service,
) -> None:
    await service.here.start()
    pdf = await service.upload(b"%PDF-1.7", asset_type=AssetType.PDF, content_type="application/pdf")
    scorm = await service.upload(b"PK", asset_type=AssetType.SCORM, content_type="application/zip")
    video = await service.upload(b"....ftyp", asset_type=AssetType.VIDEO, content_type="video/mp4")

    for asset_id in (pdf, scorm):
        assert "result" not in await service.phase(asset_id, "Completed")
        assert (await service.settled_row(asset_id))["transcode_status"] == "COMPLETED"
    status = await service.until(video, lambda status: status.get("conditions"))
    assert status["phase"] == "Pending"
    assert summary(status)[0] == "NoBackend"
    assert await service.jobs() == []


@pytest.mark.parametrize("moment", ["before it is bound", "while it is processed", "while renditions upload", "after"])
@pytest.mark.failure("F16")
async def test_deleted_at_any_moment_nothing_stays_and_nothing_comes_later(
    service: Service, picture: Picture, slow_picture: bytes, moment: str
) -> None:
    def puts_of_it(call: object) -> bool:
        return call.method == "PUT" and asset_id in call.key  # type: ignore[attr-defined]

    if moment == "before it is bound":
        await service.pool(paused=True)
    await service.here.start()
    asset_id = ""
    if moment == "while renditions upload":
        service.storage.delay(1.0, puts_of_it)
    slow = moment == "while it is processed"
    asset_id = await service.upload(
        slow_picture if slow else picture(), content_type="image/png" if slow else "image/jpeg"
    )
    match moment:
        case "before it is bound":
            await service.until(asset_id, lambda status: status.get("conditions"))
        case "while it is processed":
            await service.phase(asset_id, "Processing")
        case "while renditions upload":
            await service.storage.asked(puts_of_it)
        case "after":
            await service.phase(asset_id, "Completed")

    await service.delete(asset_id)
    await service.gone(asset_id)

    assert service.stored(asset_id) == []
    begun = len(service.storage.made(puts_of_it))
    another = await service.upload(picture(seed=3))
    if moment != "before it is bound":
        await service.phase(another, "Completed", seconds=60)
    assert len(service.storage.made(puts_of_it)) == begun
    assert all(call.ended is not None for call in service.storage.made(puts_of_it))
    assert service.stored(asset_id) == []
    row = await service.row(asset_id)
    assert row is not None
    assert row["state"] == "deleted"


@pytest.mark.failure("F16")
async def test_a_worker_that_does_not_let_go_is_fenced_after_a_minute_and_its_leavings_are_purged_again(
    service: Service, slow_picture: bytes
) -> None:
    await service.here.start()
    asset_id = await service.upload(slow_picture, content_type="image/png")
    worker = await service.working_on(asset_id)
    worker.suspend()
    try:
        await service.delete(asset_id)
        await service.until(asset_id, lambda _status: True)
        service.here.advance(61)
        await service.gone(asset_id)
    finally:
        worker.resume()

    await asyncio.to_thread(
        service.s3.put_object,
        Bucket=service.bucket,
        Key=f"processed/image/alice/{asset_id}/thumbnail.webp",
        Body=b"a late rendition",
    )
    await purged_again(service, asset_id)
    assert service.stored(asset_id) == []


@pytest.mark.failure("F16")
async def test_an_upload_url_used_again_after_the_deletion_leaves_nothing_in_the_end(
    service: Service, picture: Picture
) -> None:
    await service.here.start()
    asset_id = await service.upload(picture())
    (key,) = service.stored(asset_id)
    await service.phase(asset_id, "Completed")
    await service.delete(asset_id)
    await service.gone(asset_id)

    service.s3.put_object(Bucket=service.bucket, Key=key, Body=picture())
    await purged_again(service, asset_id)

    assert service.stored(asset_id) == []


async def purged_again(service: Service, asset_id: str) -> None:
    """Let the time pass after which a tombstone is purged for the second time, and wait for it."""
    assert (await service.row_in(asset_id, "deleted"))["purged_at"] is None
    await service.database.execute("UPDATE media.assets SET deleted_at = deleted_at - interval '20 minutes'")

    async def purged() -> bool:
        row = await service.row(asset_id)
        return row is not None and row["purged_at"] is not None

    await eventually(purged)


async def test_ttl_removes_the_object_and_keeps_media_and_row(service: Service, picture: Picture) -> None:
    await service.here.start()
    asset_id = await service.upload(picture(), ttl_seconds_after_finished=1)
    await service.gone(asset_id)

    assert (await service.settled_row(asset_id))["transcode_status"] == "COMPLETED"
    assert len(service.stored(asset_id)) == 4


async def test_ttl_and_delete_in_the_same_second_leave_nothing(service: Service, picture: Picture) -> None:
    await service.here.start()
    asset_ids = [await service.upload(picture(), ttl_seconds_after_finished=0) for _ in range(4)]

    async def delete_when_settled(asset_id: str) -> None:
        await service.settled_row(asset_id)
        await service.delete_by_ledger(asset_id)

    await asyncio.gather(*(delete_when_settled(asset_id) for asset_id in asset_ids))

    for asset_id in asset_ids:
        await service.gone(asset_id)
        await service.row_in(asset_id, "deleted")
        assert service.stored(asset_id) == []


async def test_a_policy_of_retain_keeps_the_media_when_the_object_is_deleted(
    service: Service, picture: Picture
) -> None:
    await service.here.start()
    asset_id = await service.upload(picture(), deletion_policy="Retain")
    await service.phase(asset_id, "Completed")

    await service.delete(asset_id)
    await service.gone(asset_id)

    assert len(service.stored(asset_id)) == 4

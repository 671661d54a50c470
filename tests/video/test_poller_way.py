"""The way of a video through the operator and MediaConvert, and what becomes of it where something fails there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_devcluster.objectstore import S3
from support.backends import PostgresServer
from support.clips import clip
from support.poller_site import PollerSite, poller_site


@pytest.fixture
async def site(postgres: PostgresServer, object_store: S3, tmp_path: Path) -> AsyncIterator[PollerSite]:
    async with poller_site(postgres, object_store, tmp_path) as running:
        yield running


async def test_a_video_is_transcoded_proven_and_completed(site: PollerSite) -> None:
    await site.operator()
    asset = await site.film()
    seen = await site.service.phase(asset, "Completed", "Failed", seconds=60)
    assert seen["phase"] == "Completed", seen
    names = [(variant["name"], variant["width"], variant["height"]) for variant in seen["result"]["variants"]]
    assert names == [("180p", 320, 180), ("video", 320, 180), ("thumbnail", 320, 180)]
    assert all(variant["bytes"] > 100 for variant in seen["result"]["variants"])
    assert (seen["result"]["width"], seen["result"]["height"]) == (320, 180)
    video = seen["video"]
    assert (video["backend"], video["progressPercent"], video["durationSeconds"]) == ("mediaconvert", 100, 2)
    (job,) = site.jobs(asset)
    assert (video["jobId"], video["submitToken"]) == (job.identifier, job.request["ClientRequestToken"])
    stored = [key.rpartition(f"{asset}/")[2] for key in site.service.stored(asset)]
    assert "thumbnail.jpg" in stored
    assert "thumbnail.0000000.jpg" not in stored
    row = await site.service.settled_row(asset)
    assert (row["transcode_status"], row["reason"]) == ("COMPLETED", "Completed")


async def test_phase_and_progress_follow_the_job(site: PollerSite) -> None:
    fault = site.double.faults.add("stallJob", percent=42)
    await site.operator()
    asset = await site.film()
    seen = await site.service.phase(asset, "Processing")
    assert (seen["video"]["progressPercent"], seen["conditions"][0]["reason"]) == (42, "Transcoding")
    assert "startTime" in seen
    before = (await site.service.asset(asset) or {})["metadata"]["resourceVersion"]
    await site.polled(2)
    after = (await site.service.asset(asset) or {})["metadata"]["resourceVersion"]
    assert after == before, "nothing is written where nothing has changed"
    site.double.faults.remove(fault)
    assert (await site.service.phase(asset, "Completed", seconds=60))["phase"] == "Completed"


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        pytest.param(b"#EXTM3U\n#EXTINF:4,\nhttp://127.0.0.1/secret\n", "UnsupportedFormat", id="a renamed playlist"),
        pytest.param(b"no film at all", "UnsupportedFormat", id="a text"),
    ],
)
async def test_what_is_no_film_fails_with_its_reason_and_is_never_submitted(
    site: PollerSite, made: bytes, reason: str
) -> None:
    await site.operator()
    asset = await site.upload(made)
    seen = await site.service.phase(asset, "Failed")
    assert seen["conditions"][0]["reason"] == reason
    assert not site.jobs()


async def test_sound_without_a_picture_fails_with_its_reason(site: PollerSite) -> None:
    await site.operator()
    asset = await site.film(video=False)
    seen = await site.service.phase(asset, "Failed")
    assert (seen["conditions"][0]["reason"], site.jobs()) == ("UnsupportedFormat", [])


async def test_a_video_beyond_the_longest_is_not_submitted(site: PollerSite) -> None:
    await site.operator(MEDIA_MAX_VIDEO_SECONDS="1")
    seen = await site.service.phase(await site.film(), "Failed")
    assert (seen["conditions"][0]["reason"], site.jobs()) == ("TooLong", [])


async def test_an_error_midway_fails_the_video_with_the_services_words(site: PollerSite) -> None:
    site.double.faults.add("failJob", code=1030, message="The picture is broken", percent=30)
    await site.operator()
    asset = await site.film()
    seen = await site.service.phase(asset, "Failed", seconds=60)
    (condition,) = seen["conditions"]
    assert (condition["reason"], len(site.jobs(asset))) == ("Undecodable", 1), "an error is not billed"
    assert "1030" in condition["message"]
    assert "The picture is broken" in condition["message"]


async def test_a_film_of_bytes_that_nobody_confirmed_is_not_completed(site: PollerSite) -> None:
    fault = site.double.faults.add("stallJob")
    await site.operator()
    asset = await site.film()
    await site.submitted(asset)
    (original,) = [key for key in site.service.stored(asset) if key.startswith("uploads/")]
    other = await asyncio.to_thread(lambda: clip(site.folder, name="other.mp4", width=320, height=180, seconds=3.0))
    site.service.s3.put_object(Bucket=site.service.bucket, Key=original, Body=other.read_bytes())
    site.double.faults.remove(fault)
    seen = await site.service.phase(asset, "Failed", "Completed", seconds=60)
    assert (seen["phase"], seen["conditions"][0]["reason"]) == ("Failed", "SourceChanged")


async def test_a_role_that_may_not_read_is_waited_for_and_said(site: PollerSite) -> None:
    site.double.faults.add("failJob", code=1432, message="Unable to assume role", times=1)
    await site.operator()
    asset = await site.film()
    seen = await site.service.until(
        asset, lambda status: status.get("conditions", [{}])[0].get("reason") == "TranscoderMisconfigured"
    )
    assert (seen["phase"], seen.get("attempts", 0)) == ("Pending", 0)
    site.service.here.advance(301)
    await site.service.phase(asset, "Completed", seconds=60)
    assert len(site.jobs(asset)) == 2, "the first ended with an error, which is not billed"


async def test_a_retry_submits_another_job_with_another_token(site: PollerSite) -> None:
    site.double.faults.add("failJob", code=1999, times=1)
    await site.operator()
    asset = await site.film()
    await site.service.phase(asset, "Failed", seconds=60)
    await site.service.patch(asset, metadata={"annotations": {"media.docfliq.com/retry": "1"}})
    seen = await site.service.phase(asset, "Completed", seconds=60)
    first, second = site.jobs(asset)
    assert first.request["ClientRequestToken"] != second.request["ClientRequestToken"]
    assert seen["video"]["jobId"] == second.identifier


async def test_a_canceled_job_fails_the_video(site: PollerSite) -> None:
    site.double.faults.add("stallJob")
    await site.operator()
    asset = await site.film()
    seen = await site.submitted(asset)
    await site.double.running.cancel(site.double.jobs.get(seen["video"]["jobId"]))
    failed = await site.service.phase(asset, "Failed")
    assert failed["conditions"][0]["reason"] == "TranscodeFailed"
    assert "canceled" in failed["conditions"][0]["message"]


async def test_the_deadline_counts_from_the_beginning_of_the_work(site: PollerSite) -> None:
    site.double.faults.add("stallJob", percent=1)
    await site.operator()
    asset = await site.film()
    await site.service.phase(asset, "Processing")
    site.service.here.advance(1801)
    failed = await site.service.phase(asset, "Failed")
    assert failed["conditions"][0]["reason"] == "DeadlineExceeded"
    (job,) = site.jobs(asset)
    assert job.status == "CANCELED"


async def test_a_deleted_video_has_its_job_canceled_and_all_its_files_purged(site: PollerSite) -> None:
    site.double.faults.add("stallJob", percent=10)
    await site.operator()
    asset = await site.film()
    await site.service.phase(asset, "Processing")
    base = f"processed/video/alice/{asset}/"
    for name in ("hls/master_180p_00001.ts", "hls/master_180p_99999.ts", "video.mp4"):
        site.service.s3.put_object(Bucket=site.service.bucket, Key=base + name, Body=b"half done")
    await site.service.delete(asset)
    await site.service.gone(asset)
    (job,) = site.jobs(asset)
    assert job.status == "CANCELED"
    assert site.service.stored(asset) == []
    assert (await site.service.row_in(asset, "deleted"))["state"] == "deleted"


async def test_a_completed_video_is_purged_whole(site: PollerSite) -> None:
    await site.operator()
    asset = await site.film()
    await site.service.phase(asset, "Completed", seconds=60)
    await site.service.delete_by_ledger(asset)
    await site.service.row_in(asset, "deleted")
    await site.service.gone(asset)
    assert site.service.stored(asset) == []


async def test_without_a_backend_a_video_waits_and_goes_on_once_there_is_one(site: PollerSite) -> None:
    await site.operator(MEDIA_VIDEO_BACKEND="none")
    asset = await site.film()
    seen = await site.service.until(asset, lambda status: status.get("conditions"))
    assert (seen["phase"], seen["conditions"][0]["reason"]) == ("Pending", "NoBackend")
    await site.service.here.stop()
    await site.operator()
    await site.service.phase(asset, "Completed", seconds=60)


async def test_what_was_submitted_is_seen_to_its_end_when_new_videos_go_elsewhere(site: PollerSite) -> None:
    fault = site.double.faults.add("stallJob")
    await site.operator()
    asset = await site.film()
    await site.submitted(asset)
    await site.service.here.stop()
    site.double.faults.remove(fault)
    await site.operator(MEDIA_VIDEO_BACKEND="ffmpeg")
    await site.service.phase(asset, "Completed", seconds=60)
    assert len(site.jobs()) == 1

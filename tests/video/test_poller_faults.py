"""One job is billed per video, whatever fails between the operator and MediaConvert."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_devcluster.mediaconvert.jobs import Status
from media_devcluster.objectstore import S3
from support.backends import PostgresServer
from support.clips import clip
from support.deadlines import eventually
from support.poller_site import PollerSite, poller_site
from support.s3_faults import Call

AFTER_THE_MARGIN = 90
PHOTOGRAPH = Path(__file__).parents[2] / "samples" / "sunset.jpg"


@pytest.fixture
async def site(postgres: PostgresServer, object_store: S3, tmp_path: Path) -> AsyncIterator[PollerSite]:
    async with poller_site(postgres, object_store, tmp_path) as running:
        yield running


def billed(site: PollerSite, asset: str) -> int:
    """Jobs that are paid for: those that are done, or will be."""
    return sum(job.status not in (Status.ERROR, Status.CANCELED) for job in site.jobs(asset))


async def killed_within_create_job(site: PollerSite) -> str:
    """An operator that is killed when its job was taken, and before it has heard of that; the asset's id.

    It does not hear because the answer is lost, and would ask again a second later.
    """
    site.double.faults.add("loseAnswer", operations=["CreateJob"], times=1)
    unlisted = site.double.faults.add("serverError", operations=["ListJobs"])
    operator = await site.service.operator_process(**site.settings)
    asset = await site.film()

    async def taken() -> bool:
        return len(site.jobs(asset)) == 1

    await eventually(taken)
    await operator.kill()
    site.double.faults.remove(unlisted)
    video = (await site.service.status(asset))["video"]
    assert "submitToken" in video
    assert "jobId" not in video
    return asset


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(0, id="at once, when the same token finds it"),
        pytest.param(30, id="half a minute later, when a listing finds it"),
        pytest.param(1000, id="long after the token is forgotten"),
    ],
)
async def test_an_operator_killed_within_create_job_finds_the_job_again(site: PollerSite, later: float) -> None:
    asset = await killed_within_create_job(site)
    site.service.here.clock.advance(later)
    await site.operator(MEDIA_LEASE_NAME="another")
    seen = await site.service.phase(asset, "Completed", "Failed", seconds=60)
    (job,) = site.jobs(asset)
    assert (seen["phase"], seen["video"]["jobId"]) == ("Completed", job.identifier)


async def test_an_operator_killed_before_its_job_was_taken_submits_it_again_only_after_a_clean_listing(
    site: PollerSite,
) -> None:
    site.double.faults.add("close", operations=["CreateJob"])
    operator = await site.service.operator_process(**site.settings)
    asset = await site.film()
    intent = await site.service.until(asset, lambda status: (status.get("video") or {}).get("submitToken"))
    await operator.kill()
    site.double.faults.clear()
    site.double.faults.add("throttle", operations=["ListJobs"])
    site.service.here.clock.advance(AFTER_THE_MARGIN)
    await site.operator(MEDIA_LEASE_NAME="another")
    await site.polled(3)
    assert site.jobs() == [], "a listing that is refused shows nothing"
    site.double.faults.clear()
    seen = await site.service.phase(asset, "Completed", seconds=60)
    assert (len(site.jobs(asset)), seen.get("attempts", 0)) == (1, 0)
    assert seen["video"]["submitToken"] != intent["video"]["submitToken"]


@pytest.mark.parametrize("effect", ["loseAnswer", "close", "serverError"])
async def test_an_answer_that_is_lost_costs_no_second_job(site: PollerSite, effect: str) -> None:
    site.double.faults.add(effect, operations=["CreateJob"], times=2)
    await site.operator()
    asset = await site.film()
    await site.service.phase(asset, "Completed", seconds=60)
    assert len(site.jobs(asset)) == 1


async def test_fifty_submissions_that_are_throttled_are_all_submitted_once_and_none_fails(site: PollerSite) -> None:
    site.double.faults.add("stallJob")
    site.double.faults.add("throttle", operations=["CreateJob", "Probe"], times=8)
    site.double.faults.add("serverError", operations=["Probe"], times=2)
    await site.operator()
    path = await asyncio.to_thread(lambda: clip(site.folder, width=320, height=180, seconds=2.0))
    assets = [await site.upload(path.read_bytes(), owner=f"owner-{number % 5}") for number in range(50)]
    for asset in assets:
        await site.submitted(asset, seconds=100)
    assert {asset: len(site.jobs(asset)) for asset in assets} == dict.fromkeys(assets, 1)
    statuses = [await site.service.status(asset) for asset in assets]
    assert {status["phase"] for status in statuses} <= {"Scheduled", "Processing"}
    assert {status.get("attempts", 0) for status in statuses} == {0}


async def test_a_job_that_the_service_lost_is_submitted_again_once_that_is_certain(site: PollerSite) -> None:
    stall = site.double.faults.add("stallJob", times=1)
    await site.operator()
    asset = await site.film()
    first = (await site.submitted(asset))["video"]["jobId"]
    await site.double.running.lose(site.double.jobs.get(first))
    site.double.faults.remove(stall)
    await site.polled(3)
    assert (await site.service.status(asset))["video"]["jobId"] == first, "not yet"
    site.service.here.advance(AFTER_THE_MARGIN)
    await site.service.until(asset, lambda status: status.get("attempts") == 1)
    site.service.here.advance(30)
    seen = await site.service.phase(asset, "Completed", seconds=60)
    assert (seen["attempts"], billed(site, asset)) == (1, 1)
    assert seen["video"]["jobId"] != first


async def test_a_job_that_is_lost_each_time_fails_the_video_in_the_end(site: PollerSite) -> None:
    site.double.faults.add("loseJob")
    await site.service.pool("video", concurrency=1, prefetch=0, attempts={"limit": 2, "backoffSeconds": 0})
    await site.operator()
    asset = await site.film()
    for attempts in (1, 2):
        await site.submitted(asset)
        await site.polled(2)
        site.service.here.advance(AFTER_THE_MARGIN)
        await site.service.until(asset, lambda status, wanted=attempts: status.get("attempts") == wanted)
    assert (await site.service.phase(asset, "Failed"))["conditions"][0]["reason"] == "AttemptsExhausted"


@pytest.mark.parametrize("status", [403, 503])
async def test_a_head_that_is_refused_is_waited_for_and_no_failure(site: PollerSite, status: int) -> None:
    def heads(call: Call) -> bool:
        return call.method == "HEAD" and "/processed/" in call.key

    site.service.storage.fail(status, heads)
    await site.operator()
    asset = await site.film()
    seen = await site.service.until(
        asset, lambda status: status.get("conditions", [{}])[0].get("reason") == "StorageUnavailable", seconds=60
    )
    assert seen["phase"] in ("Scheduled", "Processing")
    assert seen.get("attempts", 0) == 0
    site.service.storage.heal()
    await site.service.phase(asset, "Completed", seconds=30)
    assert len(site.jobs(asset)) == 1


async def test_an_original_that_cannot_be_looked_at_is_not_submitted_until_it_can(site: PollerSite) -> None:
    site.service.storage.fail(503, lambda call: call.method == "HEAD")
    await site.operator()
    asset = await site.film()
    await site.service.storage.asked(lambda call: call.method == "HEAD", 6)
    assert ((await site.service.status(asset))["phase"], site.jobs()) == ("Pending", [])
    site.service.storage.heal()
    await site.service.phase(asset, "Completed", seconds=60)
    assert len(site.jobs(asset)) == 1


async def test_what_the_service_calls_done_and_is_not_there_counts_as_an_attempt(site: PollerSite) -> None:
    site.double.faults.add("stallJob", times=1)
    await site.operator()
    asset = await site.film()
    seen = await site.submitted(asset)
    job = site.double.jobs.get(seen["video"]["jobId"])
    await site.double.running.settle(job, Status.COMPLETE, 0, "")
    again = await site.service.until(asset, lambda status: status.get("attempts") == 1)
    assert "not whole" in again["conditions"][0]["message"]
    site.service.here.advance(60)
    await site.service.phase(asset, "Completed", seconds=60)


async def test_a_deletion_after_a_crash_cancels_the_job_whose_id_was_never_heard(site: PollerSite) -> None:
    site.double.faults.add("stallJob")
    asset = await killed_within_create_job(site)
    await site.service.delete(asset)
    site.service.here.clock.advance(30)
    await site.operator(MEDIA_LEASE_NAME="another")
    await site.service.gone(asset)
    (job,) = site.jobs(asset)
    assert job.status == Status.CANCELED


async def test_a_service_that_does_not_answer_holds_up_a_deletion_only_so_long(site: PollerSite) -> None:
    site.double.faults.add("stallJob")
    await site.operator()
    asset = await site.film()
    await site.submitted(asset)
    site.double.faults.add("serverError")
    await site.service.delete(asset)
    await site.polled(2)
    assert await site.service.asset(asset) is not None
    site.service.here.advance(301)
    await site.service.gone(asset)


async def test_images_go_on_while_mediaconvert_is_away(site: PollerSite) -> None:
    site.double.faults.add("refuse", status=403)
    await site.operator()
    asset = await site.film()
    seen = await site.service.until(
        asset, lambda status: status.get("conditions", [{}])[0].get("reason") == "TranscoderMisconfigured"
    )
    assert seen["phase"] == "Pending"
    assert "MEDIACONVERT_ROLE_ARN" in seen["conditions"][0]["message"]
    await site.service.pool("default", replicas=1)
    image = await site.service.upload(await asyncio.to_thread(PHOTOGRAPH.read_bytes))
    await site.service.phase(image, "Completed", seconds=60)

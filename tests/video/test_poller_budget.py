"""What five hundred videos in flight cost the service, counted by the double through unmodified boto3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from media_core.asset import MediaAsset
from media_core.listing import Listing, ServiceJob
from media_core.transcoding import Limits, Report, transcode
from media_core.transcoding_status import video_of
from media_devcluster.mediaconvert.jobs import Job, Status
from media_operator.adapters.mediaconvert import MediaConvert
from media_operator.survey import Survey
from support.double_site import ROLE, DoubleSite
from support.transcoder import Site

VIDEOS = 500


@pytest.fixture
async def service(double: DoubleSite) -> AsyncIterator[MediaConvert]:
    connected = MediaConvert(double.mediaconvert, "Default")
    yield connected
    connected.close()


def submitted(double: DoubleSite) -> tuple[list[MediaAsset], list[Job]]:
    """Videos, and their jobs as the double has taken them up."""
    site, assets, jobs = Site(), [], []
    for number in range(VIDEOS):
        site.add(number, submit_token=f"token-{number}", submit_time=datetime.now(UTC))
        asset = site.asset(number)
        metadata = {"assetId": asset.name, "uid": asset.uid, "namespace": "media", "shown": "320x180"}
        request = {"Role": ROLE, "Settings": {}, "UserMetadata": metadata, "ClientRequestToken": f"token-{number}"}
        job, _ = double.double.jobs.submit(request)
        jobs.append(job)
        assets.append(asset)
    return assets, jobs


async def test_five_hundred_in_flight_stay_within_the_calls_of_a_round(
    double: DoubleSite, service: MediaConvert
) -> None:
    assets, jobs = await asyncio.to_thread(submitted, double)
    survey, tasks = Survey(service), len(asyncio.all_tasks())
    now, in_flight = datetime.now(UTC) + timedelta(seconds=5), VIDEOS

    async def look(newly_settled: int) -> Listing:
        nonlocal now
        now += timedelta(seconds=30)
        before = sum(double.double.calls.values())
        listing = await survey.look(assets, now)
        calls = sum(double.double.calls.values()) - before
        assert calls <= 5 + in_flight / 20 + newly_settled / 20
        return listing

    def found(listing: Listing) -> list[ServiceJob]:
        return [job for asset in assets if (job := listing.job_of(asset)) is not None]

    assert len(found(await look(0))) == VIDEOS
    for job in jobs[:300]:
        job.status, job.percent = Status.PROGRESSING, 50
    assert len(found(await look(0))) == VIDEOS
    for start, count in ((0, 30), (30, 1), (31, 120)):
        for job in jobs[start : start + count]:
            job.status = Status.COMPLETE
        in_flight -= count
        listing = await look(count)
        assert sum(job.state.over for job in found(listing)) == start + count
    assert len(asyncio.all_tasks()) <= tasks + 1


async def test_jobs_of_others_in_a_shared_queue_are_passed_over(double: DoubleSite, service: MediaConvert) -> None:
    assets, jobs = await asyncio.to_thread(submitted, double)
    for at in range(60):
        request = {
            "Role": ROLE,
            "Settings": {},
            "UserMetadata": {"application": "somebody-else"},
            "ClientRequestToken": f"foreign-{at}",
        }
        job, _ = double.double.jobs.submit(request)
        job.status = (Status.SUBMITTED, Status.PROGRESSING, Status.COMPLETE)[at % 3]
    jobs[0].status, jobs[0].percent = Status.PROGRESSING, 30
    now = datetime.now(UTC) + timedelta(seconds=30)
    listing = await Survey(service).look(assets, now)
    assert set(listing.jobs) == {asset.uid for asset in assets}
    adopted = transcode(assets, listing, now, Limits())
    assert len(adopted) == VIDEOS
    assert not any(isinstance(step, Report) for step in adopted), "what is adopted is looked at again"
    assert all(video_of(step.asset).job_id is None for step in adopted)

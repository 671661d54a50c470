"""How the jobs of a queue are looked through: how many calls that costs, and when a job is not there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from media_core.asset import MediaAsset, Phase
from media_core.listing import JobState, ServiceJob
from media_core.transcoding_status import video_of
from media_operator.adapters.mediaconvert import MediaConvert, Unanswered
from media_operator.survey import Survey
from support.build import NOW
from support.transcoder import Clock, Service, Site


def submitted(site: Site, count: int, state: JobState = JobState.SUBMITTED) -> list[MediaAsset]:
    """Videos with a job each, a second apart."""
    assets = []
    for number in range(count):
        submit_time = NOW + timedelta(seconds=number)
        site.add(number, submit_token=f"token-{number}", submit_time=submit_time, job_id=f"job-{number}")
        asset = site.asset(number)
        job = ServiceJob(f"job-{number}", asset.name, asset.uid, state, submit_time, (320, 180), f"token-{number}")
        site.service.jobs[job.id] = job
        assets.append(asset)
    site.clock.now = NOW + timedelta(seconds=count)
    return assets


def settle(site: Site, numbers: range, state: JobState) -> None:
    for number in numbers:
        name = f"job-{number}"
        site.service.jobs[name] = replace(site.service.jobs[name], state=state)


async def calls(site: Site, rounds: int = 1) -> int:
    """All calls to the service in so many rounds."""
    before = sum(site.service.calls.values())
    await site.poll(rounds)
    return sum(site.service.calls.values()) - before


async def test_five_hundred_in_flight_cost_a_call_for_twenty_of_them_and_no_task_each() -> None:
    site = Site()
    submitted(site, 500)
    tasks = len(asyncio.all_tasks())
    assert await calls(site) <= 5 + 500 / 20
    settle(site, range(300), JobState.PROGRESSING)
    assert await calls(site) <= 5 + 500 / 20
    in_flight = 500
    for start, count, state in ((0, 40, JobState.ERROR), (40, 1, JobState.ERROR), (41, 100, JobState.CANCELED)):
        settle(site, range(start, start + count), state)
        in_flight -= count
        assert await calls(site) <= 5 + in_flight / 20 + count / 20
    await site.poll(10)
    assert sum(site.status(number).phase is Phase.FAILED for number in range(500)) == 141
    assert len(asyncio.all_tasks()) == tasks


async def test_the_next_leader_proves_what_others_submitted_within_the_bound() -> None:
    site = Site()
    submitted(site, 500, JobState.PROGRESSING)
    await site.poll()
    site.another()
    settle(site, range(60), JobState.COMPLETE)
    for number in range(60):
        site.store.finish(site.asset(number))
    assert await calls(site) <= 5 + 440 / 20 + 60 / 20
    await site.poll(2)
    assert sum(site.status(number).phase is Phase.COMPLETED for number in range(500)) == 60


async def test_a_straggler_deep_among_those_that_are_over_is_found_within_the_bound_of_each_round() -> None:
    site = Site()
    submitted(site, 300)
    settle(site, range(1, 300), JobState.ERROR)
    await site.poll(30)
    assert [n for n in range(300) if not site.status(n).phase.settled] == [0]
    site.service.jobs["job-0"] = replace(site.service.jobs["job-0"], state=JobState.ERROR)
    for _ in range(20):
        assert await calls(site) <= 5
    assert site.status(0).phase is Phase.FAILED


async def test_jobs_of_others_in_the_same_queue_are_passed_over() -> None:
    site = Site()
    submitted(site, 3)
    site.service.foreign = [(state, NOW + timedelta(seconds=at)) for state in JobState for at in range(100)]
    settle(site, range(1), JobState.ERROR)
    await site.poll(12)
    assert [site.status(number).phase.settled for number in range(3)] == [True, False, False]
    assert [site.status(number).attempts for number in range(3)] == [0, 0, 0]
    assert site.service.canceled == []


async def test_pages_that_are_older_than_every_intent_are_not_read() -> None:
    site = Site()
    submitted(site, 1)
    site.service.foreign = [(state, NOW - timedelta(days=1, seconds=at)) for state in JobState for at in range(1000)]
    del site.service.jobs["job-0"]
    assert await calls(site) <= 5


def survey() -> tuple[Site, Survey]:
    site = Site()
    return site, Survey(site.service)


async def test_a_listing_is_complete_once_all_that_is_over_was_looked_through() -> None:
    site, looking = survey()
    (asset,) = submitted(site, 1)
    site.service.jobs.clear()
    site.service.foreign = [(JobState.COMPLETE, NOW + timedelta(seconds=at)) for at in range(200)]
    seen = []
    for _ in range(12):
        site.clock.advance(30)
        seen.append(await looking.look([asset], site.clock.now))
    done = [listing for listing in seen if listing.complete]
    assert done
    assert not seen[0].complete
    assert done[0].taken < seen[seen.index(done[0])].taken + timedelta(seconds=1)
    assert done[0].taken == NOW + timedelta(seconds=31), "it counts from the first of its calls"
    assert done[0].missing_since == {"token-0": NOW + timedelta(seconds=31)}


async def test_a_listing_that_was_cut_short_shows_what_it_found_and_is_not_complete() -> None:
    site, looking = survey()
    assets = submitted(site, 30)
    site.service.troubles["list"] += [Unanswered("500")]
    nothing = await looking.look(assets, site.clock.now)
    assert (nothing.complete, nothing.jobs) == (False, {})
    assert isinstance(looking.trouble, Unanswered)
    del site.service.jobs["job-3"]
    whole = await looking.look(assets, site.clock.now)
    assert (whole.complete, len(whole.jobs), looking.trouble) == (True, 29, None)


async def test_what_is_missing_counts_from_the_first_time_without_a_sight_in_between() -> None:
    site, looking = survey()
    (asset,) = submitted(site, 1)
    job = site.service.jobs.pop("job-0")
    first = await looking.look([asset], NOW)
    assert first.missing_since == {"token-0": NOW}
    site.service.jobs["job-0"] = job
    assert (await looking.look([asset], NOW + timedelta(seconds=30))).missing_since == {}
    del site.service.jobs["job-0"]
    again = await looking.look([asset], NOW + timedelta(seconds=60))
    assert again.missing_since == {"token-0": NOW + timedelta(seconds=60)}


async def test_a_job_that_is_over_is_remembered_until_its_intent_is_another() -> None:
    site, looking = survey()
    (asset,) = submitted(site, 1, JobState.COMPLETE)
    for _ in range(2):
        found = await looking.look([asset], NOW)
        assert found.job_of(asset) is not None
    before = site.service.calls["list"]
    await looking.look([asset], NOW)
    assert site.service.calls["list"] == before
    video = video_of(asset).model_copy(update={"submit_token": "another", "job_id": None})
    assert asset.status is not None
    anew = asset.model_copy(update={"status": asset.status.model_copy(update={"video": video})})
    assert (await looking.look([anew], NOW)).job_of(anew) is None


def test_the_port_has_the_methods_of_the_service() -> None:
    wanted = {name for name in vars(MediaConvert) if not name.startswith("_")} - {"connect", "close"}
    assert wanted <= set(dir(Service(Clock())))

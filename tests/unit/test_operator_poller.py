"""The poller between a service, a store and a cluster of values: what it asks, what it writes, what it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from media_core.asset import Phase
from media_core.listing import JobState
from media_core.reasons import Reason
from media_operator.adapters.mediaconvert import (
    Misconfigured,
    Refused,
    Throttled,
    Unanswered,
    Unreadable,
)
from support.build import an_id
from support.deadlines import eventually
from support.transcoder import VIDEO_KEY, Site, probe_result


@pytest.fixture
def site() -> Site:
    return Site()


# --- the way of a video ----------------------------------------------------------------------------------------------


async def test_a_video_is_submitted_watched_proven_and_completed(site: Site) -> None:
    await site.submitted()
    assert (site.status().phase, site.video().duration_seconds) == (Phase.SCHEDULED, 8)
    await site.poll()
    assert site.status().phase is Phase.SCHEDULED
    site.service.put(state=JobState.PROGRESSING, percent=40, started=site.clock.now)
    await site.poll()
    assert (site.status().phase, site.video().progress_percent) == (Phase.PROCESSING, 40)
    site.service.put(state=JobState.COMPLETE)
    site.store.finish(site.asset())
    await site.poll()
    assert site.status().phase is Phase.COMPLETED
    result = site.status().result
    assert result is not None
    assert {each.name: each.bytes for each in result.variants} == {"180p": 150, "video": 70, "thumbnail": 7}
    assert "thumbnail.jpg" in site.store.keys(site.asset())
    assert "thumbnail.0000000.jpg" not in site.store.keys(site.asset())
    assert site.service.calls["create"] == 1


async def test_nothing_is_asked_where_nothing_is_at_the_service(site: Site) -> None:
    await site.poll(3)
    assert not site.service.calls


async def test_nothing_is_written_where_nothing_changed(site: Site) -> None:
    await site.submitted()
    site.service.put(state=JobState.PROGRESSING, percent=40, started=site.clock.now)
    await site.poll()
    before = site.writing.writes
    await site.poll(5)
    assert site.writing.writes == before


async def test_it_acts_at_once_when_a_video_comes_and_polls_by_itself(site: Site) -> None:
    site.world.film = site.poller.mind
    running = asyncio.create_task(site.poller.run())
    try:
        site.add()

        async def taken() -> bool:
            return site.video().job_id is not None

        await eventually(taken)
        site.service.put(state=JobState.COMPLETE)
        site.store.finish(site.asset())

        async def done() -> bool:
            return site.status().phase is Phase.COMPLETED

        await eventually(done)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_nothing_is_done_before_the_first_list_of_assets(site: Site) -> None:
    site.world.complete = False
    site.add()
    running = asyncio.create_task(site.poller.run())
    await asyncio.sleep(0.2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert not site.service.calls


# --- before the intent -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        pytest.param(lambda s: s.service.troubles["probe"].append(Unreadable("no")), "UnsupportedFormat", id="422"),
        pytest.param(
            lambda s: setattr(s.service, "probed", probe_result(Format="hls")), "UnsupportedFormat", id="a playlist"
        ),
        pytest.param(lambda s: setattr(s.service, "probed", probe_result(Duration=9999.0)), "TooLong", id="too long"),
        pytest.param(lambda s: setattr(s.store, "original", "another"), "SourceChanged", id="other bytes"),
        pytest.param(lambda s: s.store.files.pop(VIDEO_KEY), "SourceMissing", id="no original"),
    ],
)
async def test_what_cannot_be_transcoded_fails_and_is_never_submitted(
    site: Site, prepare: Callable[[Site], object], reason: str
) -> None:
    prepare(site)
    site.add()
    await site.poller.act()
    assert (site.status().phase, site.status().reason) == (Phase.FAILED, reason)
    assert site.service.calls["create"] == 0


@pytest.mark.parametrize("operation", ["probe", "create"])
async def test_a_wrong_configuration_is_said_and_waited_out(site: Site, operation: str) -> None:
    site.service.troubles[operation].append(Misconfigured("not allowed to pass the role"))
    site.add()
    await site.poller.act()
    status = site.status()
    assert (status.phase, status.reason, status.attempts) == (Phase.PENDING, Reason.TRANSCODER_MISCONFIGURED, 0)
    assert "not allowed to pass the role" in (status.message or "")
    assert "MEDIACONVERT_ROLE_ARN" in (status.message or "")
    site.another()
    site.clock.advance(301)
    await site.poller.act()
    assert site.video().job_id is not None


@pytest.mark.parametrize("operation", ["probe", "create"])
async def test_a_request_that_is_refused_counts_as_an_attempt(site: Site, operation: str) -> None:
    site.service.troubles[operation] += [Refused("bad settings")]
    site.add()
    await site.poller.act()
    assert (site.status().attempts, site.status().not_before is None) == (1, False)
    assert "bad settings" in (site.status().message or "")
    assert site.video().submit_token is None


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        pytest.param(
            lambda s: s.service.troubles["probe"].extend([Throttled("7"), Throttled("8")]), "no more", id="throttled"
        ),
        pytest.param(
            lambda s: s.service.troubles["probe"].extend([Unanswered("7"), Unanswered("8")]),
            "MediaConvert does not answer",
            id="not answered",
        ),
        pytest.param(lambda s: s.store.refusing.add("etag"), "Object storage does not answer", id="no storage"),
    ],
)
async def test_a_trouble_that_passes_by_is_said_once_and_it_is_tried_again(
    site: Site, prepare: Callable[[Site], object], told: str
) -> None:
    prepare(site)
    site.add()
    assert await site.poller.act() is False
    assert (site.status().reason, site.video().submit_token) == (Reason.QUEUED, None)
    assert told in (site.status().message or "")
    before = site.writing.writes
    site.clock.advance(10)
    await site.poller.act()
    assert (site.writing.writes, site.service.jobs) == (before, {})
    site.store.refusing.clear()
    site.another()
    await site.poller.act()
    assert site.video().job_id is not None


async def test_videos_that_the_service_cannot_probe_hold_up_no_others(site: Site) -> None:
    for number in range(8):
        site.add(number)
    site.service.troubles["probe"] += [Unanswered("500")] * 4
    assert await site.poller.act() is True
    assert not site.service.jobs
    site.clock.advance(1)
    site.service.troubles["create"] += [Unanswered("500")] * 4
    await site.poller.act()
    intended = {number for number in range(8) if site.video(number).submit_token is not None}
    assert len(intended) == 4, "those that were not tried yet"
    site.clock.advance(2)
    await site.poller.act()
    assert {number for number in range(8) if site.video(number).job_id is not None} == intended, "while young"
    site.clock.advance(2)
    await site.poller.act()
    assert len(site.service.jobs) == 8


# --- between the intent and the id -----------------------------------------------------------------------------------


async def test_an_intent_that_somebody_else_wrote_over_is_not_submitted(site: Site) -> None:
    site.writing.conflicts = 1
    site.add()
    await site.poller.act()
    assert site.service.calls["create"] == 0


async def test_an_answer_that_was_lost_is_asked_for_again_with_the_same_token(site: Site) -> None:
    site.service.lost_answers.append(Unanswered("connection closed"))
    site.add()
    await site.poller.act()
    assert site.video().job_id is None
    site.another()
    await site.poller.act()
    assert (site.video().job_id, len(site.service.jobs)) == ("job-1", 1)


async def test_a_token_the_service_refused_to_take_is_used_again_while_it_is_young_and_then_another(
    site: Site,
) -> None:
    site.service.troubles["create"] += [Throttled("slow down"), Throttled("slow down")]
    site.add()
    await site.poller.act()
    first = site.video().submit_token
    assert first is not None
    assert await site.poller.act() is True, "its turn comes later"
    site.clock.advance(1)
    await site.poller.act()
    assert (site.video().submit_token, site.service.calls["create"]) == (first, 2)
    site.clock.advance(30)
    await site.poller.act()
    assert site.video().job_id is not None
    assert site.video().submit_token != first
    assert (len(site.service.jobs), site.status().attempts) == (1, 0)


async def test_an_intent_that_has_aged_meanwhile_is_submitted_by_nobody(site: Site) -> None:
    site.service.troubles["create"].append(Unanswered("connection closed"))
    site.add()
    await site.poller.act()
    site.another()
    site.service.probe_seconds = 30
    await site.poller.act()
    assert site.service.calls["create"] == 1, "the service may have forgotten its token when this one arrives"
    await site.poll(4)
    assert (len(site.service.jobs), site.status().attempts) == (1, 0)


async def test_a_video_that_is_gone_when_its_job_was_taken_stops_nobody(site: Site) -> None:
    site.add("a")
    site.add("b")
    create = site.service.create

    async def meanwhile(request: dict[str, object]) -> str:
        gone = site.world.assets.get(an_id("a"))
        if gone is not None:
            site.world.assets.lose(gone.name, gone.uid)
        return await create(request)

    site.service.create = meanwhile
    await site.poller.act()
    await site.poll(2)
    assert site.video("b").job_id is not None


async def test_a_job_whose_id_could_not_be_written_is_adopted(site: Site) -> None:
    site.service.lost_answers.append(Unanswered("connection closed"))
    site.add()
    await site.poller.act()
    site.another()
    await site.poll()
    assert (site.video().job_id, len(site.service.jobs)) == ("job-1", 1)


async def test_an_id_is_written_although_somebody_else_wrote_meanwhile(site: Site) -> None:
    site.add()

    create = site.service.create

    async def meanwhile(request: dict[str, object]) -> str:
        site.writing.put(site.asset(), site.status(), annotations={"example.test/note": "1"})
        return await create(request)

    site.service.create = meanwhile
    await site.poller.act()
    assert site.video().job_id == "job-1"


async def test_what_the_service_never_took_is_submitted_again_after_a_clean_listing(site: Site) -> None:
    site.service.troubles["create"].append(Unanswered("connection closed"))
    site.add()
    await site.poller.act()
    first = site.video().submit_token
    site.another()
    site.clock.advance(60)
    site.service.troubles["list"] += [Throttled("slow down")] * 4
    await site.poll(3)
    assert site.service.calls["create"] == 1, "a listing that was refused shows nothing"
    await site.poll(3)
    assert (len(site.service.jobs), site.status().attempts) == (1, 0)
    assert site.video().submit_token != first


# --- at the service --------------------------------------------------------------------------------------------------


async def test_a_job_that_is_lost_is_submitted_again_once_that_is_certain(site: Site) -> None:
    job_id = await site.submitted()
    del site.service.jobs[job_id]
    await site.poll(2)
    assert site.status().attempts == 0
    await site.poll(3)
    assert site.status().attempts == 1
    await site.poll(2)
    assert (len(site.service.jobs), site.video().job_id) == (1, "job-2")


async def test_a_store_that_refuses_is_waited_for(site: Site) -> None:
    await site.submitted()
    site.service.put(state=JobState.COMPLETE)
    site.store.finish(site.asset())
    site.store.refusing.add("size")
    await site.poll()
    told = site.status()
    assert (told.phase.settled, told.reason, told.attempts) == (False, Reason.STORAGE_UNAVAILABLE, 0)
    before = site.writing.writes
    await site.poll(3)
    assert site.writing.writes == before, "it is said once"
    listed = site.service.calls["list"]
    await site.poll()
    assert site.service.calls["list"] == listed, "a job that is over is not looked for again"
    site.store.refusing.clear()
    await site.poll()
    assert site.status().phase is Phase.COMPLETED


@pytest.mark.parametrize("missing", ["hls/master.m3u8", "hls/master_180p_00002.ts", "video.mp4"])
async def test_what_is_not_whole_counts_as_an_attempt(site: Site, missing: str) -> None:
    await site.submitted()
    site.service.put(state=JobState.COMPLETE)
    site.store.finish(site.asset())
    del site.store.files[f"processed/video/user-1/{site.asset().name}/{missing}"]
    await site.poll()
    assert (site.status().attempts, site.status().reason) == (1, Reason.TRANSCODE_FAILED)
    await site.poll(2)
    assert len(site.service.jobs) == 2


async def test_a_proof_cut_short_after_the_thumbnail_is_made_again(site: Site) -> None:
    await site.submitted()
    site.service.put(state=JobState.COMPLETE)
    site.store.finish(site.asset())
    base = f"processed/video/user-1/{site.asset().name}/"
    site.store.files[base + "thumbnail.jpg"] = site.store.files.pop(base + "thumbnail.0000000.jpg")
    await site.poll()
    assert site.status().phase is Phase.COMPLETED


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        pytest.param(lambda s: setattr(s.store, "original", "another"), Reason.SOURCE_CHANGED, id="was replaced"),
        pytest.param(lambda s: s.store.files.pop(VIDEO_KEY), Reason.SOURCE_MISSING, id="was deleted"),
    ],
)
async def test_a_film_whose_original_was_replaced_or_deleted_meanwhile_fails(
    site: Site, prepare: Callable[[Site], object], reason: Reason
) -> None:
    await site.submitted()
    site.service.put(state=JobState.COMPLETE)
    site.store.finish(site.asset())
    prepare(site)
    await site.poll()
    assert (site.status().phase, site.status().reason) == (Phase.FAILED, reason)


async def test_the_next_leader_proves_what_it_has_never_probed(site: Site) -> None:
    await site.submitted()
    site.service.put(state=JobState.COMPLETE)
    site.store.finish(site.asset())
    site.another()
    await site.poll()
    assert (site.status().phase, site.service.calls["probe"]) == (Phase.COMPLETED, 1)


async def test_an_intent_of_another_leader_is_kept_though_the_original_cannot_be_probed(site: Site) -> None:
    site.service.lost_answers.append(Unanswered("connection closed"))
    site.add()
    await site.poller.act()
    site.another()
    site.service.troubles["probe"].append(Unreadable("no film"))
    await site.poller.act()
    assert not site.status().phase.settled
    await site.poll()
    assert (site.video().job_id, len(site.service.jobs)) == ("job-1", 1)


async def test_a_job_that_takes_too_long_is_canceled_before_the_video_fails(site: Site) -> None:
    job_id = await site.submitted()
    site.service.put(state=JobState.PROGRESSING, started=site.clock.now)
    await site.poll()
    site.service.troubles["cancel"].append(Unanswered("500"))
    await site.poll(seconds=1800)
    assert site.status().phase is Phase.PROCESSING, "as long as the service has not heard of it"
    await site.poll()
    assert (site.status().reason, site.service.canceled) == (Reason.DEADLINE_EXCEEDED, [job_id])


async def test_a_deleted_video_has_its_job_canceled(site: Site) -> None:
    job_id = await site.submitted()
    site.service.troubles["cancel"].append(Unanswered("500"))
    site.writing.put(site.asset(), site.status(), deletion_timestamp=site.clock.now)
    await site.poller.act()
    await site.poller.act()
    assert site.service.calls["cancel"] == 1, "the next try follows the next listing"
    await site.poll()
    assert site.service.canceled == [job_id]
    assert site.video().job_id == job_id, "it may still be writing"
    await site.poll()
    assert site.service.canceled == [job_id]
    assert site.video().submit_token is None


async def test_a_job_that_reappears_is_canceled_and_the_video_is_left_as_it_is(site: Site) -> None:
    await site.submitted()
    known = site.service.jobs["job-1"]
    stray = type(known)(**{**_fields(known), "id": "job-0", "token": "earlier"})
    site.service.jobs["job-0"] = stray
    before = site.status()
    await site.poll()
    assert (site.service.canceled, site.status()) == (["job-0"], before)


def _fields(job: object) -> dict[str, object]:
    return {name: getattr(job, name) for name in job.__slots__}  # type: ignore[attr-defined]


async def test_a_surprise_with_one_video_does_not_stop_the_others(site: Site) -> None:
    site.service.troubles["probe"].append(RuntimeError("surprise"))
    for name in ("a", "b", "c"):
        site.add(name)
    await site.poller.act()
    assert sum(site.video(name).job_id is not None for name in ("a", "b", "c")) == 2

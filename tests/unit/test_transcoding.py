"""What is done about the videos at MediaConvert: tables of single decisions, and a service with hours of bad luck."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_core.asset import AssetStatus, AssetType, MediaAsset, Phase, Result, VideoBackend, VideoStatus
from media_core.conditions import Truth
from media_core.listing import JobState, Listing, ServiceJob
from media_core.pool import Attempts
from media_core.reasons import Reason
from media_core.transcoding import (
    INTENTS_AT_ONCE,
    MISCONFIGURED_WAIT,
    SAFETY_MARGIN,
    SUBMIT_WITHIN,
    Adopt,
    Cancel,
    Fail,
    Limits,
    Prove,
    Report,
    Step,
    Submit,
    TakeBack,
    WriteIntent,
    transcode,
)
from media_core.transcoding_status import (
    accepted,
    completed,
    intended,
    progressing,
    status_of,
    taken_back,
    token,
    video_of,
)
from support.build import NOW, a_status, ago, an_asset, an_id, in_

MEDIACONVERT = VideoBackend.MEDIACONVERT
LIMITS = Limits()
TOKEN = "the-token"
JOB_ID = "1700000000000-abc123"
MARGIN = SAFETY_MARGIN.total_seconds()


def queued(
    name: str | int = "a", *, deleted: datetime | None = None, owner: str = "user-1", **status: Any
) -> MediaAsset:
    """A video that waits to be submitted."""
    told = a_status(Reason.QUEUED, **{"video": VideoStatus(backend=MEDIACONVERT), **status})
    return an_asset(name, told, asset_type=AssetType.VIDEO, owner=owner, deleted=deleted)


def meant(age: float = 5, *, deleted: datetime | None = None, **status: Any) -> MediaAsset:
    """A video whose intent is so old."""
    video = VideoStatus(backend=MEDIACONVERT, submit_token=TOKEN, submit_time=ago(age))
    return queued(deleted=deleted, **{"video": video, "binding": 1, **status})


def changed(asset: MediaAsset, status: AssetStatus, **fields: Any) -> MediaAsset:
    return asset.model_copy(update={"status": status.model_copy(update=fields)})


def at_service(age: float = 300, *, deleted: datetime | None = None, **status: Any) -> MediaAsset:
    """A video whose job the service has taken."""
    asset = meant(age, deleted=deleted)
    return changed(asset, accepted(asset, JOB_ID, ago(60)), **status)


def begun(*, deleted: datetime | None = None, **status: Any) -> MediaAsset:
    """A video the service was seen at work on."""
    asset = at_service(deleted=deleted)
    job = a_job(JobState.PROGRESSING, percent=30, started=ago(60))
    return changed(asset, progressing(asset, job, ago(60)), **status)


def a_job(state: JobState = JobState.SUBMITTED, **fields: Any) -> ServiceJob:
    known = {
        "id": JOB_ID,
        "asset_id": an_id("a"),
        "uid": an_id("uid of a"),
        "token": TOKEN,
        "created": ago(300),
        "shown": (1920, 1080),
    }
    return ServiceJob(**{**known, "state": state, **fields})


def listing(*jobs: ServiceJob, taken: datetime = NOW, complete: bool = True, missing: float | None = None) -> Listing:
    """A listing; `missing`: for how many seconds the job of TOKEN has not been found."""
    by_uid: dict[str, list[ServiceJob]] = {}
    for job in jobs:
        by_uid.setdefault(job.uid, []).append(job)
    return Listing(taken, complete, by_uid, {} if missing is None else {TOKEN: ago(missing)})


def steps(asset: MediaAsset, seen: Listing | None = None, **fields: Any) -> tuple[Step, ...]:
    return transcode([asset], seen, NOW, fields.pop("limits", LIMITS), **fields)


def step(asset: MediaAsset, seen: Listing | None = None, **fields: Any) -> Step | None:
    """The only step, or None."""
    found = steps(asset, seen, **fields)
    assert len(found) <= 1
    return found[0] if found else None


# --- whose videos ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asset",
    [
        pytest.param(an_asset("a"), id="what has no status"),
        pytest.param(an_asset("a", a_status()), id="an image"),
        pytest.param(queued(video=None), id="a video without a backend"),
        pytest.param(queued(video=VideoStatus(backend=VideoBackend.FFMPEG)), id="a video of the other backend"),
        pytest.param(at_service(phase=Phase.FAILED), id="a video that failed"),
        pytest.param(at_service(phase=Phase.COMPLETED), id="a video that is completed"),
        pytest.param(queued(not_before=in_(1)), id="a video that backs off"),
        pytest.param(queued(deleted=NOW), id="a video that is deleted before it was submitted"),
    ],
)
def test_there_is_nothing_to_do_about(asset: MediaAsset) -> None:
    assert steps(asset, listing(a_job(JobState.COMPLETE))) == ()


def test_a_video_that_is_due_gets_an_intent() -> None:
    assert step(queued()) == WriteIntent(queued())
    assert step(queued(not_before=ago(0))) == WriteIntent(queued(not_before=ago(0)))


def test_an_intent_has_a_token_of_its_own_and_the_time() -> None:
    asset = queued(binding=4, not_before=ago(3))
    status = intended(asset, 12.6, NOW)
    video = status.video
    assert video is not None
    assert (video.submit_token, video.submit_time) == (token(asset.uid, 5), NOW)
    assert (video.duration_seconds, video.job_id, status.binding, status.not_before) == (13, None, 5, None)
    again = taken_back(asset.model_copy(update={"status": status}), Reason.RELEASED, "Lost.", NOW)
    then = intended(asset.model_copy(update={"status": again}), 12.6, NOW)
    assert then.video is not None
    assert then.video.submit_token != video.submit_token
    assert len(token(asset.uid, 5)) <= 64


def test_submissions_come_last_open_intents_first_and_owners_in_turn() -> None:
    many = [queued(f"m{number}", owner="many", binding=number) for number in range(3)]
    one = queued("one", owner="one")
    found = transcode([*many, one, meant(), begun()], listing(a_job(JobState.COMPLETE)), NOW, LIMITS)
    assert isinstance(found[0], Adopt)
    assert isinstance(found[1], Prove)
    submitted = [each.asset.spec.owner for each in found[2:]]
    assert submitted[:2] in (["many", "one"], ["one", "many"])
    assert submitted[2:] == ["many", "many"]
    assert isinstance(transcode([queued(), meant()], None, NOW, LIMITS)[0], Submit)


def test_only_so_many_intents_are_decided_on_in_one_go() -> None:
    assert len(transcode([queued(number) for number in range(100)], None, NOW, LIMITS)) == INTENTS_AT_ONCE


# --- an intent without a job -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "seen", "expected"),
    [
        pytest.param(0, None, Submit, id="a young intent is submitted"),
        pytest.param(SUBMIT_WITHIN.total_seconds(), None, Submit, id="up to its limit"),
        pytest.param(SUBMIT_WITHIN.total_seconds() + 1, None, None, id="an older one waits for a listing"),
        pytest.param(-3600, None, None, id="so does one of a clock that was ahead"),
        pytest.param(MARGIN, listing(), TakeBack, id="a clean listing that is younger by the margin shows none"),
        pytest.param(MARGIN - 1, listing(), None, id="a listing that is too young shows nothing"),
        pytest.param(999, listing(taken=ago(950)), None, id="neither does one from before the margin"),
        pytest.param(999, listing(complete=False), None, id="neither does one that is not complete"),
        pytest.param(999, None, None, id="neither does none"),
        pytest.param(999, listing(taken=ago(60), missing=59), None, id="nor one that was begun before it was missing"),
        pytest.param(30, listing(a_job(created=ago(29))), Adopt, id="its job is adopted as soon as it is found"),
        pytest.param(5, listing(a_job(created=ago(4))), Adopt, id="also where the intent is young"),
        pytest.param(999, listing(a_job(JobState.COMPLETE)), Adopt, id="also where the job is over"),
        pytest.param(30, listing(a_job(token=None, created=ago(29))), Adopt, id="by its age where it has no token"),
        pytest.param(30, listing(a_job(token=None, created=ago(91))), Cancel, id="a job too old to be its own goes"),
        pytest.param(30, listing(a_job(token="old", created=ago(99))), Cancel, id="so does one with another token"),
        pytest.param(
            30, listing(a_job(JobState.ERROR, token="old")), None, id="that an earlier job is over is of no interest"
        ),
        pytest.param(
            30, listing(a_job(asset_id="other")), None, id="a job with another asset's id is somebody else's"
        ),
    ],
)
def test_an_intent_finds_its_job_or_there_is_none(age: float, seen: Listing | None, expected: type | None) -> None:
    assert type(step(meant(age), seen)) is (expected or type(None))


def test_an_intent_that_certainly_has_no_job_waits_for_no_listing() -> None:
    young, old = meant(5), meant(50)
    assert step(young, unheard={TOKEN}) == Submit(young)
    assert step(old, unheard={TOKEN}) == WriteIntent(old)
    assert step(old, unheard={"another"}) is None


def test_an_adopted_job_is_the_assets_own() -> None:
    found = step(meant(30), listing(a_job()))
    assert isinstance(found, Adopt)
    assert (video_of_status(found.status).job_id, found.status.phase) == (JOB_ID, Phase.SCHEDULED)
    assert found.status.reason == Reason.SUBMITTED


def test_what_never_came_to_be_is_submitted_again_without_a_charge() -> None:
    found = step(meant(MARGIN, attempts=1), listing())
    assert isinstance(found, TakeBack)
    assert (found.status.attempts, found.status.phase, found.status.not_before) == (1, Phase.PENDING, None)
    assert video_of_status(found.status).submit_token is None


def video_of_status(status: AssetStatus) -> VideoStatus:
    assert status.video is not None
    return status.video


# --- a job -----------------------------------------------------------------------------------------------------------


def test_a_job_in_the_queue_is_left_there_however_long() -> None:
    assert step(at_service(100_000), listing(a_job())) is None
    assert step(begun(), listing(a_job())) is None, "also where the service puts it back there"


@pytest.mark.parametrize(
    ("asset", "state", "reason"),
    [
        pytest.param(at_service(), JobState.SUBMITTED, Reason.SUBMITTED, id="in the queue"),
        pytest.param(begun(), JobState.PROGRESSING, Reason.TRANSCODING, id="at work"),
    ],
)
def test_what_was_told_of_a_trouble_is_taken_back_once_the_job_is_seen(
    asset: MediaAsset, state: JobState, reason: Reason
) -> None:
    troubled = changed(asset, status_of(asset).because(Truth.UNKNOWN, Reason.NO_BACKEND, "Not configured.", NOW))
    found = step(troubled, listing(a_job(state, percent=30)))
    assert isinstance(found, Report)
    assert found.status.reason == reason


def test_a_job_that_begins_is_reported_with_the_services_time() -> None:
    found = step(at_service(), listing(a_job(JobState.PROGRESSING, percent=7, started=ago(20))))
    assert isinstance(found, Report)
    assert (found.status.phase, found.status.start_time) == (Phase.PROCESSING, ago(20))
    assert (video_of_status(found.status).progress_percent, found.status.reason) == (7, Reason.TRANSCODING)


@pytest.mark.parametrize(
    ("percent", "told"),
    [
        pytest.param(31, 31, id="more is told"),
        pytest.param(30, None, id="the same is not"),
        pytest.param(12, None, id="nor less, when the service begins again"),
        pytest.param(None, None, id="nor nothing"),
        pytest.param(120, 100, id="never more than all"),
    ],
)
def test_progress_is_told_when_it_changes(percent: int | None, told: int | None) -> None:
    found = step(begun(), listing(a_job(JobState.PROGRESSING, percent=percent, started=ago(60))))
    if told is None:
        assert found is None
    else:
        assert isinstance(found, Report)
        assert video_of_status(found.status).progress_percent == told


def test_a_job_that_takes_too_long_is_canceled_and_has_failed() -> None:
    late = begun(start_time=ago(1800))
    found = step(late, listing(a_job(JobState.PROGRESSING, percent=31)))
    assert isinstance(found, Cancel)
    assert found.status is not None
    assert (found.job_id, found.status.phase, found.status.reason) == (JOB_ID, Phase.FAILED, "DeadlineExceeded")
    assert "1800 s" in (found.status.message or "")
    canceled = step(late, listing(a_job(JobState.CANCELED)))
    assert isinstance(canceled, Fail)
    assert canceled.status.reason == Reason.DEADLINE_EXCEEDED, "also where we died between the two"


def test_a_job_that_somebody_canceled_has_failed() -> None:
    found = step(begun(), listing(a_job(JobState.CANCELED)))
    assert isinstance(found, Fail)
    assert (found.status.reason, found.status.completion_time) == (Reason.TRANSCODE_FAILED, NOW)


def test_a_job_that_is_done_is_proven_before_it_is_believed() -> None:
    done = a_job(JobState.COMPLETE)
    assert step(begun(), listing(done)) == Prove(begun(), done)
    result = Result(width=640, height=360)
    status = completed(begun(), done, result, NOW)
    assert (status.phase, status.result, status.completion_time) == (Phase.COMPLETED, result, NOW)
    assert (video_of_status(status).progress_percent, status.start_time) == (100, ago(60))
    assert status.succeeded is not None
    assert status.succeeded.status is Truth.TRUE


@pytest.mark.parametrize(
    ("code", "message", "reason"),
    [
        pytest.param(1030, "corrupt", Reason.UNDECODABLE, id="what cannot be decoded fails"),
        pytest.param(1999, "", Reason.TRANSCODE_FAILED, id="what nobody can explain fails"),
    ],
)
def test_an_error_fails_with_its_reason(code: int, message: str, reason: Reason) -> None:
    found = step(begun(), listing(a_job(JobState.ERROR, error_code=code, error_message=message)))
    assert isinstance(found, Fail)
    assert (found.status.phase, found.status.reason) == (Phase.FAILED, reason)


def test_an_error_of_the_configuration_is_waited_out() -> None:
    wrong = a_job(JobState.ERROR, error_code=1432, error_message="Unable to assume role")
    found = step(begun(attempts=2), listing(wrong))
    assert isinstance(found, TakeBack)
    assert (found.status.reason, found.status.attempts) == (Reason.TRANSCODER_MISCONFIGURED, 2)
    assert found.status.not_before == NOW + MISCONFIGURED_WAIT


@pytest.mark.parametrize(
    ("seen", "gone"),
    [
        pytest.param(listing(missing=MARGIN), True, id="missing for the margin, in a complete listing"),
        pytest.param(listing(missing=MARGIN - 1), False, id="missing for less"),
        pytest.param(listing(), False, id="missing for the first time"),
        pytest.param(listing(missing=999, complete=False), False, id="missing in half a listing"),
        pytest.param(None, False, id="not looked for"),
    ],
)
def test_a_job_is_lost_only_when_that_is_certain(seen: Listing | None, gone: bool) -> None:
    found = step(at_service(), seen)
    assert isinstance(found, TakeBack) is gone
    assert (found is not None) is gone


def test_a_lost_job_counts_as_an_attempt_and_backs_off() -> None:
    found = step(at_service(), listing(missing=999))
    assert isinstance(found, TakeBack)
    assert (found.status.attempts, found.status.not_before) == (1, in_(10))
    assert "Attempt 1 of 3" in (found.status.message or "")
    last = step(at_service(attempts=1), listing(missing=999), limits=Limits(Attempts(limit=2)))
    assert isinstance(last, Fail)
    assert (last.status.reason, last.status.attempts) == (Reason.ATTEMPTS_EXHAUSTED, 2)


def test_a_job_that_was_taken_for_lost_and_reappears_is_canceled() -> None:
    reappeared = a_job(JobState.PROGRESSING, id="earlier", token="earlier", created=ago(900))
    found = steps(begun(), listing(reappeared, a_job(JobState.PROGRESSING, percent=30)))
    assert found == (Cancel(begun(), "earlier", None),)


# --- deletion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asset", "seen", "expected"),
    [
        pytest.param(at_service(deleted=NOW), None, Cancel, id="its job is canceled at once"),
        pytest.param(begun(deleted=NOW), listing(a_job(JobState.PROGRESSING)), Cancel, id="also while it is at work"),
        pytest.param(begun(deleted=NOW), listing(a_job(JobState.COMPLETE)), TakeBack, id="one that is over is not"),
        pytest.param(begun(deleted=NOW), listing(a_job(JobState.CANCELED)), TakeBack, id="once it was, it is let go"),
        pytest.param(begun(deleted=NOW), listing(missing=MARGIN), TakeBack, id="also where it is lost"),
        pytest.param(meant(30, deleted=NOW), listing(a_job(created=ago(30))), Cancel, id="it is found for that"),
        pytest.param(meant(5, deleted=NOW), None, None, id="it is not submitted any more"),
        pytest.param(meant(999, deleted=NOW), None, None, id="a listing is waited for"),
        pytest.param(meant(999, deleted=NOW), listing(), TakeBack, id="there is none"),
    ],
)
def test_a_deleted_video_lets_go_of_its_job(asset: MediaAsset, seen: Listing | None, expected: type | None) -> None:
    found = step(asset, seen)
    assert type(found) is (expected or type(None))
    if isinstance(found, Cancel):
        assert (found.job_id, found.status) == (JOB_ID, None), "until it is seen to be over"
    if isinstance(found, TakeBack):
        assert (video_of_status(found.status).submit_token, found.status.reason) == (None, Reason.DELETED)


def test_a_deleted_video_that_certainly_has_no_job_lets_go_at_once() -> None:
    assert isinstance(step(meant(5, deleted=NOW), unheard={TOKEN}), TakeBack)


def test_a_video_of_no_age_or_status_is_still_a_value() -> None:
    assert video_of(an_asset("a")) == VideoStatus()
    assert status_of(an_asset("a")) == AssetStatus()
    newborn = queued().model_copy(
        update={"metadata": queued().metadata.model_copy(update={"creation_timestamp": None})}
    )
    assert step(newborn) == WriteIntent(newborn)


def test_an_intent_of_unknown_age_is_kept_until_somebody_finds_its_job() -> None:
    timeless = meant(video=VideoStatus(backend=MEDIACONVERT, submit_token=TOKEN))
    assert step(timeless, listing()) is None
    assert isinstance(step(timeless, listing(a_job(token=None))), Adopt)


# --- hours of bad luck -----------------------------------------------------------------------------------------------


@dataclass
class Service:
    """MediaConvert: knows a token for a minute, carries jobs on, and loses some."""

    random: Random
    jobs: list[ServiceJob] = field(default_factory=list)
    lost: list[ServiceJob] = field(default_factory=list)

    def create(self, asset: MediaAsset, now: datetime) -> str:
        wanted = video_of(asset).submit_token
        for job in self.jobs:
            if job.token == wanted and now - job.created < timedelta(minutes=1):
                return job.id
        job = ServiceJob(
            id=f"job-{len(self.jobs) + len(self.lost)}",
            asset_id=asset.name,
            uid=asset.uid,
            state=JobState.SUBMITTED,
            created=now,
            shown=(1920, 1080),
            token=wanted,
        )
        self.jobs.append(job)
        return job.id

    def cancel(self, job_id: str) -> None:
        canceled = (job for job in self.jobs if job.id == job_id and not job.state.over)
        for job in list(canceled):
            self.jobs[self.jobs.index(job)] = replace(job, state=JobState.CANCELED)

    def go_on(self, now: datetime, losing: float) -> None:
        for job in list(self.jobs):
            if job.state.over or self.random.random() > 0.2:
                continue
            if self.random.random() < losing:
                self.lost.append(job)
                self.jobs.remove(job)
            elif job.state is JobState.SUBMITTED:
                self.jobs[self.jobs.index(job)] = replace(job, state=JobState.PROGRESSING, started=now)
            else:
                self.jobs[self.jobs.index(job)] = replace(job, state=JobState.COMPLETE)


class Model:
    """An operator that dies at any moment, a service that answers badly, and time that passes between."""

    def __init__(self, seed: int, videos: int, trouble: float, losing: float) -> None:
        self.random = Random(seed)
        self.service = Service(self.random)
        self.assets = {asset.name: asset for asset in (queued(number) for number in range(videos))}
        self.now, self.trouble, self.losing = NOW, trouble, losing
        self.late: list[tuple[datetime, MediaAsset]] = []
        """CreateJobs of operators that died, still on their way."""
        self.missing: dict[str, datetime] = {}
        self.listing: Listing | None = None
        self.unheard: set[str] = set()

    def bad(self) -> bool:
        return self.random.random() < self.trouble

    def run(self, rounds: int) -> None:
        for _ in range(rounds):
            self.now += timedelta(seconds=self.random.randint(1, 30))
            for due, asset in [each for each in self.late if each[0] <= self.now]:
                self.late.remove((due, asset))
                self.service.create(asset, due)
            self.service.go_on(self.now, self.losing)
            if self.bad():
                self.unheard.clear()
                self.missing.clear()
                self.listing = None
            self.look()
            for each in transcode(
                self.assets.values(), self.listing, self.now, Limits(Attempts(limit=1000)), unheard=self.unheard
            ):
                self.do(each)
            self.check()

    def look(self) -> None:
        if self.bad():
            self.listing = Listing(self.now, False, self.listing.jobs if self.listing else {}, dict(self.missing))
            return
        by_uid: dict[str, list[ServiceJob]] = {}
        for job in self.service.jobs:
            by_uid.setdefault(job.uid, []).append(job)
        found = {job.token for job in self.service.jobs}
        tokens = [video_of(asset).submit_token for asset in self.assets.values()]
        self.missing = {each: self.missing.get(each, self.now) for each in tokens if each and each not in found}
        self.listing = Listing(self.now, True, by_uid, dict(self.missing))

    def do(self, each: Step) -> None:
        asset = each.asset
        match each:
            case WriteIntent():
                asset = self.write(asset, intended(asset, 1.0, self.now))
                self.unheard.add(video_of(asset).submit_token or "")
                if not self.bad():
                    self.submit(asset)
            case Submit():
                self.submit(asset)
            case Prove(_, job):
                if not self.bad():
                    self.write(asset, completed(asset, job, Result(width=2, height=2), self.now))
            case Cancel(_, job_id, status):
                self.service.cancel(job_id)
                if status is not None:
                    self.write(asset, status)
            case Adopt(_, _, status) | Report(_, status) | Fail(_, status) | TakeBack(_, status):
                if not self.bad():
                    self.write(asset, status)

    def submit(self, asset: MediaAsset) -> None:
        """CreateJob: refused, lost on its way, late, or its answer lost; or as it should be."""
        wanted = video_of(asset).submit_token or ""
        certain = wanted in self.unheard
        self.unheard.discard(wanted)
        if self.bad():
            if certain:
                self.unheard.add(wanted)
            return
        if self.bad():
            self.late.append((self.now + timedelta(seconds=self.random.randint(1, 25)), asset))
            return
        job_id = self.service.create(asset, self.now)
        if not self.bad():
            self.write(asset, accepted(asset, job_id, self.now))

    def write(self, asset: MediaAsset, status: AssetStatus) -> MediaAsset:
        self.assets[asset.name] = asset.model_copy(update={"status": status})
        return self.assets[asset.name]

    def check(self) -> None:
        paid: dict[str, int] = {}
        for job in self.service.jobs:
            if job.state is not JobState.CANCELED:
                paid[job.uid] = paid.get(job.uid, 0) + 1
        assert all(count == 1 for count in paid.values()), "one job is paid for per video"

    def settled(self) -> Iterable[bool]:
        return (status_of(asset).phase is Phase.COMPLETED for asset in self.assets.values())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 6), st.floats(0, 0.5), st.floats(0, 0.4))
def test_one_job_is_paid_for_per_video_whatever_happens(seed: int, videos: int, trouble: float, losing: float) -> None:
    Model(seed, videos, trouble, losing).run(80)


@pytest.mark.parametrize("seed", range(5))
def test_every_video_is_done_in_the_end(seed: int) -> None:
    model = Model(seed, 4, 0.3, 0.2)
    model.run(100)
    model.trouble = model.losing = 0.0
    model.run(300)
    assert all(model.settled())

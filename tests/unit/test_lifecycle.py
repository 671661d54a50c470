from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from media_core.asset import (
    AssetStatus,
    AssetType,
    DeletionPolicy,
    MediaAsset,
    Phase,
    VideoBackend,
    VideoStatus,
)
from media_core.conditions import ConditionType, Truth, find
from media_core.jobs import Outcome
from media_core.lifecycle import decide
from media_core.observed import JobSight, RowSight
from media_core.plan import (
    AddFinalizer,
    Admit,
    DeleteObject,
    DropRetryAnnotation,
    Expire,
    LookAgain,
    Nothing,
    Plan,
    Purge,
    WriteStatus,
)
from media_core.pool import Attempts
from media_core.reasons import CHARGED, Reason
from media_core.statuses import bound, released
from support.build import (
    JOB,
    NOW,
    a_source,
    a_status,
    ago,
    an_asset,
    an_id,
    completed,
    failed,
    given_back,
    in_,
    observed,
    processing,
    scheduled,
)

AT_WORK = JobSight(None)
ALONE_AT_WORK = JobSight(None, an_id("a"))
ENDED = tuple(Outcome)
BLAMELESS = tuple(outcome for outcome in Outcome if outcome is not Outcome.CRASHED)
UNCHARGED = (Reason.STORAGE_UNAVAILABLE, Reason.INTERNAL_ERROR)


def written(plan: Plan) -> AssetStatus:
    """The status that the plan writes."""
    assert isinstance(plan, WriteStatus)
    return plan.status


def admitted(plan: Plan) -> AssetStatus:
    """The status that the plan takes as given."""
    assert isinstance(plan, Admit)
    return plan.status


def after(asset: MediaAsset, **fields: Any) -> AssetStatus:
    return written(decide(observed(asset, **fields)))


def over(outcome: Outcome, *, isolated_for: str | None = None) -> JobSight:
    return JobSight(outcome, isolated_for, "Told by the Job.")


def assert_waits_again(
    status: AssetStatus, before: AssetStatus, *, attempts: int, not_before: datetime | None
) -> None:
    """Nobody's hand is on it, and every earlier writer is refused."""
    assert (status.phase, status.assigned_job, status.start_time) == (Phase.PENDING, None, None)
    assert status.binding == before.binding + 1
    assert status.attempts == attempts
    assert status.not_before == not_before
    assert status.succeeded is not None
    assert status.succeeded.status is Truth.UNKNOWN


# --- new, restored ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "phase", "truth", "reason"),
    [
        pytest.param(AssetType.IMAGE, Phase.PENDING, Truth.UNKNOWN, Reason.QUEUED, id="an image waits for a worker"),
        pytest.param(AssetType.PDF, Phase.COMPLETED, Truth.TRUE, Reason.COMPLETED, id="a document is done at once"),
        pytest.param(AssetType.SCORM, Phase.COMPLETED, Truth.TRUE, Reason.COMPLETED, id="a package is done at once"),
        pytest.param(
            AssetType.VIDEO, Phase.PENDING, Truth.UNKNOWN, Reason.NO_BACKEND, id="a video has no backend yet"
        ),
    ],
)
def test_a_new_object_gets_its_first_status(kind: AssetType, phase: Phase, truth: Truth, reason: Reason) -> None:
    plan = decide(observed(an_asset(asset_type=kind)))
    status = admitted(plan) if kind is AssetType.IMAGE else written(plan)
    assert (status.phase, status.reason, status.observed_generation) == (phase, reason, 1)
    assert (status.completion_time is not None) == phase.settled
    assert status.succeeded is not None
    assert (status.succeeded.status, status.succeeded.observed_generation) == (truth, 1)
    assert status.message


@pytest.mark.parametrize(
    ("source", "says"),
    [
        pytest.param({"bucket": "elsewhere"}, "bucket elsewhere", id="another bucket"),
        pytest.param(
            {"key": "uploads/image/../secret.jpg"}, "key uploads/image/../secret.jpg", id="a key that climbs"
        ),
        pytest.param({"key": f"processed/image/u/{an_id(1)}/large.webp"}, "not one", id="the key of a rendition"),
    ],
)
def test_an_original_that_is_not_ours_fails_at_once(source: dict[str, str], says: str) -> None:
    status = after(an_asset(source=a_source(**source)))
    assert (status.phase, status.reason, status.completion_time) == (Phase.FAILED, Reason.FOREIGN_SOURCE, NOW)
    assert says in (status.message or "")


@pytest.mark.failure("F17")
@pytest.mark.parametrize(
    "settled",
    [
        pytest.param(completed(), id="completed"),
        pytest.param(failed(Reason.ATTEMPTS_EXHAUSTED, attempts=3), id="failed for good"),
    ],
)
def test_an_object_restored_without_status_gets_it_from_the_ledger(settled: AssetStatus) -> None:
    row = RowSight("settled", "0123456789abcdef", settled)
    assert after(an_asset(), row=row) == settled.model_copy(update={"observed_generation": 1})


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(None, id="the ledger does not know it"),
        pytest.param(RowSight("confirmed", "0123456789abcdef", None), id="its row is confirmed"),
        pytest.param(RowSight("confirmed", "0123456789abcdef", processing()), id="its row says that it was at work"),
        pytest.param(RowSight("settled", "another", completed()), id="its row is about other bytes"),
        pytest.param(RowSight("settled", "0123456789abcdef", None), id="its settled row has no status"),
    ],
)
def test_an_object_without_status_is_run_unless_its_very_bytes_are_settled(row: RowSight | None) -> None:
    status = admitted(decide(observed(an_asset(), row=row)))
    assert (status.phase, status.reason, status.assigned_job) == (Phase.PENDING, Reason.QUEUED, None)


@pytest.mark.failure("F17")
@pytest.mark.parametrize("state", ["deleting", "deleted"])
def test_an_object_whose_row_was_deleted_meanwhile_goes_on_sight(state: str) -> None:
    row = RowSight(state, "0123456789abcdef", completed())
    assert decide(observed(an_asset(), row=row)) == DeleteObject()


# --- at work ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(a_status(), id="it waits"),
        pytest.param(a_status(not_before=in_(60)), id="it backs off"),
        pytest.param(scheduled(), id="it is bound"),
        pytest.param(processing(), id="it is at work"),
        pytest.param(processing(isolated=True, attempts=2), id="a suspect is at work"),
    ],
)
def test_nothing_is_done_about_what_goes_its_way(status: AssetStatus) -> None:
    assert decide(observed(an_asset(status=status), job=AT_WORK)) == Nothing()


def test_binding_raises_the_fence_and_ends_the_backoff() -> None:
    before = a_status(binding=4, attempts=2, not_before=ago(1), isolated=True)
    status = bound(before, "job-9", NOW)
    assert (status.phase, status.assigned_job, status.binding) == (Phase.SCHEDULED, "job-9", 5)
    assert (status.attempts, status.not_before, status.isolated, status.reason) == (2, None, True, Reason.BOUND)


def test_a_release_blames_nobody() -> None:
    before = processing(binding=4, attempts=2)
    status = released(before, Reason.WORKERS_STUCK, "Stuck.", NOW)
    assert_waits_again(status, before, attempts=2, not_before=None)
    assert (status.reason, status.message) == (Reason.WORKERS_STUCK, "Stuck.")


# --- its Job is over -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        *(
            pytest.param(processing(), outcome, id=f"begun, and its Job {outcome.value}: no suspicion")
            for outcome in BLAMELESS
        ),
        *(
            pytest.param(scheduled(), outcome, id=f"not begun, and its Job {outcome.value}: no suspicion")
            for outcome in ENDED
        ),
        pytest.param(
            processing(isolated=True), Outcome.DISRUPTED, id="a suspect that was evicted is no more of a suspect"
        ),
        pytest.param(
            scheduled(isolated=True),
            Outcome.CRASHED,
            id="a suspect whose worker crashed before it began is not charged",
        ),
    ],
)
def test_a_job_that_is_over_releases_what_was_bound_to_it(status: AssetStatus, outcome: Outcome) -> None:
    """F5, F6, F7, F9, and the unstarted ones of F3."""
    before = status.model_copy(update={"attempts": 1, "binding": 6})
    found = after(an_asset(status=before), job=over(outcome))
    assert_waits_again(found, before, attempts=1, not_before=None)
    assert found.isolated == before.isolated
    assert found.reason == Reason.RELEASED
    assert JOB in (found.message or "")


@pytest.mark.parametrize("outcome", [Outcome.CRASHED, Outcome.MISCONFIGURED])
def test_a_suspects_own_worker_that_ended_before_it_began_is_not_made_again_at_once(outcome: Outcome) -> None:
    before = scheduled(isolated=True, attempts=1)
    found = after(an_asset(status=before), job=over(outcome, isolated_for=an_id("a")))
    assert_waits_again(found, before, attempts=1, not_before=in_(5))
    assert found.isolated


@pytest.mark.failure("F3")
def test_a_worker_that_died_while_processing_makes_the_asset_a_suspect_and_charges_nothing() -> None:
    before = processing(binding=6, attempts=1)
    status = after(an_asset(status=before), job=over(Outcome.CRASHED))
    assert_waits_again(status, before, attempts=1, not_before=None)
    assert status.reason == Reason.ISOLATED
    isolated = find(status.conditions, ConditionType.ISOLATED)
    assert isolated is not None
    assert (isolated.status, isolated.reason, isolated.last_transition_time) == (Truth.TRUE, "WorkerCrashed", NOW)


@pytest.mark.failure("F4")
def test_a_crash_while_running_alone_charges_one_attempt_and_backs_off() -> None:
    before = processing(binding=6, isolated=True)
    plan = decide(observed(an_asset("a", before), job=over(Outcome.CRASHED, isolated_for=an_id("a"))))
    status = written(plan)
    assert_waits_again(status, before, attempts=1, not_before=in_(10))
    assert (status.reason, status.isolated) == (Reason.WORKER_CRASHED, True)
    assert "Attempt 1 of 3" in (status.message or "")


@pytest.mark.parametrize(
    ("attempts", "reason", "wait"),
    [
        pytest.param(0, Reason.DECODER_CRASHED, 10, id="the first charge waits the base"),
        pytest.param(1, Reason.DECODER_CRASHED, 20, id="the second waits twice as long"),
        pytest.param(0, Reason.DECODER_OUT_OF_MEMORY, 10, id="out of memory is charged as a crash is"),
        pytest.param(1, Reason.WORKER_CRASHED, 20, id="so is a worker's crash"),
    ],
)
def test_what_proved_harmful_is_charged_and_waits(attempts: int, reason: Reason, wait: float) -> None:
    before = given_back(reason, attempts=attempts)
    status = after(an_asset(status=before), job=AT_WORK)
    assert_waits_again(status, before, attempts=attempts + 1, not_before=in_(wait))
    assert status.reason == reason


@pytest.mark.parametrize(
    ("status", "job"),
    [
        *(pytest.param(given_back(reason), AT_WORK, id=f"given back as {reason.value}") for reason in sorted(CHARGED)),
        pytest.param(
            processing(isolated=True), over(Outcome.CRASHED, isolated_for=an_id("a")), id="its own worker crashed"
        ),
    ],
)
@pytest.mark.failure("F15")
def test_the_third_charged_attempt_fails_for_good(status: AssetStatus, job: JobSight) -> None:
    before = status.model_copy(update={"attempts": 2})
    plan = decide(observed(an_asset("a", before), job=job))
    assert isinstance(plan, WriteStatus)
    found = plan.status
    assert (found.phase, found.reason, found.attempts) == (Phase.FAILED, Reason.ATTEMPTS_EXHAUSTED, 3)
    assert (found.completion_time, found.not_before) == (NOW, None)
    assert plan.event is Reason.ATTEMPTS_EXHAUSTED
    assert "3 attempts" in (found.message or "")
    again = decide(observed(an_asset("a", found), job=job))
    assert again == LookAgain(in_(86400)), "failed is failed: nothing but a retry or the TTL follows"


def test_the_limit_counts_attempts_and_not_retries() -> None:
    before = given_back(Reason.DECODER_CRASHED)
    assert after(an_asset(status=before), job=AT_WORK, attempts=Attempts(limit=1)).phase is Phase.FAILED
    assert after(an_asset(status=before), job=AT_WORK, attempts=Attempts(limit=2)).phase is Phase.PENDING


def test_a_limit_lowered_below_what_was_charged_ends_it_at_the_next_charge() -> None:
    before = given_back(Reason.DECODER_CRASHED, attempts=5)
    assert after(an_asset(status=before), job=AT_WORK).attempts == 6
    assert after(an_asset(status=before), job=AT_WORK).phase is Phase.FAILED


# --- given back ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(Reason.DRAINING, id="its worker was drained"),
        pytest.param(Reason.DELETED, id="its worker thought it deleted"),
    ],
)
@pytest.mark.parametrize("job", [AT_WORK, over(Outcome.DISRUPTED), over(Outcome.CRASHED), over(Outcome.GONE)])
def test_what_was_given_back_by_nobodys_fault_waits_for_the_next_worker_at_once(reason: Reason, job: JobSight) -> None:
    before = given_back(reason, attempts=1)
    status = after(an_asset(status=before), job=job)
    assert_waits_again(status, before, attempts=1, not_before=None)
    assert (status.reason, status.message, status.isolated) == (reason, f"It is {reason.value}.", False)


@pytest.mark.parametrize("reason", UNCHARGED)
def test_what_would_likely_fail_again_at_once_waits_a_little_uncharged(reason: Reason) -> None:
    before = given_back(reason, attempts=1)
    status = after(an_asset(status=before), job=AT_WORK)
    assert_waits_again(status, before, attempts=1, not_before=in_(5))
    assert status.reason == reason


@pytest.mark.parametrize("chance", [0.0, 0.25, 0.999])
def test_waits_are_spread_by_a_fifth(chance: float) -> None:
    found = after(an_asset(status=given_back(Reason.STORAGE_UNAVAILABLE)), job=AT_WORK, chance=chance)
    assert found.not_before is not None
    assert timedelta(seconds=4) <= found.not_before - NOW <= timedelta(seconds=6)


def test_a_reason_of_another_version_is_a_plain_release() -> None:
    before = given_back(Reason.DRAINING)
    told = before.model_copy(
        update={"conditions": tuple(c.model_copy(update={"reason": "AddedLater"}) for c in before.conditions)}
    )
    status = after(an_asset(status=told), job=AT_WORK)
    assert status.reason == Reason.RELEASED
    assert status.attempts == 0


def test_a_give_back_without_a_summary_is_a_plain_release() -> None:
    before = given_back(Reason.DRAINING, conditions=())
    assert_waits_again(after(an_asset(status=before), job=AT_WORK), before, attempts=0, not_before=in_(5))


# --- settled: TTL and retry ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "ttl", "archived", "plan"),
    [
        pytest.param(completed(), 61, True, LookAgain(in_(1)), id="before its TTL is over it stays"),
        pytest.param(completed(), 60, True, Expire(), id="when its TTL is over it goes"),
        pytest.param(failed(), 60, True, Expire(), id="a failed one goes like any other"),
        pytest.param(completed(), 60, False, LookAgain(in_(1)), id="it does not go before the ledger has its status"),
        pytest.param(completed(), 86400, False, LookAgain(in_(86340)), id="a day is the default"),
        pytest.param(
            completed(completion_time=None), 60, True, LookAgain(in_(60)), id="without a time of completion it stays"
        ),
    ],
)
def test_a_settled_object_leaves_by_its_ttl(status: AssetStatus, ttl: int, archived: bool, plan: Plan) -> None:
    asset = an_asset(status=status, ttl_seconds_after_finished=ttl)
    assert decide(observed(asset, archived=archived)) == plan


def test_a_settled_object_leaves_before_its_ttl_where_uploads_wait_for_its_place() -> None:
    settled = an_asset(status=completed())
    assert decide(observed(settled, crowded=True, archived=True)) == Expire()
    assert decide(observed(settled, crowded=True, archived=False)) == LookAgain(in_(1)), (
        "but not before it is archived"
    )
    assert decide(observed(an_asset(status=a_status()), crowded=True)) == Nothing()


@pytest.mark.failure("F15")
@pytest.mark.parametrize(
    "reason",
    [Reason.ATTEMPTS_EXHAUSTED, Reason.UNDECODABLE, Reason.SOURCE_MISSING, Reason.DEADLINE_EXCEEDED],
)
def test_a_retry_re_arms_what_failed(reason: Reason) -> None:
    before = failed(reason, attempts=3, binding=8, isolated=True, assigned_job=JOB, start_time=ago(99))
    plan = decide(observed(an_asset(status=before, retry=True)))
    assert isinstance(plan, WriteStatus)
    assert_waits_again(plan.status, before, attempts=0, not_before=None)
    assert (plan.status.isolated, plan.status.completion_time, plan.status.result) == (False, None, None)
    assert (plan.status.reason, plan.event) == (Reason.QUEUED, Reason.RETRIED)
    assert plan.status.succeeded is not None
    assert plan.status.succeeded.last_transition_time == NOW
    then = decide(observed(an_asset(status=plan.status, retry=True)))
    assert then == DropRetryAnnotation(), "the request is gone once it was carried out"


@pytest.mark.parametrize(
    ("status", "spec"),
    [
        pytest.param(completed(), {}, id="what is completed"),
        pytest.param(a_status(), {}, id="what waits"),
        pytest.param(processing(), {}, id="what is at work"),
        pytest.param(
            failed(Reason.FOREIGN_SOURCE), {"source": a_source(bucket="elsewhere")}, id="what is from a foreign source"
        ),
    ],
)
def test_there_is_nothing_to_retry_about(status: AssetStatus, spec: dict[str, Any]) -> None:
    asset = an_asset(status=status, retry=True, **spec)
    assert decide(observed(asset, job=AT_WORK)) == DropRetryAnnotation()


def test_a_retry_of_what_has_no_status_yet_waits_for_its_first() -> None:
    assert admitted(decide(observed(an_asset(retry=True)))).reason == Reason.QUEUED


# --- videos and their backend ----------------------------------------------------------------------------------------


def a_video(status: AssetStatus | None = None, **fields: Any) -> MediaAsset:
    return an_asset(status=status, asset_type=AssetType.VIDEO, **fields)


def for_backend(backend: VideoBackend, **video: Any) -> VideoStatus:
    return VideoStatus(backend=backend, **video)


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        pytest.param(None, Reason.NO_BACKEND, id="none: it waits for one"),
        pytest.param(VideoBackend.FFMPEG, Reason.QUEUED, id="ffmpeg: it waits for a worker"),
        pytest.param(VideoBackend.MEDIACONVERT, Reason.QUEUED, id="MediaConvert: it waits to be submitted"),
    ],
)
@pytest.mark.parametrize(
    "asset",
    [
        pytest.param(a_video(), id="a new one"),
        pytest.param(a_video(failed(attempts=2), retry=True), id="one that is retried"),
    ],
)
def test_a_video_goes_to_the_backend_that_is_configured(
    asset: MediaAsset, backend: VideoBackend | None, reason: Reason
) -> None:
    status = after(asset, video_backend=backend)
    assert (status.phase, status.reason, status.attempts) == (Phase.PENDING, reason, 0)
    assert (status.video.backend if status.video else None) is backend
    accepted = asset.model_copy(
        update={"status": status, "metadata": asset.metadata.model_copy(update={"annotations": {}})}
    )
    assert decide(observed(accepted, video_backend=backend)) == Nothing()


@pytest.mark.parametrize("now", [None, *VideoBackend])
@pytest.mark.parametrize("before", [None, *VideoBackend])
def test_a_video_nobody_has_begun_with_follows_the_configuration(
    before: VideoBackend | None, now: VideoBackend | None
) -> None:
    status = after(a_video(), video_backend=before)
    plan = decide(observed(a_video(status), video_backend=now))
    if before is now:
        assert plan == Nothing()
    else:
        assert written(plan) == after(a_video(), video_backend=now)


def test_a_video_that_goes_to_another_backend_does_not_wait_for_the_one_before() -> None:
    before = a_status(
        Reason.TRANSCODER_MISCONFIGURED, video=for_backend(VideoBackend.MEDIACONVERT), not_before=in_(300), attempts=1
    )
    status = after(a_video(before), video_backend=VideoBackend.FFMPEG)
    assert (status.not_before, status.attempts, status.reason) == (None, 1, Reason.QUEUED)


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(
            a_status(video=for_backend(VideoBackend.MEDIACONVERT, submit_token="t")), id="that may be at MediaConvert"
        ),
        pytest.param(processing(video=for_backend(VideoBackend.FFMPEG)), id="that a worker has in hand"),
        pytest.param(scheduled(video=for_backend(VideoBackend.FFMPEG)), id="that is bound to a worker"),
        pytest.param(
            a_status(
                phase=Phase.SCHEDULED, video=for_backend(VideoBackend.MEDIACONVERT, submit_token="t", job_id="j")
            ),
            id="that is at MediaConvert",
        ),
    ],
)
@pytest.mark.parametrize("now", [None, *VideoBackend])
def test_a_video_stays_with_the_backend(status: AssetStatus, now: VideoBackend | None) -> None:
    assert decide(observed(a_video(status), job=AT_WORK, video_backend=now, transcoder=True)) == Nothing()


def test_a_video_left_at_mediaconvert_is_told_once_what_it_waits_for() -> None:
    before = a_status(
        Reason.SUBMITTED,
        phase=Phase.SCHEDULED,
        video=for_backend(VideoBackend.MEDIACONVERT, submit_token="t", job_id="j"),
    )
    status = after(a_video(before))
    assert (status.phase, status.video, status.reason) == (before.phase, before.video, Reason.NO_BACKEND)
    assert "MEDIACONVERT_ROLE_ARN" in (status.message or "")
    assert decide(observed(a_video(status))) == Nothing()


def test_a_video_that_goes_back_to_the_queue_shows_no_progress_any_more() -> None:
    before = given_back(Reason.DRAINING, video=for_backend(VideoBackend.FFMPEG, progress_percent=60))
    status = after(a_video(before), job=AT_WORK, video_backend=VideoBackend.FFMPEG)
    assert status.video == for_backend(VideoBackend.FFMPEG)


@pytest.mark.parametrize(
    ("age", "transcoder", "plan"),
    [
        pytest.param(0, True, LookAgain(in_(300)), id="its job is to be canceled first"),
        pytest.param(299, True, LookAgain(in_(1)), id="that is waited for"),
        pytest.param(300, True, Purge(keep_media=False), id="but only so long"),
        pytest.param(0, False, Purge(keep_media=False), id="nobody here could cancel it"),
    ],
)
def test_a_deleted_video_that_is_at_mediaconvert_waits_for_its_jobs_end(
    age: float, transcoder: bool, plan: Plan
) -> None:
    at_service = a_status(video=for_backend(VideoBackend.MEDIACONVERT, submit_token="t"))
    assert decide(observed(a_video(at_service, deleted=ago(age)), transcoder=transcoder)) == plan


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(None, id="that has no status"),
        pytest.param(a_status(video=for_backend(VideoBackend.MEDIACONVERT)), id="that was not submitted"),
        pytest.param(
            completed(video=for_backend(VideoBackend.MEDIACONVERT, submit_token="t")), id="that is completed"
        ),
        pytest.param(failed(video=for_backend(VideoBackend.MEDIACONVERT, submit_token="t")), id="that failed"),
    ],
)
def test_a_deleted_video_without_a_job_is_purged_at_once(status: AssetStatus | None) -> None:
    assert decide(observed(a_video(status, deleted=NOW), transcoder=True)) == Purge(keep_media=False)


# --- deletion --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "job", "age", "plan"),
    [
        pytest.param(None, None, 0, Purge(keep_media=False), id="nobody ever touched it"),
        pytest.param(a_status(), None, 0, Purge(keep_media=False), id="it waited"),
        pytest.param(completed(), None, 0, Purge(keep_media=False), id="it was completed"),
        pytest.param(failed(), None, 0, Purge(keep_media=False), id="it had failed"),
        pytest.param(scheduled(), AT_WORK, 0, LookAgain(in_(60)), id="its worker is waited for"),
        pytest.param(processing(), AT_WORK, 59, LookAgain(in_(1)), id="its worker is waited for a minute"),
        pytest.param(given_back(Reason.DELETED), AT_WORK, 1, Purge(keep_media=False), id="its worker has let go"),
        pytest.param(
            given_back(Reason.DELETED), AT_WORK, 99, Purge(keep_media=False), id="its worker let go, but late"
        ),
        pytest.param(processing(), over(Outcome.COMPLETED), 1, Purge(keep_media=False), id="its Job is over"),
        pytest.param(processing(), over(Outcome.CRASHED), 1, Purge(keep_media=False), id="its worker crashed"),
        pytest.param(
            processing(), over(Outcome.GONE), 1, Purge(keep_media=False), id="its Job is gone, but perhaps not its pod"
        ),
        pytest.param(
            a_status(binding=9), None, 60, Purge(keep_media=False), id="a minute has passed, and it is unbound"
        ),
    ],
)
def test_media_are_purged_once_no_worker_may_still_write(
    status: AssetStatus | None, job: JobSight | None, age: float, plan: Plan
) -> None:
    assert decide(observed(an_asset(status=status, deleted=ago(age)), job=job)) == plan


def test_a_worker_that_does_not_answer_is_fenced_after_a_minute() -> None:
    before = processing(binding=6)
    asset = an_asset(status=before, deleted=ago(60))
    status = after(asset, job=AT_WORK)
    assert_waits_again(status, before, attempts=0, not_before=None)
    fenced = asset.model_copy(update={"status": status})
    assert decide(observed(fenced)) == Purge(keep_media=False)


def test_a_policy_of_retain_keeps_the_media() -> None:
    asset = an_asset(status=completed(), deleted=NOW, deletion_policy=DeletionPolicy.RETAIN)
    assert decide(observed(asset)) == Purge(keep_media=True)


def test_deletion_goes_before_everything_else() -> None:
    row = RowSight("settled", "0123456789abcdef", completed())
    assert decide(observed(an_asset(deleted=NOW, retry=True), row=row)) == Purge(keep_media=False)
    asset = an_asset(status=failed(), deleted=NOW, retry=True)
    assert decide(observed(asset)) == Purge(keep_media=False)


def test_what_only_others_finalizers_hold_is_left_to_them() -> None:
    asset = an_asset(status=completed(), deleted=ago(600), finalizers=("example.test/other",))
    assert decide(observed(asset)) == Nothing()


@pytest.mark.parametrize(
    "asset",
    [
        pytest.param(an_asset(finalizers=()), id="made by hand, without status"),
        pytest.param(an_asset(status=a_status(), finalizers=("example.test/other",)), id="waiting, with another's"),
        pytest.param(an_asset(status=completed(), finalizers=()), id="completed, left by an uninstall"),
    ],
)
def test_an_object_without_our_finalizer_gets_it_before_anything_else(asset: MediaAsset) -> None:
    assert decide(observed(asset)) == AddFinalizer()


def test_an_object_on_its_way_out_gets_no_finalizer() -> None:
    assert decide(observed(an_asset(status=completed(), deleted=ago(5), finalizers=()))) == Nothing()

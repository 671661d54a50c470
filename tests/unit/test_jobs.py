from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from media_core.jobs import Outcome, WorkerJob, fruitless
from media_core.shape import timestamp
from support.build import a_job_body, ago, in_


def condition(type_: str, reason: str = "", message: str = "", status: str = "True") -> dict[str, str]:
    """A Job's condition as the Job controller of Kubernetes 1.32 and later writes it."""
    times = {"lastProbeTime": "2026-01-02T03:03:00Z", "lastTransitionTime": "2026-01-02T03:03:00Z"}
    return {"type": type_, "status": status, "reason": reason, "message": message, **times}


BACKOFF = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
DISRUPTED = (
    "PodFailurePolicy",
    "Pod media/default-ab12-1-x7k2p has condition DisruptionTarget matching FailJob rule at index 0",
)
MISCONFIGURED = (
    "PodFailurePolicy",
    "Container worker for pod media/default-ab12-1-x7k2p failed with exit code 78 matching FailJob rule at index 1",
)
DEADLINE = ("DeadlineExceeded", "Job was active longer than specified deadline")
REACHED = ("CompletionsReached", "Reached expected number of succeeded pods")


@pytest.mark.parametrize(
    ("status", "outcome", "why"),
    [
        pytest.param({}, None, "", id="a Job without status has only just been created"),
        pytest.param({"active": 1, "ready": 0}, None, "", id="a Job whose pod starts is not over"),
        pytest.param({"active": 1, "ready": 1, "conditions": None}, None, "", id="conditions may be null"),
        pytest.param(
            {
                "succeeded": 1,
                "conditions": [condition("SuccessCriteriaMet", *REACHED), condition("Complete", *REACHED)],
            },
            Outcome.COMPLETED,
            REACHED[1],
            id="a worker that left idle completed its Job",
        ),
        pytest.param(
            {"active": 1, "terminating": 1, "conditions": [condition("SuccessCriteriaMet", *REACHED)]},
            None,
            "",
            id="a Job that will be complete is not over while its pod ends",
        ),
        pytest.param(
            {"failed": 1, "conditions": [condition("FailureTarget", *BACKOFF), condition("Failed", *BACKOFF)]},
            Outcome.CRASHED,
            BACKOFF[1],
            id="a pod that failed under backoffLimit 0 crashed",
        ),
        pytest.param(
            {"terminating": 1, "conditions": [condition("FailureTarget", *BACKOFF)]},
            None,
            "",
            id="a Job that will have failed is not over while its pod ends",
        ),
        pytest.param(
            {"failed": 1, "conditions": [condition("FailureTarget", *DISRUPTED), condition("Failed", *DISRUPTED)]},
            Outcome.DISRUPTED,
            DISRUPTED[1],
            id="an eviction is a disruption, not a crash",
        ),
        pytest.param(
            {"failed": 1, "conditions": [condition("Failed", *MISCONFIGURED)]},
            Outcome.MISCONFIGURED,
            MISCONFIGURED[1],
            id="exit code 78 is a wrong configuration, not a crash",
        ),
        pytest.param(
            {"failed": 1, "conditions": [condition("Failed", *DEADLINE)]},
            Outcome.DISRUPTED,
            DEADLINE[1],
            id="the last net is nobody's fault",
        ),
        pytest.param(
            {"conditions": [condition("Failed", "SomethingNew", "Told by a later version")]},
            Outcome.DISRUPTED,
            "Told by a later version",
            id="a reason of a later version blames nobody",
        ),
        pytest.param(
            {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
            Outcome.CRASHED,
            "",
            id="a condition may have no message",
        ),
        pytest.param(
            {"conditions": [condition("Suspended", "JobSuspended")]}, None, "", id="a suspended Job is not over"
        ),
        pytest.param(
            {"active": 1, "ready": 1, "conditions": [condition("Failed", *BACKOFF, status="False")]},
            None,
            "",
            id="a condition that does not hold says nothing",
        ),
    ],
)
def test_a_job_is_over_by_its_terminal_condition_alone(
    status: dict[str, Any], outcome: Outcome | None, why: str
) -> None:
    job = WorkerJob.read(a_job_body(**status))
    assert (job.outcome, job.why, job.over) == (outcome, why, outcome is not None)


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        pytest.param({"active": 1}, None, id="while it runs, never"),
        pytest.param({"conditions": [condition("Complete", *REACHED)]}, ago(65), id="when its condition says"),
        pytest.param({"conditions": [{"type": "Failed", "status": "True"}]}, None, id="nobody knows without a time"),
    ],
)
def test_a_job_ended(status: dict[str, Any], ended: datetime | None) -> None:
    assert WorkerJob.read(a_job_body(**status)).ended == ended


# --- workers that end without finishing anything ---------------------------------------------------------------------


def crashed(number: int, *, ended: float = 10, reason: str = "BackoffLimitExceeded", **fields: Any) -> WorkerJob:
    """The worker of that number, which crashed so many seconds ago."""
    told = {**condition("Failed", reason, f"exit code of {number}"), "lastTransitionTime": timestamp(ago(ended))}
    return WorkerJob.read(a_job_body(f"job-{number}", created=ago(1000 - number), conditions=[told], **fields))


def at_work(number: int) -> WorkerJob:
    return WorkerJob.read(a_job_body(f"job-{number}", created=ago(1000 - number), ready=1))


def left_idle(number: int) -> WorkerJob:
    body = a_job_body(f"job-{number}", created=ago(1000 - number), conditions=[condition("Complete", *REACHED)])
    return WorkerJob.read(body)


@pytest.mark.parametrize(
    ("jobs", "count", "wait"),
    [
        pytest.param([], 0, None, id="no worker, no wait"),
        pytest.param([crashed(1)], 1, 2, id="one that crashed waits a little"),
        pytest.param([crashed(1), crashed(2)], 2, 4, id="with each in a row the wait doubles"),
        pytest.param([crashed(n) for n in range(6)], 6, 60, id="it never waits over a minute"),
        pytest.param([crashed(n) for n in range(500)], 500, 60, id="however many there are"),
        pytest.param([crashed(1, reason="PodFailurePolicy")], 1, 2, id="a wrong configuration counts"),
        pytest.param(
            [crashed(1), crashed(2, reason="Evicted")], 0, None, id="a disruption does not, and ends the row"
        ),
        pytest.param([crashed(1), left_idle(2)], 0, None, id="one that left idle ends the row"),
        pytest.param([crashed(1), at_work(2)], 0, None, id="one at work ends the row until it is over"),
        pytest.param([left_idle(1), crashed(2)], 1, 2, id="what was before the row does not matter"),
        pytest.param([crashed(1), crashed(2, isolated_for="x")], 1, 2, id="a suspect's own does not count"),
    ],
)
def test_workers_that_finish_nothing_are_started_ever_more_slowly(
    jobs: list[WorkerJob], count: int, wait: float | None
) -> None:
    found = fruitless(reversed(jobs), lambda _job: False)
    assert (found.count if found else 0) == count
    assert (found.until if found else None) == (in_(wait - 10) if wait is not None else None)


def test_a_worker_that_finished_something_before_it_crashed_ends_the_row() -> None:
    assert fruitless([crashed(1), crashed(2)], lambda job: job == "job-2") is None
    found = fruitless([crashed(1), crashed(2)], lambda job: job == "job-1")
    assert found is not None
    assert (found.count, found.why) == (1, "exit code of 2")


def test_a_job_tells_its_pool_its_template_and_whom_it_is_for() -> None:
    body = a_job_body("video-ab12-9", version=41, uid="u", pool="video", isolated_for="x", deleted=ago(1), ready=1)
    assert WorkerJob.read(body) == WorkerJob(
        name="video-ab12-9",
        uid="u",
        version=41,
        pool="video",
        template_hash="0a1b2c3d",
        isolated_for="x",
        created=datetime(2026, 1, 2, 3, 2, 5, tzinfo=UTC),
        ready=1,
        outcome=None,
        deleting=True,
    )


def test_a_job_without_labels_is_of_no_pool() -> None:
    body = a_job_body()
    del body["metadata"]["labels"]
    job = WorkerJob.read(body)
    assert (job.pool, job.template_hash, job.isolated_for, job.ready, job.deleting) == ("", "", None, 0, False)


def test_what_is_no_job_is_refused() -> None:
    with pytest.raises(KeyError):
        WorkerJob.read({"kind": "Job"})

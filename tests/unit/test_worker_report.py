from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jsonpatch
import pytest

from media_core.asset import MediaAsset, Result, Variant
from media_core.reasons import Reason
from media_worker.hand import Claim
from media_worker.report import Completed, Failed, GivenBack, Progress, Report, Started, Verdict, judge, mention, patch

JOB = "default-ab12-1"
BOUND = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW = BOUND + timedelta(seconds=9)
CLAIM = Claim("00000000-0000-4000-8000-000000000001", 3)
RESULT = Result(width=640, height=480, variants=(Variant(name="large", width=640, height=480, bytes=1234),))
ISOLATED = {
    "type": "Isolated",
    "status": "True",
    "reason": "WorkerCrashed",
    "message": "m",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
SUCCEEDED = {
    "type": "Succeeded",
    "status": "Unknown",
    "reason": "Bound",
    "message": "m",
    "lastTransitionTime": "2026-01-02T03:04:05Z",
}


def body(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": CLAIM.asset_id, "resourceVersion": "7"},
        "spec": {
            "assetType": "IMAGE",
            "owner": "o",
            "source": {
                "bucket": "media",
                "key": "uploads/image/o/a.jpg",
                "etag": "e",
                "sizeBytes": 1,
                "contentType": "image/jpeg",
            },
        },
        "status": {
            "phase": "Scheduled",
            "assignedJob": JOB,
            "binding": 3,
            "conditions": [ISOLATED, SUCCEEDED],
            **status,
        },
    }


def applied(report: Report, **status: Any) -> dict[str, Any]:
    """The status after the report."""
    before = body(**status)
    operations = patch(CLAIM, JOB, MediaAsset.read(before), report, NOW)
    after: dict[str, Any] = jsonpatch.apply_patch(before, operations)
    return after["status"]


def succeeded(status: dict[str, Any]) -> tuple[str, str, str, str]:
    found = next(c for c in status["conditions"] if c["type"] == "Succeeded")
    return found["status"], found["reason"], found["message"], found["lastTransitionTime"]


def test_the_start_is_reported_as_processing() -> None:
    status = applied(Started())
    assert (status["phase"], status["startTime"]) == ("Processing", "2026-01-02T03:04:14Z")
    assert succeeded(status) == (
        "Unknown",
        "Processing",
        "Worker default-ab12-1 is working on it.",
        "2026-01-02T03:04:05Z",
    )


def test_a_completed_asset_has_its_result_and_time() -> None:
    status = applied(Completed(RESULT), phase="Processing")
    assert (status["phase"], status["completionTime"]) == ("Completed", "2026-01-02T03:04:14Z")
    assert status["result"]["variants"] == [{"name": "large", "width": 640, "height": 480, "bytes": 1234}]
    assert succeeded(status) == ("True", "Completed", "1 rendition is ready.", "2026-01-02T03:04:14Z")


def test_a_failed_asset_says_why() -> None:
    status = applied(Failed(Reason.UNDECODABLE, "It ends in the middle."))
    assert status["phase"] == "Failed"
    assert succeeded(status)[:3] == ("False", "Undecodable", "It ends in the middle.")


@pytest.mark.parametrize("start", [{}, {"startTime": "2026-01-02T03:04:06Z"}], ids=["not begun", "begun"])
def test_what_is_given_back_is_pending_without_a_start_and_still_names_its_job(start: dict[str, str]) -> None:
    status = applied(GivenBack(Reason.DRAINING, "The worker ends."), **start)
    assert (status["phase"], status["assignedJob"], status["binding"]) == ("Pending", JOB, 3)
    assert "startTime" not in status
    assert succeeded(status)[:2] == ("Unknown", "Draining")


def test_the_isolated_condition_is_left_untouched() -> None:
    assert ISOLATED in applied(Started())["conditions"]


@pytest.mark.parametrize("other", [{"assignedJob": "other"}, {"binding": 4}, {"assignedJob": None}])
def test_nothing_is_written_to_an_asset_bound_elsewhere(other: dict[str, Any]) -> None:
    operations = patch(CLAIM, JOB, MediaAsset.read(body()), Completed(RESULT), NOW)
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        jsonpatch.apply_patch(body(**other), operations)


JUDGED: list[tuple[str, Report, dict[str, Any] | None, Verdict]] = [
    ("an asset that is gone is not ours", Started(), None, Verdict.NOT_OURS),
    ("an asset of another job is not ours", Started(), {"assignedJob": "other"}, Verdict.NOT_OURS),
    ("an asset bound again is not ours", Started(), {"binding": 4}, Verdict.NOT_OURS),
    ("an asset that still waits for the start was refused", Started(), {}, Verdict.REFUSED),
    ("a start that is there has arrived", Started(), {"phase": "Processing"}, Verdict.ARRIVED),
    ("a result that is there has arrived", Completed(RESULT), {"phase": "Completed"}, Verdict.ARRIVED),
    ("a failure that is there has arrived", Failed(Reason.UNDECODABLE, ""), {"phase": "Failed"}, Verdict.ARRIVED),
    ("a give-back that is there has arrived", GivenBack(Reason.DRAINING, ""), {"phase": "Pending"}, Verdict.ARRIVED),
    ("a start of a settled asset is nobody's", Started(), {"phase": "Completed"}, Verdict.NOT_OURS),
    ("a result that is not there was refused", Completed(RESULT), {"phase": "Processing"}, Verdict.REFUSED),
    ("a give-back that is not there was refused", GivenBack(Reason.DRAINING, ""), {}, Verdict.REFUSED),
]


@pytest.mark.parametrize(("report", "status", "verdict"), [row[1:] for row in JUDGED], ids=[row[0] for row in JUDGED])
def test_a_refused_report_is_judged(report: Report, status: dict[str, Any] | None, verdict: Verdict) -> None:
    fresh = None if status is None else MediaAsset.read(body(**status))
    assert judge(CLAIM, JOB, fresh, report) is verdict


def mentioned(progress: Progress, **status: Any) -> dict[str, Any]:
    """The status after the progress was told."""
    before = body(**{"phase": "Processing", **status})
    after: dict[str, Any] = jsonpatch.apply_patch(before, mention(CLAIM, JOB, MediaAsset.read(before), progress))
    return after["status"]


def test_the_progress_of_a_film_changes_nothing_else() -> None:
    before = body(phase="Processing")["status"]
    told = {"backend": "ffmpeg", "progressPercent": 40, "durationSeconds": 9}
    assert mentioned(Progress(40, 9)) == {**before, "video": told}
    assert mentioned(Progress(40, 9), video={"backend": "ffmpeg", "progressPercent": 7})["video"] == told


def test_what_is_known_of_a_film_is_kept_where_nothing_new_is_told_of_it() -> None:
    known = {"backend": "ffmpeg", "durationSeconds": 9}
    assert mentioned(Progress(1), video=known)["video"] == {**known, "progressPercent": 1}


@pytest.mark.parametrize("status", [{"binding": 4}, {"assignedJob": "default-ab12-2"}, {"phase": "Completed"}])
def test_progress_is_told_of_what_is_being_worked_on_here_only(status: dict[str, Any]) -> None:
    with pytest.raises(jsonpatch.JsonPatchTestFailed):
        mentioned(Progress(40, 9), **status)


def test_a_film_is_completed_with_all_of_its_length() -> None:
    status = applied(Completed(RESULT, Progress(100, 9)), phase="Processing", video={"backend": "ffmpeg"})
    assert status["video"] == {"backend": "ffmpeg", "progressPercent": 100, "durationSeconds": 9}
    assert status["phase"] == "Completed"
    assert succeeded(status)[:3] == ("True", "Completed", "Transcoded by ffmpeg.")

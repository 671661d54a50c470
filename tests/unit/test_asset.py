from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from media_core.asset import (
    TRANSCODE_STATUS,
    AssetSpec,
    AssetStatus,
    AssetType,
    MediaAsset,
    Phase,
    Result,
    TranscodeStatus,
    Variant,
    VideoBackend,
    VideoStatus,
    asset_manifest,
)
from media_core.conditions import Condition, Truth
from media_core.reasons import Reason
from media_core.shape import timestamp
from support.build import NOW, a_spec, a_status, an_asset, an_asset_body, an_id, completed, given_back, processing

MOMENTS = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
WORDS = st.text(max_size=20)
VARIANT = st.builds(Variant, name=WORDS, width=st.integers(1), height=st.integers(1), bytes=st.integers(1))
RESULT = st.builds(
    Result,
    width=st.integers(1),
    height=st.integers(1),
    placeholder=st.none() | WORDS,
    dominantColor=st.none() | WORDS,
    recipeVersion=st.none() | st.integers(1),
    variants=st.lists(VARIANT, max_size=3).map(tuple),
)
VIDEO = st.builds(
    VideoStatus,
    backend=st.none() | st.sampled_from(VideoBackend),
    submitToken=st.none() | WORDS,
    submitTime=st.none() | MOMENTS,
    jobId=st.none() | WORDS,
    progressPercent=st.none() | st.integers(0, 100),
    durationSeconds=st.none() | st.integers(0),
)
STATUS = st.builds(
    AssetStatus,
    phase=st.sampled_from(Phase),
    assignedJob=st.none() | WORDS,
    binding=st.integers(0),
    notBefore=st.none() | MOMENTS,
    startTime=st.none() | MOMENTS,
    completionTime=st.none() | MOMENTS,
    result=st.none() | RESULT,
    video=st.none() | VIDEO,
    conditions=st.lists(
        st.builds(
            Condition,
            type=WORDS,
            status=st.sampled_from(Truth),
            reason=WORDS,
            message=WORDS,
            lastTransitionTime=MOMENTS,
        ),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=50)
@given(STATUS)
def test_a_status_comes_back_from_its_json_as_it_was(status: AssetStatus) -> None:
    assert AssetStatus.model_validate(json.loads(json.dumps(status.to_json()))) == status


def test_an_object_comes_back_from_its_json_as_it_was() -> None:
    asset = an_asset(status=completed(), deleted=NOW, retry=True, priority=3)
    assert MediaAsset.read(json.loads(json.dumps(an_asset_body(asset)))) == asset


def test_json_is_camel_case_without_nulls() -> None:
    assert given_back(Reason.DRAINING, start_time=None, not_before=NOW).to_json() == {
        "phase": "Pending",
        "assignedJob": "default-ab12-1",
        "binding": 1,
        "attempts": 0,
        "notBefore": "2026-01-02T03:04:05Z",
        "conditions": [
            {
                "type": "Succeeded",
                "status": "Unknown",
                "reason": "Draining",
                "message": "It is Draining.",
                "lastTransitionTime": "2026-01-02T03:03:05Z",
            }
        ],
    }


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        pytest.param(NOW, "2026-01-02T03:04:05Z", id="UTC ends with Z"),
        pytest.param(
            NOW.astimezone(timezone(timedelta(hours=5, minutes=30))), "2026-01-02T03:04:05Z", id="others become UTC"
        ),
        pytest.param(
            NOW.replace(microsecond=999_999), "2026-01-02T03:04:05Z", id="parts of a second are cut, never rounded up"
        ),
    ],
)
def test_times_are_written_as_metav1_time(moment: datetime, text: str) -> None:
    assert timestamp(moment) == text


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"status": {}}, id="an empty status is none"),
        pytest.param({"status": None}, id="a null status is none"),
        pytest.param({}, id="no status is none"),
        pytest.param({"status": {"phase": "Pending"}}, id="the schema's default is none"),
        pytest.param({"status": {}, "later": 1}, id="a field of a later version is ignored"),
    ],
)
def test_an_object_without_status_is_read_as_such(change: dict[str, Any]) -> None:
    assert MediaAsset.read({**an_asset_body(an_asset()), **change}) == an_asset()


def test_fields_of_a_later_version_are_ignored_at_every_depth() -> None:
    body = an_asset_body(an_asset(status=completed()))
    for part in (body["metadata"], body["spec"], body["spec"]["source"], body["status"], body["status"]["result"]):
        part["addedLater"] = {"by": "version 2"}
    assert MediaAsset.read(body) == an_asset(status=completed())


def test_defaults_stand_in_for_what_an_older_version_did_not_write() -> None:
    body = an_asset_body(an_asset())
    body["spec"] = {key: body["spec"][key] for key in ("assetType", "source", "owner")}
    body["status"] = {"conditions": []}
    asset = MediaAsset.read(body)
    assert (asset.spec.pool, asset.spec.priority, asset.spec.ttl_seconds_after_finished) == ("default", 0, 86400)
    assert asset.status == AssetStatus()


@pytest.mark.parametrize(
    ("part", "value"),
    [
        pytest.param(("spec", "assetType"), "AUDIO", id="a type that is unknown"),
        pytest.param(("status", "phase"), "Waiting", id="a phase that is unknown"),
        pytest.param(("status", "startTime"), "2026-01-02T03:04:05", id="a time without a zone"),
        pytest.param(("spec", "source"), None, id="no source"),
        pytest.param(("metadata", "name"), None, id="no name"),
    ],
)
def test_what_cannot_be_understood_is_refused(part: tuple[str, str], value: Any) -> None:
    body = an_asset_body(an_asset(status=processing()))
    body[part[0]][part[1]] = value
    with pytest.raises(ValidationError):
        MediaAsset.read(body)


def test_an_asset_is_known_by_name_uid_and_version() -> None:
    asset = an_asset("x", version=12, uid="u")
    assert (asset.name, asset.uid, asset.version, asset.deleting) == (an_id("x"), "u", 12, False)
    assert an_asset(deleted=NOW).deleting


def test_versions_are_compared_as_numbers() -> None:
    assert an_asset(version=10).version > an_asset(version=9).version


def test_a_status_without_a_summary_has_no_reason() -> None:
    status = a_status(None)
    assert (status.succeeded, status.reason, status.message, status.isolated) == (None, None, None, False)


def test_a_status_tells_its_reason_and_message() -> None:
    status = a_status(Reason.QUEUED, isolated=True)
    assert (status.reason, status.message, status.isolated) == ("Queued", "It is Queued.", True)


def test_a_reason_carries_the_generation_it_speaks_of() -> None:
    told = a_status(observed_generation=4).because(Truth.UNKNOWN, Reason.BOUND, "Bound.", NOW)
    assert told.succeeded is not None
    assert told.succeeded.observed_generation == 4


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(given_back(Reason.DRAINING), True, id="Pending and still bound: given back"),
        pytest.param(a_status(), False, id="Pending and bound to none: waiting"),
        pytest.param(processing(), False, id="Processing: in hand"),
    ],
)
def test_given_back_is_pending_and_still_bound(status: AssetStatus, expected: bool) -> None:
    assert status.given_back is expected


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_a_name_in_the_rest_api(phase: Phase) -> None:
    named = {"Pending": "PENDING", "Scheduled": "PENDING"}.get(phase, phase.upper())
    assert TRANSCODE_STATUS[phase] is TranscodeStatus(named)
    assert phase.settled is (phase in ("Completed", "Failed"))


def test_a_new_object_has_our_finalizer_and_no_status() -> None:
    spec = a_spec(asset_type=AssetType.PDF)
    manifest = asset_manifest("x", "media", spec)
    assert manifest["metadata"] == {
        "name": "x",
        "namespace": "media",
        "finalizers": ["media.docfliq.com/purge"],
    }
    assert (manifest["apiVersion"], manifest["kind"]) == ("media.docfliq.com/v1alpha1", "MediaAsset")
    assert "status" not in manifest
    assert AssetSpec.model_validate(manifest["spec"]) == spec


def test_the_largest_object_is_small() -> None:
    """Ten thousand of them are cached and stored; the design allows 2 KiB each without managedFields."""
    source = {"key": "uploads/image/" + "o" * 64 + "/20260102T030405_" + "0" * 32 + ".jpg", "etag": "e" * 35}
    asset = an_asset(
        status=completed(isolated=True, not_before=NOW, start_time=NOW),
        owner="o" * 63,
        source={**a_spec().source.to_json(), **source},
    )
    assert len(json.dumps(an_asset_body(asset))) < 2048

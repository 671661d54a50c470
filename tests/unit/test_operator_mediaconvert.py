"""MediaConvert's answers, as the operator reads them: which jobs are ours, and what a refusal means."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.stub import Stubber
from pydantic import ValidationError

from media_core.asset import VideoBackend
from media_core.listing import JobState
from media_operator.adapters.mediaconvert import (
    MediaConvert,
    Misconfigured,
    Refused,
    ServiceTrouble,
    Throttled,
    Unanswered,
    Unreadable,
    read,
    trouble,
)
from media_operator.settings import OperatorSettings

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BODY: dict[str, Any] = {
    "Id": "1700000000000-abc123",
    "Role": "arn:aws:iam::123456789012:role/media",
    "Settings": {},
    "Status": "PROGRESSING",
    "CreatedAt": CREATED,
    "UserMetadata": {"assetId": "7f2c", "uid": "u-1", "namespace": "media", "shown": "1920x1080"},
}
Stubbed = tuple[MediaConvert, Stubber]


@pytest.fixture
def stubbed() -> Iterator[Stubbed]:
    client = boto3.client(
        "mediaconvert",
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    service = MediaConvert(client, "media")
    with Stubber(client) as stubber:
        yield service, stubber
    service.close()


def refusal(status: int, code: str = "SomeException") -> ClientError:
    told = {"Error": {"Code": code, "Message": "in its own words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(told, "CreateJob")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(refusal(429), Throttled, id="too many requests"),
        pytest.param(refusal(402), Throttled, id="no room for more jobs"),
        pytest.param(refusal(403), Misconfigured, id="not allowed"),
        pytest.param(refusal(404), Misconfigured, id="no such queue"),
        pytest.param(NoCredentialsError(), Misconfigured, id="no credentials"),
        pytest.param(refusal(422), Unreadable, id="no film"),
        pytest.param(refusal(409), Unanswered, id="the token is known, with another request"),
        pytest.param(refusal(500), Unanswered, id="an error of the service"),
        pytest.param(refusal(503), Unanswered, id="the service is away"),
        pytest.param(EndpointConnectionError(endpoint_url="http://x"), Unanswered, id="no connection"),
        pytest.param(refusal(400), Refused, id="a bad request"),
    ],
)
def test_a_refusal_means(error: Any, kind: type[ServiceTrouble]) -> None:
    found = trouble(error)
    assert type(found) is kind
    assert str(found)


def test_a_job_of_ours_is_read_whole() -> None:
    timing = {"StartTime": CREATED}
    more = {"JobPercentComplete": 30, "ClientRequestToken": "t", "Timing": timing}
    job = read({**BODY, **more, "ErrorCode": 1010, "ErrorMessage": "gone"})
    assert job is not None
    assert (job.id, job.asset_id, job.uid, job.state) == (BODY["Id"], "7f2c", "u-1", JobState.PROGRESSING)
    assert (job.percent, job.token, job.started, job.created) == (30, "t", CREATED, CREATED)
    assert (job.error_code, job.error_message) == (1010, "gone")
    least = read(BODY)
    assert least is not None
    assert (least.percent, least.token, least.started, least.error_code) == (None, None, None, 0)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"UserMetadata": {}}, id="without metadata"),
        pytest.param({"UserMetadata": {"assetId": "7f2c"}}, id="without a uid"),
        pytest.param({"UserMetadata": {"application": "theirs"}}, id="of somebody else"),
        pytest.param({"UserMetadata": {"assetId": "7f2c", "uid": "u-1", "shown": "0x0"}}, id="without a size"),
        pytest.param({"Status": "DREAMING"}, id="in a state of a later version"),
    ],
)
def test_a_job_is_passed_over_that_is(changes: dict[str, Any]) -> None:
    assert read({**BODY, **changes}) is None


async def test_a_page_has_our_jobs_the_age_of_the_oldest_and_where_it_goes_on(stubbed: Stubbed) -> None:
    service, stubber = stubbed
    older = datetime(2025, 1, 1, tzinfo=UTC)
    asked = {"Queue": "media", "Status": "SUBMITTED", "Order": "DESCENDING", "MaxResults": 20}
    foreign = {**BODY, "UserMetadata": {}, "CreatedAt": older}
    stubber.add_response("list_jobs", {"Jobs": [BODY, foreign], "NextToken": "more"}, asked)
    stubber.add_response("list_jobs", {}, {**asked, "NextToken": "more"})
    first = await service.page(JobState.SUBMITTED)
    assert ([job.id for job in first.jobs], first.oldest, first.following) == ([BODY["Id"]], older, "more")
    last = await service.page(JobState.SUBMITTED, "more")
    assert (last.jobs, last.oldest, last.following) == ((), None, None)


async def test_a_probe_without_a_result_is_an_empty_one(stubbed: Stubbed) -> None:
    service, stubber = stubbed
    stubber.add_response("probe", {}, {"InputFiles": [{"FileUrl": "s3://media/x.mp4"}]})
    assert await service.probe("s3://media/x.mp4") == {}


@pytest.mark.parametrize("status", [404, 409])
async def test_to_cancel_what_is_over_or_gone_is_no_error(stubbed: Stubbed, status: int) -> None:
    service, stubber = stubbed
    stubber.add_client_error("cancel_job", http_status_code=status)
    await service.cancel("1700000000000-abc123")
    stubber.add_client_error("cancel_job", http_status_code=500)
    with pytest.raises(Unanswered):
        await service.cancel("1700000000000-abc123")


# --- settings --------------------------------------------------------------------------------------------------------

NEEDED = {"MEDIA_DATABASE_URL": "postgresql://x/y", "S3_BUCKET_MEDIA": "media"}
ROLE = {"MEDIACONVERT_ROLE_ARN": "arn:aws:iam::123456789012:role/media"}


@pytest.mark.parametrize(
    ("told", "backend"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"MEDIA_VIDEO_BACKEND": "none", **ROLE}, None, id="none, though there is a role"),
        pytest.param({"MEDIA_VIDEO_BACKEND": "ffmpeg"}, VideoBackend.FFMPEG, id="ffmpeg"),
        pytest.param({"MEDIA_VIDEO_BACKEND": "mediaconvert", **ROLE}, VideoBackend.MEDIACONVERT, id="mediaconvert"),
    ],
)
def test_the_backend_is_the_one_that_is_told(told: dict[str, str], backend: VideoBackend | None) -> None:
    assert OperatorSettings(**{**NEEDED, **told}).backend is backend


@pytest.mark.parametrize(
    "told",
    [
        pytest.param({"MEDIA_VIDEO_BACKEND": "mediaconvert"}, id="mediaconvert without a role"),
        pytest.param({"MEDIA_VIDEO_BACKEND": "magic"}, id="a backend there is not"),
        pytest.param({"MEDIACONVERT_ROLE_ARN": "media"}, id="a role by its name"),
        pytest.param({"MEDIA_VIDEO_POLL_SECONDS": "0"}, id="polling without a pause"),
    ],
)
def test_settings_that_do_not_fit_are_refused(told: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        OperatorSettings(**{**NEEDED, **told})

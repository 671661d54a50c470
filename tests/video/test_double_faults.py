"""The faults of the MediaConvert double: what they do to requests and to jobs, and that they end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import ClientError, HTTPClientError

from support.clips import clip
from support.deadlines import eventually
from support.double_site import DoubleSite, Object, files, film, output, settings

FAULTS = "/_faults"


async def order(site: DoubleSite, **orders: Any) -> Object:
    """What the double answers to an order."""
    async with aiohttp.ClientSession() as session, session.post(site.double.url + FAULTS, json=orders) as answer:
        told: Object = await answer.json()
        assert answer.status == 200, told
        return told


async def refused(site: DoubleSite, operation: str, **arguments: Any) -> tuple[int, str]:
    """Status and code of a call that is refused."""
    with pytest.raises(ClientError) as error:
        await site.call(operation, **arguments)
    answer = error.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]


async def small_job(site: DoubleSite, tmp_path: Path, **metadata: str) -> Object:
    source = await site.put(clip(tmp_path, width=320, height=180, seconds=2.0))
    asked = settings(source, files(f"s3://{site.store.bucket}/faults/video", output("", "MP4", film(320, 180))))
    return await site.submit(asked, UserMetadata=metadata)


async def test_so_many_requests_are_throttled_and_the_next_is_not(double: DoubleSite) -> None:
    await order(double, add=[{"effect": "throttle", "operations": ["ListJobs"], "times": 2}])
    for _ in range(2):
        assert await refused(double, "list_jobs") == (429, "TooManyRequestsException")
    assert (await double.call("list_jobs"))["Jobs"] == []
    assert (await double.call("list_queues"))["Queues"]


@pytest.mark.parametrize(
    ("fault", "answered"),
    [
        ({"effect": "serverError"}, (500, "InternalServerErrorException")),
        ({"effect": "refuse", "status": 403, "message": "not yours"}, (403, "ForbiddenException")),
        ({"effect": "refuse", "status": 402}, (402, "ServiceQuotaExceededException")),
    ],
)
async def test_a_request_is_answered_as_ordered(double: DoubleSite, fault: Object, answered: tuple[int, str]) -> None:
    await order(double, add=[fault])
    assert await refused(double, "list_jobs") == answered
    await order(double, clear=True)
    assert (await double.call("list_jobs"))["Jobs"] == []


async def test_an_answer_comes_late(double: DoubleSite) -> None:
    await order(double, add=[{"effect": "latency", "seconds": 0.5, "times": 1}])
    began = time.monotonic()
    await double.call("list_jobs")
    assert time.monotonic() - began >= 0.5


async def test_a_lost_answer_leaves_a_job_that_the_same_token_finds_again(double: DoubleSite) -> None:
    await order(
        double, add=[{"effect": "stallJob"}, {"effect": "loseAnswer", "operations": ["CreateJob"], "times": 1}]
    )
    asked = settings("s3://media/film.mp4", files("s3://media/video", output("", "MP4", film(320, 180))))
    role = "arn:aws:iam::123456789012:role/media"
    with pytest.raises(HTTPClientError):
        await double.call("create_job", Role=role, Settings=asked, ClientRequestToken="mine")
    again = await double.call("create_job", Role=role, Settings=asked, ClientRequestToken="mine")
    (listed,) = (await double.call("list_jobs"))["Jobs"]
    assert listed["Id"] == again["Job"]["Id"]
    assert (await order(double))["created"] == 1


async def test_a_closed_connection_leaves_no_job(double: DoubleSite, tmp_path: Path) -> None:
    await order(double, add=[{"effect": "close", "operations": ["CreateJob"], "times": 1}])
    with pytest.raises(HTTPClientError):
        await small_job(double, tmp_path)
    assert (await double.call("list_jobs"))["Jobs"] == []


async def test_a_job_fails_midway_with_the_code_and_message_ordered(double: DoubleSite, tmp_path: Path) -> None:
    fault = {"effect": "failJob", "code": 1432, "message": "Unable to assume role", "percent": 50, "times": 1}
    await order(double, add=[fault])
    failed = await double.over(await small_job(double, tmp_path))
    assert (failed["Status"], failed["ErrorCode"]) == ("ERROR", 1432)
    assert failed["ErrorMessage"] == "Unable to assume role"
    assert await double.keys("faults/") == []
    assert (await double.over(await small_job(double, tmp_path)))["Status"] == "COMPLETE"


async def test_a_stalled_job_stays_where_it_is_and_goes_on_when_the_fault_is_cleared(
    double: DoubleSite, tmp_path: Path
) -> None:
    await order(double, add=[{"effect": "stallJob", "percent": 30, "asset": "held"}])
    stalled = await small_job(double, tmp_path, assetId="held")
    assert (await double.over(await small_job(double, tmp_path, assetId="free")))["Status"] == "COMPLETE"
    seen = (await double.call("get_job", Id=stalled["Id"]))["Job"]
    assert (seen["Status"], seen["JobPercentComplete"]) == ("PROGRESSING", 30)
    await order(double, clear=True)
    assert (await double.over(stalled))["Status"] == "COMPLETE"


async def test_a_stalled_job_can_be_canceled(double: DoubleSite, tmp_path: Path) -> None:
    await order(double, add=[{"effect": "stallJob"}])
    stalled = await small_job(double, tmp_path)
    await double.call("cancel_job", Id=stalled["Id"])
    assert (await double.over(stalled))["Status"] == "CANCELED"


async def test_a_lost_job_is_known_to_nobody(double: DoubleSite, tmp_path: Path) -> None:
    await order(double, add=[{"effect": "loseJob", "times": 1}])
    lost = await small_job(double, tmp_path)

    async def gone() -> bool:
        return not (await double.call("list_jobs"))["Jobs"]

    await eventually(gone)
    assert await refused(double, "get_job", Id=lost["Id"]) == (404, "NotFoundException")


async def test_a_job_can_be_lost_and_settled_by_its_id(double: DoubleSite, tmp_path: Path) -> None:
    await order(double, add=[{"effect": "stallJob"}])
    first, second, third = [await small_job(double, tmp_path) for _ in range(3)]
    settled = [
        {"job": second["Id"], "status": "COMPLETE"},
        {"job": third["Id"], "status": "ERROR", "code": 1010, "message": "gone"},
    ]
    state = await order(double, lose=[first["Id"]], settle=settled)
    assert {each["id"]: each["status"] for each in state["jobs"]} == {second["Id"]: "COMPLETE", third["Id"]: "ERROR"}
    assert (await double.over(third))["ErrorCode"] == 1010


async def test_jobs_of_somebody_else_are_listed_among_the_own(double: DoubleSite) -> None:
    state = await order(double, foreign=30)
    assert state["created"] == 30
    listed = await double.call("list_jobs")
    assert len(listed["Jobs"]) == 20
    assert {each["UserMetadata"]["application"] for each in listed["Jobs"]} == {"somebody-else"}


async def test_calls_are_counted_by_operation(double: DoubleSite) -> None:
    for _ in range(3):
        await double.call("list_jobs")
    assert (await order(double))["calls"] == {"ListJobs": 3}


@pytest.mark.parametrize("orders", [{"explode": True}, {"add": [{"effect": "explode"}]}, {"add": [{"colour": "red"}]}])
async def test_an_order_that_is_not_understood_is_refused(double: DoubleSite, orders: Object) -> None:
    async with aiohttp.ClientSession() as session, session.post(double.double.url + FAULTS, json=orders) as answer:
        assert answer.status == 400

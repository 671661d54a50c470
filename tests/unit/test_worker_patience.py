from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
)

from media_worker.calls import Trouble, trouble
from media_worker.patience import full_jitter, patiently


def answered(status: int, code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetObject")


TROUBLES = [
    ("a server error passes", answered(500, "InternalError"), Trouble.TRANSIENT),
    ("slow down passes", answered(503, "SlowDown"), Trouble.TRANSIENT),
    ("too many requests passes", answered(429, "TooManyRequests"), Trouble.TRANSIENT),
    ("a request that timed out at the server passes", answered(400, "RequestTimeout"), Trouble.TRANSIENT),
    ("a failed precondition means changed", answered(412, "PreconditionFailed"), Trouble.CHANGED),
    ("no such key means missing", answered(404, "NoSuchKey"), Trouble.MISSING),
    ("no such version means missing", answered(404, "NoSuchVersion"), Trouble.MISSING),
    ("no such bucket is configuration", answered(404, "NoSuchBucket"), Trouble.CONFIGURATION),
    ("access denied is configuration", answered(403, "AccessDenied"), Trouble.CONFIGURATION),
    ("a wrong signature is configuration", answered(403, "SignatureDoesNotMatch"), Trouble.CONFIGURATION),
    ("no credentials is configuration", NoCredentialsError(), Trouble.CONFIGURATION),
    ("no connection passes", EndpointConnectionError(endpoint_url="http://s3"), Trouble.TRANSIENT),
    ("a read that timed out passes", ReadTimeoutError(endpoint_url="http://s3"), Trouble.TRANSIENT),
    ("a body cut short passes", IncompleteReadError(actual_bytes=1, expected_bytes=2), Trouble.TRANSIENT),
]


@pytest.mark.parametrize(("error", "expected"), [row[1:] for row in TROUBLES], ids=[row[0] for row in TROUBLES])
def test_an_error_of_storage_is_classified(error: ClientError, expected: Trouble) -> None:
    assert trouble(error) is expected


def test_waits_grow_up_to_a_limit_and_are_spread_over_all_of_it() -> None:
    assert [full_jitter(attempt, 1.0, longest=1.0) for attempt in range(4)] == [0.2, 0.4, 0.8, 1.0]
    assert full_jitter(3, 0.0) == 0.0
    assert full_jitter(10_000, 0.5, longest=4.0) == 2.0


async def test_what_passes_is_tried_again_and_what_does_not_is_raised_at_once() -> None:
    left = [TimeoutError(), TimeoutError(), KeyError()]

    async def call() -> None:
        raise left.pop(0)

    with pytest.raises(KeyError):
        await patiently(call, TimeoutError, seconds=10)
    assert left == []


async def test_patience_ends() -> None:
    calls: list[int] = []

    async def call() -> None:
        calls.append(1)
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await patiently(call, TimeoutError, seconds=0.2)
    assert len(calls) > 1

"""The jobs the service knows, newest first, in memory; and the queues they are in.

A token makes submitting again harmless for a minute and no longer, as in the service: after that, the same request
with the same token is another job.
"""

from __future__ import annotations

import base64
import binascii
import random
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from media_devcluster.mediaconvert.errors import ServiceError, bad_request, not_found

ACCOUNT = "123456789012"
TOKEN_SECONDS = 60.0
PAGE = 20
ECHOED = (
    "AccelerationSettings",
    "BillingTagsSource",
    "HopDestinations",
    "Priority",
    "SimulateReservedQueue",
    "StatusUpdateInterval",
    "UserMetadata",
)


class Status(StrEnum):
    """Where a job stands."""

    SUBMITTED = "SUBMITTED"
    PROGRESSING = "PROGRESSING"
    COMPLETE = "COMPLETE"
    CANCELED = "CANCELED"
    ERROR = "ERROR"


OVER = frozenset({Status.COMPLETE, Status.CANCELED, Status.ERROR})


@dataclass(eq=False)
class Job:
    """One job. `number` counts them, so that pages stay in step while new ones come."""

    number: int
    identifier: str
    queue: str
    request: dict[str, Any]
    submitted: float
    status: Status = Status.SUBMITTED
    phase: str | None = None
    percent: int | None = None
    started: float | None = None
    finished: float | None = None
    error: tuple[int, str] | None = None
    details: list[dict[str, Any]] = field(default_factory=list)
    warnings: tuple[str, ...] = ()

    @property
    def metadata(self) -> dict[str, str]:
        """What the client wrote on it."""
        return dict(self.request.get("UserMetadata", {}))


class Jobs:
    """All of them, by identifier."""

    def __init__(self, region: str, clock: Callable[[], float]) -> None:
        self._region, self._clock = region, clock
        self._jobs: dict[str, Job] = {}
        self._tokens: dict[str, Job] = {}
        self._queues: dict[str, dict[str, Any]] = {}
        self.created = 0
        self.create_queue({"Name": "Default"}, kind="SYSTEM")

    def submit(self, request: dict[str, Any]) -> tuple[Job, bool]:
        """The job of a request, and whether it is new. Raises ServiceError."""
        token, now = request["ClientRequestToken"], self._clock()
        known = self._tokens.get(token)
        if known is not None and now - known.submitted < TOKEN_SECONDS:
            if known.request != request:
                raise ServiceError(409, "The same ClientRequestToken was used with another request.")
            return known, False
        queue = self.queue(request.get("Queue", "Default"))["Arn"]
        self.created += 1
        suffix = "".join(random.choices(string.ascii_lowercase + string.digits, k=6))  # noqa: S311 - not a secret
        job = Job(self.created, f"{int(now * 1000)}-{suffix}", queue, request, now)
        self._jobs[job.identifier] = self._tokens[token] = job
        return job, True

    def get(self, identifier: str) -> Job:
        """Raises ServiceError 404."""
        try:
            return self._jobs[identifier]
        except KeyError:
            raise not_found(f"Job {identifier}") from None

    def known(self, job: Job) -> bool:
        """Whether the service still knows it."""
        return job.identifier in self._jobs

    def lose(self, job: Job) -> None:
        """Forgets it, with its token."""
        self._jobs.pop(job.identifier, None)
        self._tokens = {token: other for token, other in self._tokens.items() if other is not job}

    def all(self) -> Iterable[Job]:
        """Oldest first."""
        return tuple(self._jobs.values())

    def page(self, asked: dict[str, Any]) -> dict[str, Any]:
        """A page of ListJobs. Raises ServiceError."""
        ascending = asked.get("Order") == "ASCENDING"
        queue = self.queue(asked["Queue"])["Arn"] if "Queue" in asked else None
        after = _number(asked["NextToken"]) if "NextToken" in asked else None
        found = sorted(
            (
                job
                for job in self._jobs.values()
                if (queue is None or job.queue == queue)
                and ("Status" not in asked or job.status == asked["Status"])
                and (after is None or (job.number > after if ascending else job.number < after))
            ),
            key=lambda job: job.number,
            reverse=not ascending,
        )
        size = asked.get("MaxResults", PAGE)
        page = found[:size]
        more = {"NextToken": _token(page[-1].number)} if len(found) > size else {}
        return {"Jobs": [self.to_answer(job) for job in page], **more}

    def create_queue(self, request: dict[str, Any], kind: str = "CUSTOM") -> dict[str, Any]:
        """Raises ServiceError 409 where there is one of that name."""
        name = request["Name"]
        if name in self._queues:
            raise ServiceError(409, f"Queue {name} exists already.")
        self._queues[name] = {
            "Arn": self._arn(f"queues/{name}"),
            "Name": name,
            "Type": kind,
            "Status": request.get("Status", "ACTIVE"),
            "PricingPlan": "ON_DEMAND",
            "CreatedAt": self._clock(),
        }
        return self._queues[name]

    def queue(self, name_or_arn: str) -> dict[str, Any]:
        """Raises ServiceError 404."""
        name = name_or_arn.rpartition("/")[2]
        queue = self._queues.get(name)
        if queue is None or name_or_arn not in (name, queue["Arn"]):
            raise not_found(f"Queue {name_or_arn}")
        return queue

    def queues(self) -> list[dict[str, Any]]:
        """All queues."""
        return list(self._queues.values())

    def to_answer(self, job: Job) -> dict[str, Any]:
        """The job as the service tells of it: what was asked for and how far it is, but no paths of outputs."""
        timing = {"SubmitTime": job.submitted, "StartTime": job.started, "FinishTime": job.finished}
        error = {"ErrorCode": job.error[0], "ErrorMessage": job.error[1]} if job.error else {}
        return {
            "Arn": self._arn(f"jobs/{job.identifier}"),
            "Id": job.identifier,
            "CreatedAt": job.submitted,
            "Queue": job.queue,
            "Role": job.request["Role"],
            "Settings": job.request["Settings"],
            "ClientRequestToken": job.request["ClientRequestToken"],
            "Status": job.status.value,
            "CurrentPhase": job.phase,
            "JobPercentComplete": job.percent,
            "Timing": {name: int(at) for name, at in timing.items() if at is not None},
            "Messages": {"Info": [], "Warning": list(job.warnings)},
            "OutputGroupDetails": job.details or None,
            "RetryCount": 0,
            **error,
            **{name: job.request[name] for name in ECHOED if name in job.request},
        }

    def _arn(self, what: str) -> str:
        return f"arn:aws:mediaconvert:{self._region}:{ACCOUNT}:{what}"


def _token(number: int) -> str:
    return base64.urlsafe_b64encode(f"after {number}".encode()).decode()


def _number(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode().removeprefix("after "))
    except (ValueError, binascii.Error):
        raise bad_request("The NextToken is not valid.") from None

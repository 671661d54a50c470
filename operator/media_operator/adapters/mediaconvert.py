"""MediaConvert as the operator uses it: four calls, the jobs that are ours among all, and five kinds of refusal.

boto3 in a bounded pool of threads, and without its retries: the poller has its own, which know what may be repeated.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from media_core.listing import JobState, ServiceJob
from media_operator.settings import OperatorSettings

THREADS = 4
PAGE = 20
"""The most there may be."""
SIZE = re.compile(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})")
T = TypeVar("T")


class ServiceTrouble(Exception):
    """MediaConvert refused or did not answer."""


class Throttled(ServiceTrouble):
    """It wants fewer requests, or has no room for more jobs (429, 402). Nothing was done."""


class Unanswered(ServiceTrouble):
    """No answer, 5xx or 409: it can pass, and nobody knows whether anything was done."""


class Misconfigured(ServiceTrouble):
    """Credentials, role, queue or endpoint are wrong (403, 404): somebody has to put that right."""


class Refused(ServiceTrouble):
    """The request is refused as it is (400), and would be again."""


class Unreadable(ServiceTrouble):
    """The original is not one that it can read (422)."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs of a queue, newest first: those of ours, how old the oldest of all is, and where it goes on."""

    jobs: tuple[ServiceJob, ...]
    oldest: datetime | None
    following: str | None


class MediaConvert:
    """One queue of the service. Every method raises ServiceTrouble."""

    def __init__(self, client: Any, queue: str) -> None:
        self._client, self.queue = client, queue
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mediaconvert")

    @classmethod
    def connect(cls, settings: OperatorSettings) -> MediaConvert:
        """By the settings; nothing is contacted yet. The credentials are those of object storage."""
        key, secret = settings.aws_access_key_id, settings.aws_secret_access_key
        client = boto3.client(
            "mediaconvert",
            region_name=settings.aws_region,
            endpoint_url=settings.mediaconvert_endpoint,
            aws_access_key_id=key.get_secret_value() if key else None,
            aws_secret_access_key=secret.get_secret_value() if secret else None,
            config=Config(
                connect_timeout=5,
                read_timeout=20,
                retries={"mode": "standard", "total_max_attempts": 1},
                max_pool_connections=THREADS,
            ),
        )
        return cls(client, settings.mediaconvert_queue)

    async def page(self, state: JobState, following: str | None = None) -> Page:
        """Jobs of the queue in that state."""
        more = {"NextToken": following} if following else {}
        answer = await self._call(
            "list_jobs", Queue=self.queue, Status=state.value, Order="DESCENDING", MaxResults=PAGE, **more
        )
        bodies = answer.get("Jobs") or []
        jobs = tuple(job for body in bodies if (job := read(body)) is not None)
        return Page(jobs, min(map(_created, bodies), default=None), answer.get("NextToken"))

    async def probe(self, url: str) -> dict[str, Any]:
        """What the original is. Raises Unreadable."""
        results = (await self._call("probe", InputFiles=[{"FileUrl": url}])).get("ProbeResults") or [{}]
        found: dict[str, Any] = results[0]
        return found

    async def create(self, request: Mapping[str, Any]) -> str:
        """Submit a job; its id."""
        return str((await self._call("create_job", **request))["Job"]["Id"])

    async def cancel(self, job_id: str) -> None:
        """Cancel a job; one that is over or gone is no error."""
        try:
            await self._call("cancel_job", Id=job_id)
        except ServiceTrouble as trouble:
            cause = trouble.__cause__
            if not isinstance(cause, ClientError) or _status(cause) not in (404, 409):
                raise

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        def translated() -> dict[str, Any]:
            call: Callable[..., dict[str, Any]] = getattr(self._client, operation)
            try:
                return call(**arguments)
            except (ClientError, BotoCoreError) as error:
                raise trouble(error) from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, translated)


def trouble(error: ClientError | BotoCoreError) -> ServiceTrouble:
    """What a refusal means, with the service's own words."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return Misconfigured(str(error))
    if not isinstance(error, ClientError):
        return Unanswered(f"{type(error).__name__}: {error}")
    told = error.response.get("Error", {}).get("Message") or str(error)
    match _status(error):
        case 402 | 429:
            return Throttled(told)
        case 401 | 403 | 404:
            return Misconfigured(told)
        case 422:
            return Unreadable(told)
        case 409:
            return Unanswered(told)
        case status if status >= 500:
            return Unanswered(told)
        case _:
            return Refused(told)


def read(body: Mapping[str, Any]) -> ServiceJob | None:
    """A job that carries an asset's id and uid and the size of its film; None for one of somebody else."""
    metadata = body.get("UserMetadata") or {}
    asset_id, uid, shown = metadata.get("assetId"), metadata.get("uid"), SIZE.fullmatch(metadata.get("shown") or "")
    if not asset_id or not uid or shown is None or body.get("Status") not in set(JobState):
        return None
    started = (body.get("Timing") or {}).get("StartTime")
    return ServiceJob(
        id=body["Id"],
        asset_id=asset_id,
        uid=uid,
        state=JobState(body["Status"]),
        created=_created(body),
        shown=(int(shown[1]), int(shown[2])),
        token=body.get("ClientRequestToken"),
        percent=body.get("JobPercentComplete"),
        started=started.astimezone(UTC) if started else None,
        error_code=body.get("ErrorCode") or 0,
        error_message=body.get("ErrorMessage") or "",
    )


def _created(body: Mapping[str, Any]) -> datetime:
    created: datetime = body["CreatedAt"]
    return created.astimezone(UTC)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))

"""A worker Job as the operator sees it: is it over, how did it end, did it ever become ready.

Over means the Job's terminal condition, nothing else: container reasons and pod phases differ between runtimes and
versions, so they are never read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from media_core.names import ISOLATED_LABEL, POOL_LABEL, TEMPLATE_LABEL


class Outcome(StrEnum):
    """How a Job ended, as far as its assets are concerned."""

    COMPLETED = "completed"
    CRASHED = "crashed"
    DISRUPTED = "disrupted"
    MISCONFIGURED = "misconfigured"
    GONE = "gone"
    """There is no such Job any more; nobody can say how it ended."""


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """One worker Job. `ready` counts ready pods; `outcome` is None while it is not over."""

    name: str
    uid: str
    version: int
    pool: str
    template_hash: str
    isolated_for: str | None
    created: datetime
    ready: int
    outcome: Outcome | None
    deleting: bool
    why: str = ""
    ended: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether its terminal condition is there."""
        return self.outcome is not None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """From the API server's JSON. Raises KeyError where the object is no Job at all."""
        metadata, status = body["metadata"], body.get("status") or {}
        labels = metadata.get("labels") or {}
        outcome, why, ended = _outcome(status)
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            pool=labels.get(POOL_LABEL, ""),
            template_hash=labels.get(TEMPLATE_LABEL, ""),
            isolated_for=labels.get(ISOLATED_LABEL),
            created=datetime.fromisoformat(metadata["creationTimestamp"]),
            ready=int(status.get("ready") or 0),
            outcome=outcome,
            deleting="deletionTimestamp" in metadata,
            why=why,
            ended=ended,
        )


def _outcome(status: Mapping[str, Any]) -> tuple[Outcome | None, str, datetime | None]:
    for condition in status.get("conditions") or ():
        if condition.get("status") != "True":
            continue
        message = condition.get("message") or ""
        moment = condition.get("lastTransitionTime")
        ended = datetime.fromisoformat(moment) if moment else None
        match condition.get("type"), condition.get("reason"):
            case "Complete", _:
                return Outcome.COMPLETED, message, ended
            case "Failed", "BackoffLimitExceeded":
                return Outcome.CRASHED, message, ended
            case "Failed", "PodFailurePolicy" if "exit code" in message:
                return Outcome.MISCONFIGURED, message, ended
            case "Failed", _:
                return Outcome.DISRUPTED, message, ended
    return None, "", None


FRUITLESS_BACKOFF_SECONDS = 2.0
FRUITLESS_LONGEST = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Fruitless:
    """Workers that ended, one after the other, without finishing anything; and until when no other is started."""

    count: int
    until: datetime
    why: str


def fruitless(jobs: Iterable[WorkerJob], finished: Callable[[str], bool]) -> Fruitless | None:
    """The newest Jobs of a pool, as long as each crashed (or refused its configuration) and finished nothing.

    `finished(job)`: whether an asset was settled by that Job. A crash while running alone is the asset's, not the
    pool's, so those do not count.
    """
    newest_first = sorted(
        (job for job in jobs if job.isolated_for is None), key=lambda job: (job.created, job.name), reverse=True
    )
    count, last = 0, None
    for job in newest_first:
        if job.outcome not in (Outcome.CRASHED, Outcome.MISCONFIGURED) or finished(job.name):
            break
        last = last or job
        count += 1
    if last is None:
        return None
    wait = timedelta(seconds=FRUITLESS_BACKOFF_SECONDS * 2 ** min(count - 1, 10))
    return Fruitless(count, (last.ended or last.created) + min(wait, FRUITLESS_LONGEST), last.why)

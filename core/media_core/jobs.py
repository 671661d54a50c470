"""A worker Job as the operator sees it: is it over, how did it end, did it ever become ready.

Over means the Job's terminal condition, nothing else: container reasons and pod phases differ between runtimes and
versions, so they are never read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
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

    @property
    def over(self) -> bool:
        """Whether its terminal condition is there."""
        return self.outcome is not None

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """From the API server's JSON. Raises KeyError where the object is no Job at all."""
        metadata, status = body["metadata"], body.get("status") or {}
        labels = metadata.get("labels") or {}
        outcome, why = _outcome(status)
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
        )


def _outcome(status: Mapping[str, Any]) -> tuple[Outcome | None, str]:
    for condition in status.get("conditions") or ():
        if condition.get("status") != "True":
            continue
        message = condition.get("message") or ""
        match condition.get("type"), condition.get("reason"):
            case "Complete", _:
                return Outcome.COMPLETED, message
            case "Failed", "BackoffLimitExceeded":
                return Outcome.CRASHED, message
            case "Failed", "PodFailurePolicy" if "exit code" in message:
                return Outcome.MISCONFIGURED, message
            case "Failed", _:
                return Outcome.DISRUPTED, message
    return None, ""

"""Faults on demand: what a busy, broken or forgetful MediaConvert does to its clients and to its jobs.

A fault of a request acts on the operations it names; a fault of a job on the next jobs that are taken up. Each acts
so many times, or for so long, or until it is cleared.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from media_devcluster.mediaconvert.errors import NAMES, ServiceError


class Effect(StrEnum):
    """What happens to a request or to a job."""

    THROTTLE = "throttle"
    SERVER_ERROR = "serverError"
    REFUSE = "refuse"
    """Answered with `status`."""
    LATENCY = "latency"
    """Answered `seconds` late."""
    CLOSE = "close"
    """The connection is closed before the request is looked at."""
    LOSE_ANSWER = "loseAnswer"
    """The request is carried out, and the connection closed instead of an answer."""
    FAIL_JOB = "failJob"
    """The job ends with ERROR, `code` and `message`, once it has come to `percent`."""
    STALL_JOB = "stallJob"
    """The job stays PROGRESSING at `percent` until the fault is cleared."""
    LOSE_JOB = "loseJob"
    """The service knows nothing of the job any more."""


OF_JOBS = frozenset({Effect.FAIL_JOB, Effect.STALL_JOB, Effect.LOSE_JOB})
SENTENCES = {429: "Too many requests.", 500: "A fault is switched on."}


@dataclass(eq=False)
class Fault:
    """One fault that is switched on."""

    effect: Effect
    operations: frozenset[str] = frozenset()
    """Names as boto3 has them in its model (CreateJob, ListJobs, …); none means all. Of requests only."""
    asset: str = ""
    """Acts only on jobs that carry this text as a value of UserMetadata. Of jobs only."""
    times: int | None = None
    until: float | None = None
    seconds: float = 1.0
    status: int = 403
    code: int = 1999
    message: str = "Unexpected internal error."
    percent: int = 0
    hits: int = 0

    def refusal(self) -> ServiceError | None:
        """The answer it gives instead of the real one, if it gives one."""
        statuses = {Effect.THROTTLE: 429, Effect.SERVER_ERROR: 500, Effect.REFUSE: self.status}
        if (status := statuses.get(self.effect)) is None:
            return None
        return ServiceError(status, SENTENCES.get(status, self.message))


@dataclass
class Faults:
    """The faults that are switched on."""

    clock: Callable[[], float]
    rules: list[Fault] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(
        self,
        effect: Effect | str,
        *,
        operations: tuple[str, ...] | list[str] = (),
        asset: str = "",
        times: int | None = None,
        lasting: float | None = None,
        seconds: float = 1.0,
        status: int = 403,
        code: int = 1999,
        message: str = "Unexpected internal error.",
        percent: int = 0,
    ) -> Fault:
        """Switches a fault on. Raises ValueError for one that there is not."""
        if status not in NAMES:
            raise ValueError(f"the service answers with no {status}")
        fault = Fault(
            Effect(effect),
            frozenset(operations),
            asset,
            times,
            None if lasting is None else self.clock() + lasting,
            seconds,
            status,
            code,
            message,
            percent,
        )
        self.rules.append(fault)
        return fault

    def remove(self, fault: Fault) -> None:
        """Switches one off; jobs that it held go on."""
        if fault in self.rules:
            self.rules.remove(fault)
        self._wake()

    def clear(self) -> None:
        """Switches everything off."""
        self.rules.clear()
        self._wake()

    def on_request(self, operation: str) -> list[Fault]:
        """The faults that act on a request; each is used up by one."""
        return self._hit(
            lambda rule: rule.effect not in OF_JOBS and (not rule.operations or operation in rule.operations)
        )

    def on_job(self, metadata: dict[str, str]) -> Fault | None:
        """The first fault that acts on a job, used up by one."""
        acting = self._hit(
            lambda rule: rule.effect in OF_JOBS and (not rule.asset or rule.asset in metadata.values()), only=1
        )
        return acting[0] if acting else None

    async def held(self, fault: Fault) -> None:
        """Waits until the fault is switched off or its time is over."""
        while fault in self.rules:
            left = None if fault.until is None else fault.until - self.clock()
            if left is not None and left <= 0:
                return
            self._changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                return

    def _hit(self, acts: Callable[[Fault], bool], only: int | None = None) -> list[Fault]:
        now = self.clock()
        acting = [
            rule
            for rule in self.rules
            if (rule.until is None or rule.until > now) and (rule.times is None or rule.hits < rule.times)
            if acts(rule)
        ][:only]
        for rule in acting:
            rule.hits += 1
        return acting

    def _wake(self) -> None:
        self._changed.set()

    def state(self) -> list[dict[str, Any]]:
        """What is switched on."""
        return [
            {"effect": rule.effect, "operations": sorted(rule.operations), "hits": rule.hits} for rule in self.rules
        ]

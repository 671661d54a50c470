"""What tests and people tell the double, by `POST /_faults`: which faults to switch on, which jobs to lose.

{"clear": true}                                  no faults any more; jobs that were held go on
{"add": [{"effect": "throttle", "times": 50}]}   see faults.py for effects and their members
{"lose": ["<job id>"]}                           the service forgets these jobs
{"settle": [{"job": "<job id>", "status": "COMPLETE"}]}   they are over, without anything being made
{"foreign": 30}                                  so many jobs of somebody else in the same queue
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from media_devcluster.mediaconvert.errors import ServiceError, bad_request
from media_devcluster.mediaconvert.faults import Faults
from media_devcluster.mediaconvert.jobs import Jobs, Status
from media_devcluster.mediaconvert.running import Running
from media_devcluster.mediaconvert.transcoding import INTERNAL

KNOWN = ("clear", "add", "lose", "settle", "foreign")
FOREIGN: dict[str, Any] = {
    "Role": "arn:aws:iam::123456789012:role/somebody-else",
    "Settings": {"Inputs": [{"FileInput": "s3://elsewhere/film.mov"}]},
    "UserMetadata": {"application": "somebody-else"},
}


class Orders:
    """Carries them out."""

    def __init__(self, jobs: Jobs, running: Running, faults: Faults, calls: Counter[str]) -> None:
        self._jobs, self._running, self._faults, self._calls = jobs, running, faults, calls

    async def control(self, method: str, order: dict[str, Any]) -> dict[str, Any]:
        """Do what the order says, and tell the state. Raises ServiceError for an order there is not."""
        if method == "DELETE":
            order = {"clear": True}
        elif method not in ("GET", "POST"):
            raise bad_request(f"{method} is for nothing here")
        if unknown := order.keys() - set(KNOWN):
            raise bad_request(f"unknown orders: {', '.join(sorted(unknown))}; known: {', '.join(KNOWN)}")
        if order.get("clear"):
            self._faults.clear()
        try:
            for rule in order.get("add", ()):
                self._faults.add(**rule)
            for each in order.get("settle", ()):
                await self._settle(**each)
        except (TypeError, ValueError) as error:
            raise bad_request(f"not understood: {error}") from error
        for identifier in order.get("lose", ()):
            await self._running.lose(self._jobs.get(identifier))
        self.foreign(order.get("foreign", 0))
        return self.state()

    def foreign(self, count: int) -> None:
        """Submit that many jobs of somebody else; half of them are over."""
        for at in range(count):
            job, _ = self._jobs.submit({**FOREIGN, "ClientRequestToken": f"foreign-{self._jobs.created}"})
            job.status, job.percent = (Status.PROGRESSING, 50) if at % 2 else (Status.COMPLETE, 100)

    def state(self) -> dict[str, Any]:
        """What is switched on, how often each operation was called, and how many jobs were ever created."""
        jobs = [
            {"id": job.identifier, "status": job.status, "percent": job.percent, "metadata": job.metadata}
            for job in self._jobs.all()
        ]
        return {
            "rules": self._faults.state(),
            "calls": dict(self._calls),
            "created": self._jobs.created,
            "jobs": jobs,
        }

    async def _settle(self, job: str, status: str, code: int = INTERNAL, message: str = "As ordered.") -> None:
        wanted = Status(status)
        try:
            found = self._jobs.get(job)
        except ServiceError as error:
            raise ValueError(error.message) from error
        await self._running.settle(found, wanted, code, message)

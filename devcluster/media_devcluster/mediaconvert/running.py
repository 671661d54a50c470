"""Taking up jobs: in the order they came, a few at once, each until it is over, canceled or lost."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from media_devcluster.mediaconvert.errors import JobFailed, ServiceError
from media_devcluster.mediaconvert.faults import Effect, Fault, Faults
from media_devcluster.mediaconvert.jobs import OVER, Job, Jobs, Status
from media_devcluster.mediaconvert.transcoding import INTERNAL, Phase, transcode

AT_ONCE = 1
log = structlog.get_logger(__name__)


class Running:
    """The service's side of the queues."""

    def __init__(self, jobs: Jobs, faults: Faults, s3: Any, folder: Path, clock: Callable[[], float]) -> None:
        self._jobs, self._faults, self._s3, self._folder, self._clock = jobs, faults, s3, folder, clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def take(self, job: Job) -> None:
        """A job was submitted."""
        task = asyncio.create_task(self._carry(job), name=job.identifier)
        self._tasks[job.identifier] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.identifier, None))

    async def cancel(self, job: Job) -> None:
        """End it. Raises ServiceError 409 where it is over."""
        if job.status in OVER:
            raise ServiceError(409, f"Job {job.identifier} is {job.status} and cannot be canceled.")
        await self._end(job)
        self._over(job, Status.CANCELED)

    async def lose(self, job: Job) -> None:
        """Forget it, and do nothing more for it."""
        self._jobs.lose(job)
        await self._end(job)

    async def settle(self, job: Job, status: Status, code: int, message: str) -> None:
        """Let it be over at once, without having made anything more."""
        await self._end(job)
        job.error = (code, message) if status is Status.ERROR else None
        self._over(job, status)

    async def stop(self) -> None:
        """End all that runs."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _end(self, job: Job) -> None:
        if (task := self._tasks.get(job.identifier)) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _carry(self, job: Job) -> None:
        fault = self._faults.on_job(job.metadata)
        if fault is not None and fault.effect is Effect.LOSE_JOB:
            self._jobs.lose(job)
            return
        if fault is not None and fault.effect is Effect.STALL_JOB:
            self._progress(job, Phase.TRANSCODING, fault.percent)
            await self._faults.held(fault)
        async with self._slots:
            folder = self._folder / job.identifier
            folder.mkdir(parents=True)
            try:
                await self._work(job, folder, fault)
            except JobFailed as failed:
                job.error = (failed.code, failed.message)
                self._over(job, Status.ERROR)
            except Exception as error:
                log.exception("job broke", job=job.identifier)
                job.error = (INTERNAL, f"Unexpected internal error: {error!r}")
                self._over(job, Status.ERROR)
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, True)

    async def _work(self, job: Job, folder: Path, fault: Fault | None) -> None:
        failing = fault if fault is not None and fault.effect is Effect.FAIL_JOB else None

        def told(phase: Phase, percent: int) -> None:
            if failing is not None and percent >= failing.percent:
                raise JobFailed(failing.code, failing.message)
            self._progress(job, phase, percent)

        made = await transcode(job.request["Settings"], self._s3, folder, told)
        job.details, job.warnings = made.to_details(), made.warnings
        self._over(job, Status.COMPLETE)

    def _progress(self, job: Job, phase: Phase, percent: int) -> None:
        if job.status is Status.SUBMITTED:
            job.status, job.started = Status.PROGRESSING, self._clock()
            log.info("job taken up", job=job.identifier)
        job.phase, job.percent = phase, max(percent, job.percent or 0)

    def _over(self, job: Job, status: Status) -> None:
        job.status, job.finished, job.phase = status, self._clock(), None
        job.percent = 100 if status is Status.COMPLETE else job.percent
        log.info("job over", job=job.identifier, status=status.value, error=job.error)

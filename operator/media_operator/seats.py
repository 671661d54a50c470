"""Since when each worker Job is ready, unready or idle, by the operator's own clock.

No object says it, so it is remembered here, apart from the scheduler that only asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from media_core.asset import MediaAsset, Phase
from media_core.jobs import WorkerJob
from media_core.scheduling import STUCK_AFTER, Seat


class SeatTimes:
    """Since when a Job is ready, unready or idle: the operator's own memory, as no object says it.

    A Job that was seen to start is idle from then on, because its worker counts from then as well. One first met idle
    is taken to be idle since its last completion. Work that was begun proves that an older Job was ready once; of a
    young one it proves nothing new, as its status only lags.
    """

    def __init__(self) -> None:
        self._ever_ready: set[str] = set()
        self._unready: dict[str, datetime] = {}
        self._idle: dict[str, datetime] = {}

    def seat(
        self,
        job: WorkerJob,
        bound_assets: Iterable[MediaAsset],
        current: str,
        last_completion: Callable[[str], datetime | None],
        now: datetime,
    ) -> Seat:
        """The Job as the scheduler sees it."""
        held = list(bound_assets)
        begun = any(asset.status is not None and asset.status.phase is Phase.PROCESSING for asset in held)
        if not held and job.name not in self._idle:
            completed = last_completion(job.name)
            self._idle[job.name] = completed or job.created
            begun = completed is not None
        if begun and now - job.created >= STUCK_AFTER:
            self._ever_ready.add(job.name)
        if job.ready > 0:
            if self._unready.pop(job.name, None) is not None and job.name not in self._ever_ready:
                self._idle[job.name] = now
            self._ever_ready.add(job.name)
        else:
            self._unready.setdefault(job.name, now)
        if held:
            self._idle[job.name] = now
        return Seat(
            job=job.name,
            created=job.created,
            bound=tuple(asset.name for asset in held),
            bound_owners=tuple(asset.spec.owner for asset in held),
            current=job.template_hash == current,
            deleting=job.deleting,
            isolated_for=job.isolated_for,
            ever_ready=job.name in self._ever_ready,
            unready_since=self._unready.get(job.name),
            idle_since=None if held else self._idle[job.name],
        )

    def born(self, job: str, now: datetime) -> None:
        """This operator has just created the Job: nothing of it can be older, whatever the API server's clock says."""
        self._unready[job] = self._idle[job] = now

    def keep(self, names: set[str]) -> None:
        """Forget Jobs that are no more."""
        self._ever_ready &= names
        for memory in (self._unready, self._idle):
            for name in memory.keys() - names:
                del memory[name]

"""The Job controller: hears of Jobs and pods, asks `jobstatus.decide`, and carries the answer out."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable

import structlog

from media_devcluster.embedded.errors import ApiError, Object
from media_devcluster.embedded.jobstatus import JobPlan, decide
from media_devcluster.embedded.kinds import TRACKING_FINALIZER
from media_devcluster.embedded.registry import AS_STATUS, DeleteOptions, Registry, random_suffix
from media_devcluster.embedded.resources import JOBS, PODS
from media_devcluster.embedded.store import Change, Key

log = structlog.get_logger(__name__)

BACKGROUND = DeleteOptions(propagation="Background")
LEAST_WAIT_SECONDS = 0.05


def owner_of(pod: Object) -> str | None:
    """The uid of the Job a pod belongs to."""
    for owner in pod["metadata"].get("ownerReferences", ()):
        if owner["kind"] == JOBS.kind and owner.get("controller"):
            return str(owner["uid"])
    return None


class JobController:
    """Brings Jobs to their ends."""

    def __init__(self, registry: Registry, clock: Callable[[], float], *, backoff_seconds: float = 1.0) -> None:
        self._registry = registry
        self._clock = clock
        self._backoff_seconds = backoff_seconds
        self._pods: defaultdict[str, set[Key]] = defaultdict(set)
        self._due: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        registry.store.listeners.append(self.hear)

    def hear(self, change: Change) -> None:
        """Queues the Job that a change is about."""
        current = change.after or change.before
        assert current is not None
        if change.collection == JOBS.name:
            uid = current.body["metadata"]["uid"]
            self._enqueue(uid)
        elif change.collection == PODS.name:
            old = owner_of(change.before.body) if change.before else None
            new = owner_of(change.after.body) if change.after else None
            if old and old != new:
                self._pods[old].discard(change.key)
                self._enqueue(old)
            if new:
                self._pods[new].add(change.key)
                self._enqueue(new)
            if change.after is not None and new is None:
                self._let_go(change.key)

    async def run(self) -> None:
        """Works off what was heard."""
        while True:
            uid = await self._due.get()
            self._queued.discard(uid)
            try:
                self._settle(uid)
            except ApiError as error:
                log.warning("job not settled", uid=uid, error=str(error))

    def _enqueue(self, uid: str) -> None:
        if uid not in self._queued:
            self._queued.add(uid)
            self._due.put_nowait(uid)

    def _settle(self, uid: str) -> None:
        if (timer := self._timers.pop(uid, None)) is not None:
            timer.cancel()
        key = self._registry.live.get(uid)
        pods = [
            (place, found.body)
            for place in sorted(self._pods.get(uid, ()))
            if (found := self._registry.store.get(PODS.name, place)) is not None
        ]
        job = self._registry.store.get(JOBS.name, key) if key is not None else None
        if key is None or job is None:
            for place, _ in pods:
                self._let_go(place)
            if not pods:
                self._pods.pop(uid, None)
            return
        plan = decide(job.body, [body for _, body in pods], self._clock(), self._backoff_seconds)
        self._apply(key, job.body, plan)
        if plan.wake_after is not None:
            loop = asyncio.get_running_loop()
            wait = max(plan.wake_after, LEAST_WAIT_SECONDS)
            self._timers[uid] = loop.call_later(wait, self._enqueue, uid)

    def _apply(self, key: Key, job: Object, plan: JobPlan) -> None:
        """The status first: a pod is released only when it is counted."""
        self._registry.update(JOBS, key, lambda body: {**body, "status": plan.status}, AS_STATUS)
        for name in plan.release:
            self._let_go(Key(key.namespace, name))
        for name in plan.delete:
            self._registry.delete(PODS, Key(key.namespace, name))
        for _ in range(plan.create):
            self._registry.create(PODS, key.namespace, pod_of(job))
        if plan.remove:
            self._registry.delete(JOBS, key, BACKGROUND)

    def _let_go(self, key: Key) -> None:
        """Takes the tracking finalizer off a pod."""
        found = self._registry.store.get(PODS.name, key)
        if found is None or TRACKING_FINALIZER not in found.body["metadata"].get("finalizers", ()):
            return

        def released(body: Object) -> Object:
            metadata = body["metadata"]
            kept = [one for one in metadata["finalizers"] if one != TRACKING_FINALIZER]
            return {**body, "metadata": {**metadata, "finalizers": kept}}

        self._registry.update(PODS, key, released)


def pod_of(job: Object) -> Object:
    """The next pod of a Job."""
    metadata, template = job["metadata"], job["spec"]["template"]
    given = template.get("metadata") or {}
    owner = {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "metadata": {
            "name": f"{metadata['name'][:57]}-{random_suffix()}",
            "labels": given.get("labels", {}),
            "annotations": given.get("annotations", {}),
            "finalizers": [TRACKING_FINALIZER],
            "ownerReferences": [owner],
        },
        "spec": template["spec"],
    }

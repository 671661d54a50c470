"""The kubelet of the embedded cluster: a run for every pod, and the pod's own subresources, log and eviction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import structlog
from aiohttp import web

from media_devcluster.embedded import errors
from media_devcluster.embedded.errors import Object
from media_devcluster.embedded.objects import stamp
from media_devcluster.embedded.paths import Target
from media_devcluster.embedded.podrun import Machine, PodRun
from media_devcluster.embedded.podstatus import FINISHED
from media_devcluster.embedded.registry import AS_STATUS, DeleteOptions, Registry
from media_devcluster.embedded.resources import PODS
from media_devcluster.embedded.store import Change, Key, encode

log = structlog.get_logger(__name__)

FOLLOW_SECONDS = 0.1
DISRUPTION = "DisruptionTarget"


class Kubelet:
    """Runs all pods of the cluster."""

    def __init__(self, registry: Registry, machine: Machine, clock: Callable[[], float]) -> None:
        self._registry = registry
        self.machine = machine
        self._clock = clock
        self._runs: dict[str, PodRun] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        registry.store.listeners.append(self.hear)

    def hear(self, change: Change) -> None:
        """Starts what is new and ends what is being deleted."""
        if change.collection != PODS.name:
            return
        if change.after is None:
            assert change.before is not None
            if (run := self._runs.get(change.before.body["metadata"]["uid"])) is not None:
                run.vanish()
            return
        pod = change.after.body
        metadata = pod["metadata"]
        if change.before is None:
            if not self._stopping:
                self._start(pod)
        elif "deletionTimestamp" in metadata and (run := self._runs.get(metadata["uid"])) is not None:
            before = change.before.body["metadata"]
            grace = metadata["deletionGracePeriodSeconds"]
            if before.get("deletionGracePeriodSeconds") != grace:
                run.end(grace)

    def _start(self, pod: Object) -> None:
        run = PodRun(self._registry, self.machine, self._clock, pod)
        self._runs[run.uid] = run
        task = asyncio.get_running_loop().create_task(run.run(), name=f"pod {run.key.name}")
        self._tasks[run.uid] = task
        task.add_done_callback(lambda done: self._over(run, done))

    def _over(self, run: PodRun, task: asyncio.Task[None]) -> None:
        self._runs.pop(run.uid, None)
        self._tasks.pop(run.uid, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("pod run broke", pod=run.key.name, exc_info=error)

    async def stop(self, grace: float) -> None:
        """Ends all processes: SIGTERM, and SIGKILL when the grace is over.

        The API still answers meanwhile, so that what ends can say so.
        """
        self._stopping = True
        tasks = set(self._tasks.values())
        for run in tuple(self._runs.values()):
            run.vanish(grace)
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=grace + 5)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def evict(self, request: web.BaseRequest, target: Target, key: Key) -> web.Response:
        """Marks a pod as disrupted and deletes it, as a drain does."""

        def disrupted(body: Object) -> Object:
            status = body.get("status") or {}
            kept = [one for one in status.get("conditions", ()) if one["type"] != DISRUPTION]
            condition = {
                "type": DISRUPTION,
                "status": "True",
                "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting",
                "lastTransitionTime": stamp(self._clock()),
            }
            return {**body, "status": {**status, "conditions": [*kept, condition]}}

        current = self._registry.get(PODS, key)
        if current.body.get("status", {}).get("phase") not in FINISHED:
            self._registry.update(PODS, key, disrupted, AS_STATUS)
        self._registry.delete(PODS, key, DeleteOptions())
        status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
        return web.Response(body=encode(status).encode(), status=201, content_type="application/json")

    async def logs(self, request: web.BaseRequest, target: Target, key: Key) -> web.StreamResponse:
        """The output of one container; follows it while it runs when asked to."""
        pod = self._registry.get(PODS, key).body
        names = [one["name"] for one in pod["spec"]["containers"]]
        inits = [one["name"] for one in pod["spec"].get("initContainers") or ()]
        name = request.query.get("container") or names[0]
        if name not in names + inits:
            raise errors.bad_request(f"container {name} is not valid for pod {key.name}")
        path = self.machine.log_file(pod["metadata"]["uid"], name)
        tail = request.query.get("tailLines")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        follow = request.query.get("follow") in ("true", "1")
        async for text in self._output(path, int(tail) if tail else None, pod["metadata"]["uid"], follow):
            await response.write(text)
        return response

    async def _output(self, path: Path, tail: int | None, uid: str, follow: bool) -> AsyncIterator[bytes]:
        content = _read(path, 0)
        position = len(content)
        yield b"".join(content.splitlines(keepends=True)[-tail:]) if tail else content
        while follow:
            follow = uid in self._runs
            await asyncio.sleep(FOLLOW_SECONDS)
            if content := _read(path, position):
                position += len(content)
                yield content


def _read(path: Path, position: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as output:
        output.seek(position)
        return output.read()

"""One pod as local processes, from its first to its last.

Sidecars start before the main containers, are restarted when they die and are stopped after them. A deletion sends
SIGTERM, and SIGKILL when the grace period is over. Every change of a container is reported on the pod's status.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from media_devcluster.embedded.containers import (
    ConfigError,
    contents,
    has_token,
    invocation,
    is_sidecar,
    is_unpullable,
    mounts,
)
from media_devcluster.embedded.errors import ApiError, Object
from media_devcluster.embedded.podstatus import Phase, State, pod_status
from media_devcluster.embedded.processes import ContainerProcess, Reaper
from media_devcluster.embedded.registry import AS_STATUS, DeleteOptions, Registry
from media_devcluster.embedded.resources import PODS
from media_devcluster.embedded.store import Key

NODE = "embedded"
START_ERROR = 128
SHORTEST_GRACE_SECONDS = 2.0
LONGEST_BACKOFF_SECONDS = 30.0
CONFIG_RETRY_SECONDS = 0.5
T = TypeVar("T")


@dataclass(frozen=True)
class Machine:
    """What pods have of this machine."""

    scratch: Path
    """Folders of pods: a short path, since unix sockets are made in it."""
    logs: Path
    kubeconfig: Path
    env: Mapping[str, str]
    reaper: Reaper
    backoff_seconds: float = 1.0

    def log_file(self, uid: str, container: str) -> Path:
        """Where a container's output goes."""
        return self.logs / uid / f"{container}.log"


class PodRun:
    """The run of one pod."""

    def __init__(self, registry: Registry, machine: Machine, clock: Callable[[], float], pod: Object) -> None:
        self._registry = registry
        self._machine = machine
        self._clock = clock
        self._pod = pod
        metadata = pod["metadata"]
        self.key = Key(metadata["namespace"], metadata["name"])
        self.uid: str = metadata["uid"]
        self._folder = machine.scratch / self.uid[:8]
        self._mains: list[Object] = pod["spec"]["containers"]
        self._inits: list[Object] = pod["spec"].get("initContainers") or []
        self._states = {one["name"]: State() for one in [*self._inits, *self._mains]}
        self._processes: dict[str, ContainerProcess] = {}
        self._sidecars: dict[str, asyncio.Task[None]] = {}
        self._initialized = False
        self._ending = asyncio.Event()
        self._sidecars_end = False
        self._gone = False

    def end(self, grace: float) -> None:
        """The pod is being deleted; may be called again with a shorter grace."""
        self._ending.set()
        for name in self._running(self._mains):
            self._processes[name].terminate()
        asyncio.get_running_loop().call_later(grace, self._kill, self._mains)

    def vanish(self, grace: float = 0.0) -> None:
        """Nobody is left to report to: its object is gone, or the cluster ends."""
        self._gone = True
        self.end(grace)

    async def run(self) -> None:
        """Runs it and reports; its processes are gone when this returns or is cancelled."""
        try:
            self._bind()
            phase = await self._live()
            await self._stop_sidecars()
            self._report(phase)
        finally:
            for task in self._sidecars.values():
                task.cancel()
            self._kill([*self._inits, *self._mains])
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._ending.is_set() and not self._gone:
            with contextlib.suppress(ApiError):
                self._registry.delete(PODS, self.key, DeleteOptions(grace=0, uid=self.uid))

    async def _live(self) -> Phase:
        """Everything up to the end of the main containers."""
        unpullable = [one["name"] for one in [*self._inits, *self._mains] if is_unpullable(one)]
        if unpullable:
            for name in unpullable:
                self._states[name] = State("ImagePullBackOff", "the image cannot be pulled")
            self._report(Phase.PENDING)
            await self._ending.wait()
            return Phase.FAILED
        folders = await self._volumes()
        for container in self._inits:
            if is_sidecar(container):
                await self._start_sidecar(container, folders)
            elif await self._run_once(container, folders) != 0:
                return Phase.FAILED
        self._initialized = True
        if self._ending.is_set():
            return Phase.FAILED
        codes = await asyncio.gather(*(self._run_once(one, folders) for one in self._mains))
        return Phase.FAILED if any(codes) else Phase.SUCCEEDED

    async def _volumes(self) -> dict[str, Path]:
        """A folder per volume, with the files it begins with."""
        folders: dict[str, Path] = {}
        (self._folder / "home").mkdir(parents=True, exist_ok=True)
        for volume in self._pod["spec"].get("volumes") or ():
            folder = folders[volume["name"]] = self._folder / volume["name"]
            folder.mkdir(parents=True, exist_ok=True)
            files = await self._configured(self._mains[0]["name"], contents, volume, self._look_up)
            for name, content in (files or {}).items():
                (folder / name).write_bytes(content)
        return folders

    async def _configured(self, name: str, make: Callable[..., T], *arguments: object) -> T | None:
        """What `make` makes, as soon as everything it refers to exists; None when the pod ends first."""
        while not self._ending.is_set():
            try:
                return make(*arguments)
            except ConfigError as error:
                self._set(name, State("CreateContainerConfigError", str(error)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONFIG_RETRY_SECONDS):
                    await self._ending.wait()
        return None

    async def _run_once(self, container: Object, folders: Mapping[str, Path]) -> int:
        """Runs a container to its end and returns its exit code."""
        process = await self._start(container, folders)
        return START_ERROR if process is None else await self._ended(container, process)

    async def _start(self, container: Object, folders: Mapping[str, Path]) -> ContainerProcess | None:
        name = container["name"]
        base = self._base_env(container, folders)
        what = await self._configured(name, invocation, self._pod, container, base, folders, self._look_up)
        if what is None:
            return None
        log = self._machine.log_file(self.uid, name)
        try:
            process = await ContainerProcess.start(
                what.command, what.env, self._folder / "home", log, self._machine.reaper
            )
        except OSError as error:
            now = self._clock()
            ended = State(None, str(error), now, now, START_ERROR, "StartError", self._states[name].restarts)
            self._set(name, ended)
            return None
        self._processes[name] = process
        self._set(name, replace(self._states[name], waiting=None, message="", started=self._clock()))
        if self._ending.is_set() and container in self._mains:
            process.terminate()
        return process

    async def _ended(self, container: Object, process: ContainerProcess) -> int:
        code = await process.wait()
        name = container["name"]
        self._set(name, replace(self._states[name], exit_code=code, finished=self._clock()))
        return code

    async def _start_sidecar(self, container: Object, folders: Mapping[str, Path]) -> None:
        """Starts it and goes on; it is kept alive in a task of its own."""
        process = await self._start(container, folders)
        self._sidecars[container["name"]] = asyncio.create_task(
            self._keep_alive(container, folders, process), name=f"sidecar {container['name']}"
        )

    async def _keep_alive(
        self, container: Object, folders: Mapping[str, Path], process: ContainerProcess | None
    ) -> None:
        """At once after the first death, then ever slower."""
        name, backoff = container["name"], 0.0
        while True:
            if process is not None:
                await self._ended(container, process)
            if self._sidecars_end:
                return
            if backoff:
                waits = State("CrashLoopBackOff", f"back-off {backoff:g}s restarting failed container")
                ended = self._states[name]
                self._set(name, replace(waits, restarts=ended.restarts, last=ended))
                await asyncio.sleep(backoff)
            ended = self._states[name].last or self._states[name]
            self._states[name] = State(None, restarts=ended.restarts + 1, last=replace(ended, last=None))
            backoff = min(max(2 * backoff, self._machine.backoff_seconds), LONGEST_BACKOFF_SECONDS)
            process = await self._start(container, folders)

    async def _stop_sidecars(self) -> None:
        """In the reverse order of their start, each with its grace."""
        self._sidecars_end = True
        grace = float(self._pod["spec"].get("terminationGracePeriodSeconds", 30))
        if self._ending.is_set():
            grace = SHORTEST_GRACE_SECONDS
        for name in reversed(self._sidecars):
            task = self._sidecars[name]
            if name in self._processes and self._states[name].running:
                self._processes[name].terminate()
                await asyncio.wait({task}, timeout=grace)
                self._processes[name].kill()
                await asyncio.wait({task}, timeout=SHORTEST_GRACE_SECONDS)
            task.cancel()

    def _running(self, containers: list[Object]) -> list[str]:
        names = (one["name"] for one in containers)
        return [name for name in names if name in self._processes and self._states[name].running]

    def _kill(self, containers: list[Object]) -> None:
        for name in self._running(containers):
            self._processes[name].kill()

    def _base_env(self, container: Object, folders: Mapping[str, Path]) -> dict[str, str]:
        home = next((folder for path, folder in mounts(container, folders) if path == "/tmp"), None)  # noqa: S108
        scratch = str(home or self._folder / "home")
        env = {**self._machine.env, "HOME": scratch, "TMPDIR": scratch, "HOSTNAME": self.key.name}
        if has_token(self._pod, container):
            env["KUBECONFIG"] = str(self._machine.kubeconfig)
        return env

    def _look_up(self, collection: str, name: str) -> Object | None:
        found = self._registry.store.get(collection, Key(self.key.namespace, name))
        return found.body if found else None

    def _bind(self) -> None:
        def to_node(body: Object) -> Object:
            return {**body, "spec": {**body["spec"], "nodeName": NODE}}

        self._pod = self._registry.update(PODS, self.key, to_node).stored.body

    def _set(self, name: str, state: State) -> None:
        self._states[name] = state
        started = any(self._states[one["name"]].started is not None for one in self._mains)
        self._report(Phase.RUNNING if self._initialized and started else Phase.PENDING)

    def _report(self, phase: Phase) -> None:
        if self._gone:
            return

        def reported(body: Object) -> Object:
            status = pod_status(body, phase, self._states, self._clock(), initialized=self._initialized)
            return {**body, "status": status}

        with contextlib.suppress(ApiError):
            self._registry.update(PODS, self.key, reported, AS_STATUS)

"""The local stack: PostgreSQL, S3, a cluster, the operator and the API as processes, started and stopped as one.

`media-dev`, the tests and the benchmark all use this class:

    async with Stack(Plan(folder)) as stack:
        ...stack.state.api_url, stack.token("ada"), await stack.restart(Part.OPERATOR)
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from media_core.asset import VideoBackend
from media_core.names import DEFAULT_POOL, VIDEO_POOL
from media_devcluster import checkout, furnishing, objectstore, postgres, token
from media_devcluster.folder import CLUSTER, LOGS, claimed, discard
from media_devcluster.mediaconvert import starting as mediaconvert
from media_devcluster.objectstore import S3
from media_devcluster.processes import Child, Command, StartFailed, free_port
from media_devcluster.state import ClusterKind, Part, Running, State, stop_in_order

MIGRATE_SECONDS = 60.0
PROBE_SECONDS = 5.0
BUCKET = "media-dev"
POOL: Mapping[str, Any] = {"replicas": 1, "concurrency": 2, "idleSeconds": 30}
FILMS: Mapping[str, Any] = {"replicas": 1, "concurrency": 1, "prefetch": 0, "idleSeconds": 30}
"""Of the pool whose workers transcode: one film at a time takes all that a machine has."""
Probe = Callable[[], Awaitable[bool]]


@dataclass(frozen=True)
class Plan:
    """What is to run, and where. A part that is not in `parts` is not started; what needs it must be told instead.

    `video` says who transcodes: a double of MediaConvert on this machine, or workers with ffmpeg; None nobody.
    `bare` and `values` (of the chart, on top of those that a local cluster needs) are for a local cluster only.
    """

    folder: Path
    parts: frozenset[Part] = frozenset(Part)
    cluster: ClusterKind = ClusterKind.EMBEDDED
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str = "media"
    database_url: str | None = None
    store: S3 | None = None
    bucket: str = BUCKET
    worker_image: str | None = None
    video: VideoBackend | None = None
    video_worker_image: str | None = None
    pool: Mapping[str, Any] = field(default_factory=lambda: POOL)
    api_port: int | None = None
    bare: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[Part, Mapping[str, str]] = field(default_factory=dict)


class Stack:
    """Everything of one plan. Nothing of it is left running after `stop`, nor after a start that failed."""

    def __init__(self, plan: Plan, tell: Callable[[str], None] = lambda line: None) -> None:
        self.plan = plan
        self.state = State(cluster=plan.cluster, namespace=plan.namespace, token_secret=secrets.token_hex(32))
        self.children: dict[Part, Child] = {}
        self.store: S3 | None = plan.store
        self._folder = plan.folder.resolve()
        self._probes: dict[Part, Probe] = {}
        self._tell = tell

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start what the plan asks for; when it returns, all of it answers. Raises StartFailed."""
        with claimed(self._folder):
            await self._start()

    async def _start(self) -> None:
        try:
            if self.plan.video is not None:
                mediaconvert.see_programs()
            await _together(self._start_postgres(), self._start_s3(), self._start_cluster())
            await _together(self._migrate(), self._furnish(), self._start_mediaconvert())
            await _together(self._start_operator(), self._start_api())
            self.state.complete = True
            self._write()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop all of it, users before what they use."""
        killed = await stop_in_order(self.children)
        for part in killed:
            self._tell(f"{part} did not stop when asked and was killed")
        self.children.clear()
        await asyncio.to_thread(discard, self._folder)

    async def restart(self, part: Part) -> None:
        """Stop the part and start it again as it was: same command, same port."""
        await self.children[part].stop()
        await self.start_again(part)

    async def kill(self, part: Part) -> None:
        """End the part as a crash would. `start_again` brings it back."""
        await self.children[part].kill()

    async def start_again(self, part: Part) -> None:
        """Start a part that was stopped or killed. Raises StartFailed."""
        await self._begin(part, self.children[part].command).ready(self._probes[part])

    def token(self, user: str) -> str:
        """A token of that user."""
        return token.mint(self.state.token_secret, user)

    async def _start_postgres(self) -> None:
        if Part.POSTGRES in self.plan.parts and self.plan.database_url is None:
            begin = self._beginner(Part.POSTGRES)
            self.state.database_url = await postgres.start(self._folder / "postgres", self._log("postgres"), begin)
            self._tell("PostgreSQL")
        else:
            self.state.database_url = self.plan.database_url or ""

    async def _start_s3(self) -> None:
        if self.plan.store is not None:
            await objectstore.reach(self.plan.store)
        elif Part.S3 in self.plan.parts:
            begin = self._beginner(Part.S3)
            self.store = await objectstore.start(self._folder / "s3", self._log("s3"), self.plan.bucket, begin)
            self._tell("S3 (moto)")
        if self.store is not None:
            self.state.s3_endpoint, self.state.bucket = self.store.endpoint, self.store.bucket

    async def _start_mediaconvert(self) -> None:
        if self.plan.video is not VideoBackend.MEDIACONVERT or Part.MEDIACONVERT not in self.plan.parts:
            return
        assert self.store is not None
        begin = self._beginner(Part.MEDIACONVERT)
        place = self._folder / Part.MEDIACONVERT
        self.state.mediaconvert_url = await mediaconvert.start(self.store, place, self._log("mediaconvert"), begin)
        self._tell("MediaConvert (double)")

    async def _start_cluster(self) -> None:
        if self.plan.cluster is ClusterKind.EXISTING:
            kubeconfig = await asyncio.to_thread(_named_context, self.plan, self._folder / "kubeconfig")
        elif Part.CLUSTER in self.plan.parts:
            kubeconfig = await self._start_embedded()
            self._tell("Kubernetes API (embedded)")
        else:
            return
        self.state.kubeconfig = str(kubeconfig)

    async def _start_embedded(self) -> Path:
        folder = self._folder / CLUSTER
        command = Command(
            name="cluster",
            argv=(sys.executable, "-m", "media_devcluster.embedded", "--data-dir", str(folder), "--port", "0"),
            log=self._log("cluster"),
            folder=self._folder,
            env=self.plan.env.get(Part.CLUSTER, {}),
            patience_seconds=60.0,
            stop_seconds=20.0,
        )
        child = self._begin(Part.CLUSTER, command)

        async def said_where() -> bool:
            return _announced(command.log) is not None

        await child.ready(said_where)
        return folder / "kubeconfig"

    async def _migrate(self) -> None:
        if Part.MIGRATE not in self.plan.parts or not self.state.database_url:
            return
        advice = "Does the account own the database? The tables are made in a schema named media."
        child = self._begin(Part.MIGRATE, self._program(Part.MIGRATE, "media-migrate", {}, advice))
        if not await child.wait(MIGRATE_SECONDS) or child.exit_code != 0:
            why = "took too long" if child.alive else f"ended with code {child.exit_code}"
            raise StartFailed("media-migrate", why, child.tail(), advice)
        del self.children[Part.MIGRATE], self.state.parts[Part.MIGRATE]

    async def _furnish(self) -> None:
        if not self.state.kubeconfig or self.store is None:
            return
        pools = {DEFAULT_POOL: self.plan.pool}
        if self.plan.video is VideoBackend.FFMPEG:
            pools[VIDEO_POOL] = FILMS
        made = await furnishing.furnish(
            Path(self.state.kubeconfig), self.plan.namespace, self.store, checkout.crds(), pools
        )
        if self.plan.cluster is ClusterKind.EXISTING:
            self._tell(f"applied: {', '.join(made)}")

    async def _start_operator(self) -> None:
        if Part.OPERATOR not in self.plan.parts:
            return
        port = free_port()
        self.state.operator_url = f"http://127.0.0.1:{port}"
        own = {
            "MEDIA_OPERATOR_HOST": "127.0.0.1",
            "MEDIA_OPERATOR_PORT": str(port),
            "MEDIA_WORKER_S3_SECRET": furnishing.SECRET,
            # The same name each time it is started: killed and started again it takes up its Lease at once, so that
            # a long one costs nothing. A short one could be lost on a machine that is very busy.
            "MEDIA_POD_NAME": f"media-dev-{secrets.token_hex(4)}",
            "MEDIA_LEASE_SECONDS": "30",
        }
        if self.plan.worker_image:
            own["MEDIA_WORKER_IMAGE"] = self.plan.worker_image
        if self.plan.video_worker_image:
            own["MEDIA_VIDEO_WORKER_IMAGE"] = self.plan.video_worker_image
        if self.plan.video is not None:
            own["MEDIA_VIDEO_BACKEND"] = self.plan.video.value
        if self.state.mediaconvert_url:
            own |= mediaconvert.environment(self.state.mediaconvert_url)
        await self._serve(Part.OPERATOR, self._program(Part.OPERATOR, "media-operator", own), self.state.operator_url)
        self._tell("operator")

    async def _start_api(self) -> None:
        if Part.API not in self.plan.parts:
            return
        port = self.plan.api_port or free_port()
        self.state.api_url = f"http://127.0.0.1:{port}"
        own = {
            "MEDIA_HOST": "127.0.0.1",
            "MEDIA_PORT": str(port),
            "MEDIA_JWT_SECRET": self.state.token_secret,
            "MEDIA_JWT_AUDIENCE": token.AUDIENCE,
        }
        advice = f"Is port {port} in use? Another one: --api-port." if self.plan.api_port else ""
        await self._serve(Part.API, self._program(Part.API, "media-api", own, advice), self.state.api_url)
        self._tell("API")

    async def _serve(self, part: Part, command: Command, url: str) -> None:
        async def answers() -> bool:
            try:
                limit = aiohttp.ClientTimeout(total=PROBE_SECONDS)
                async with aiohttp.ClientSession(timeout=limit) as session, session.get(f"{url}/readyz") as answer:
                    return answer.status == 200
            except (aiohttp.ClientError, TimeoutError):
                return False

        self._probes[part] = answers
        await self._begin(part, command).ready(answers)

    def _program(self, part: Part, name: str, own: Mapping[str, str], advice: str = "") -> Command:
        shared = {
            "MEDIA_DATABASE_URL": self.state.database_url,
            "MEDIA_NAMESPACE": self.plan.namespace,
            "KUBECONFIG": self.state.kubeconfig,
            **(self.store.environment if self.store else {}),
        }
        return Command(
            name=name,
            argv=(checkout.program(name),),
            log=self._log(part),
            folder=self._folder,
            env={**shared, **own, **self.plan.env.get(part, {})},
            patience_seconds=60.0,
            stop_seconds=15.0,
            advice=advice,
        )

    def _log(self, name: str) -> Path:
        return self._folder / LOGS / f"{name}.log"

    def _beginner(self, part: Part) -> Callable[[Command], Child]:
        return lambda command: self._begin(part, command)

    def _begin(self, part: Part, command: Command) -> Child:
        """Start it and write it down in one step without an await: nothing can be started and not be known."""
        child = Child.start(command)
        self.children[part] = child
        self._write()
        return child

    def _write(self) -> None:
        self.state.parts = {part: Running.of(self.children[part]) for part in Part if part in self.children}
        self.state.write(self._folder)


async def _together(*work: Coroutine[Any, Any, None]) -> None:
    """All at once; the first failure ends the others and is what is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for each in work:
                group.create_task(each)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


def _announced(log: Path) -> dict[str, Any] | None:
    """The line by which the embedded cluster says where it is."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    found = [line for line in lines if line.startswith('{"url"') and line.endswith("}")]
    return dict(json.loads(found[0])) if found else None


def _named_context(plan: Plan, target: Path) -> Path:
    """A file with nothing but the cluster that was named, so that no part can reach another one by accident."""
    if plan.context is None:
        raise StartFailed(
            "cluster", "is not named: a kubeconfig's current context can change", advice="Name it by --context."
        )
    if plan.kubeconfig is None or not plan.kubeconfig.is_file():
        raise StartFailed("cluster", f"has no kubeconfig at {plan.kubeconfig}", advice="Name one by --kubeconfig.")
    view = [checkout.program("kubectl"), "config", "view", "--raw", "--minify", "--flatten"]
    chosen = [f"--kubeconfig={plan.kubeconfig}", f"--context={plan.context}"]
    shown = subprocess.run([*view, *chosen], capture_output=True, text=True, timeout=30, check=False)
    if shown.returncode != 0:
        raise StartFailed(
            "cluster", f"is not in that kubeconfig: {shown.stderr.strip()}", advice="Name it by --context."
        )
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(shown.stdout)
    return target

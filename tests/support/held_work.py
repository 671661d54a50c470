"""Work that stands still: an asset in the hands of a real worker whose decoder has been paused on it.

Faults are brought about at a known point this way, without a picture that takes long and without a race: the child
that decodes is stopped before the worker reaches it, and goes on when the test says so. The rest of the pod runs.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from media_devcluster.kube import Refused
from support.deadlines import eventually
from support.images import gradient
from support.site import KubectlFailed, Site

Object = dict[str, Any]
SAMPLES = Path(__file__).parents[2] / "samples"
SMALL = (SAMPLES / "sunset.jpg", SAMPLES / "coffee.png", SAMPLES / "dandelion.jpg")
ZYGOTE = "media_worker.decoder.zygote"
SOCKET = "run/media/decoder.sock"
SIDE = 7000
TRIES = 4
MANAGER = "e2e-faults"
RENDITIONS = 3


@dataclass(frozen=True)
class Work:
    """An asset that is being processed, and the processes that do it."""

    asset_id: str
    job: str
    binding: int
    pod: Object
    worker: psutil.Process
    """The worker container's main process."""
    decoding: tuple[psutil.Process, ...]
    """The stopped children of the decoder."""

    def go_on(self) -> None:
        """Let the decoder do it."""
        signalled(self.decoding, signal.SIGCONT)


def slow_picture(folder: Path) -> Path:
    """A picture of 49 megapixels in a small file: a second's work, and 150 MB of pixels."""
    path = folder / "slow.webp"
    if not path.exists():
        gradient(SIDE, SIDE).save(path, "WEBP", quality=50, method=0)
    return path


def signalled(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    """Send it to those that are still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


@contextlib.contextmanager
def stopped(processes: Iterable[psutil.Process]) -> Iterator[None]:
    """They stand still until the end of the block; one that is gone by then is not missed."""
    those = list(processes)
    signalled(those, signal.SIGSTOP)
    try:
        yield
    finally:
        signalled(those, signal.SIGCONT)


@asynccontextmanager
async def held(site: Site, picture: Path, user: str = "ada") -> AsyncIterator[Work]:
    """A new upload in the hands of a worker that cannot finish it. At the end of the block it goes on."""
    for _ in range(TRIES):
        asset_id = await site.upload(picture, user)
        async with held_again(site, asset_id) as work:
            if work is not None:
                yield work
                return
    raise AssertionError(f"{TRIES} pictures were done before their worker could be stopped")


@asynccontextmanager
async def held_again(site: Site, asset_id: str, after: int = 0) -> AsyncIterator[Work | None]:
    """The same for an asset that waits, from its next binding after that one; None where it was done too soon."""
    work: Work | None = None
    children: list[psutil.Process] = []
    try:
        status = await _status_when(site, asset_id, lambda s: bool(s.get("assignedJob")) and s["binding"] > after)
        job = status["assignedJob"]
        pod = await eventually(lambda: pod_of(site, job), 40, pause=0.05)
        assert pod is not None
        uid = pod["metadata"]["uid"]
        children += await eventually(lambda: _ready_children(site, uid), 40)
        signalled(children, signal.SIGSTOP)
        status = await _status_when(site, asset_id, lambda s: s.get("phase") in ("Processing", "Completed", "Failed"))
        if status["phase"] == "Processing":
            pod = await eventually(lambda: _told(site, job), 30, pause=0.1)
            assert pod is not None
            worker = site.processes(pod, "worker")[0]
            work = Work(asset_id, job, status["binding"], pod, worker, tuple(children))
        else:
            signalled(children, signal.SIGCONT)
        yield work
    finally:
        signalled(children, signal.SIGCONT)


async def pod_of(site: Site, job: str) -> Object | None:
    """The Job's pod, once there is one."""
    path = f"/api/v1/namespaces/{site.namespace}/pods?labelSelector=batch.kubernetes.io/job-name={job}"
    found = (await site.kube.get(path))["items"]
    return found[0] if found else None


async def job_status(site: Site, job: str) -> Object:
    """The status of a Job that is there."""
    found = await site.kube.get(f"/apis/batch/v1/namespaces/{site.namespace}/jobs/{job}")
    return dict(found.get("status") or {})


async def unfinished_jobs(site: Site) -> list[str]:
    """Names of the worker Jobs that are not over."""
    path = f"/apis/batch/v1/namespaces/{site.namespace}/jobs?labelSelector=app.kubernetes.io/managed-by=media-operator"
    jobs = (await site.kube.get(path))["items"]
    return [job["metadata"]["name"] for job in jobs if not _over(job)]


def condition(object_: Object | None, type_: str) -> Object:
    """A condition of an object; empty where it has none of that type."""
    conditions = ((object_ or {}).get("status") or {}).get("conditions") or ()
    return next((item for item in conditions if item["type"] == type_), {})


def isolated(status: Object) -> bool:
    """Whether it is marked to run alone."""
    return condition({"status": status}, "Isolated").get("status") == "True"


def reason(status: Object) -> str:
    """Why it is as it is, in a word."""
    return str(condition({"status": status}, "Succeeded").get("reason", ""))


async def completed_once(site: Site, *asset_ids: str, attempts: int = 0, binding: int | None = None) -> None:
    """All are completed with all their renditions, so many attempts charged, and the ledger agrees."""
    for asset_id in asset_ids:
        status = await site.phase(asset_id, "Completed", "Failed", seconds=90)
        assert (status["phase"], status["attempts"]) == ("Completed", attempts), status
        assert binding is None or status["binding"] == binding, status
        assert len(status["result"]["variants"]) == RENDITIONS
        assert len(await site.stored(asset_id)) == RENDITIONS
        assert await eventually(lambda asset_id=asset_id: _settled(site, asset_id), 30, pause=0.2) == "COMPLETED"


async def ready_again(site: Site, seconds: float = 90.0) -> None:
    """Until the API server answers, every pod of the release is ready, one operator leads, and nothing is at work."""
    path = f"/api/v1/namespaces/{site.namespace}/pods?labelSelector=app.kubernetes.io/instance={site.release}"

    async def so() -> bool:
        try:
            pods = (await site.kube.get(path))["items"]
            await site.pool()  # an API server that has just started knows its own kinds sooner than ours
        except Refused:
            return False
        alive = [pod for pod in pods if pod["status"]["phase"] in ("Pending", "Running")]
        return bool(alive) and all(condition(pod, "Ready").get("status") == "True" for pod in alive)

    await eventually(so, seconds, pause=0.5)
    await eventually(site.leader, seconds, pause=0.5)
    await site.quiet()


async def pods_run(site: Site, seconds: float = 120.0) -> None:
    """Until a new Job has run to its end.

    An API server that was away is there again for the controllers, the scheduler and the kubelet only after a backoff
    of their own, which grows to a minute (client-go: 0.8 s doubled up to 30 s, and as much again by chance).
    """
    name, image = "pods-run", (await site.component_pods("api"))[0]["spec"]["containers"][0]["image"]
    await site.kubectl("create", "job", name, f"--image={image}", "--", "true", namespace="default")

    async def over() -> bool:
        return condition((await site.objects("job", name, namespace="default"))[0], "Complete").get("status") == "True"

    try:
        await eventually(over, seconds, pause=0.5)
    finally:
        await site.kubectl("delete", "job", name, "--wait=false", namespace="default")


async def status_when(site: Site, asset_id: str, true: Any, seconds: float = 60.0) -> Object:
    """Its status as soon as that is true of it; a failure shows the last one."""
    return await _status_when(site, asset_id, true, seconds, pause=0.1)


@asynccontextmanager
async def one_at_a_time(site: Site) -> AsyncIterator[None]:
    """The pool has one worker, which processes one asset at a time and soon leaves when idle."""
    wanted: Object = {"concurrency": 1, "idleSeconds": 10}
    async with workers_between(site, 1, 1), _changed(site, "mediaworkerpool", "default", wanted):
        yield


@asynccontextmanager
async def workers_between(site: Site, least: int, most: int) -> AsyncIterator[None]:
    """The autoscaler keeps the pool within these bounds until the end of the block."""

    async def so() -> bool:
        pool = await site.pool()
        accepted = (pool.get("status") or {}).get("replicas", 0)
        return least <= pool["spec"]["replicas"] <= most and accepted >= least

    async with _changed(site, "hpa", f"{site.release}-default", {"minReplicas": least, "maxReplicas": most}):
        await eventually(so, 60, pause=0.5)
        yield


@asynccontextmanager
async def _changed(site: Site, kind: str, name: str, wanted: Object) -> AsyncIterator[None]:
    """Those fields of its spec are so until the end of the block. Helm owns the object, and must be able to go on."""
    spec = (await site.objects(kind, name))[0]["spec"]
    before = {key: spec[key] for key in wanted}

    async def patch(body: Object) -> None:
        await site.kubectl("patch", kind, name, "--type=merge", f"--field-manager={MANAGER}", "-p", json.dumps(body))

    async def forget() -> bool:
        """Drop the traces of the changes: the next upgrade would meet them as somebody else's."""
        metadata = (await site.objects(kind, name, "--show-managed-fields"))[0]["metadata"]
        fields = [entry for entry in metadata["managedFields"] if entry["manager"] != MANAGER]
        try:
            await patch({"metadata": {"resourceVersion": metadata["resourceVersion"], "managedFields": fields}})
        except KubectlFailed:
            return False  # it was written meanwhile
        return True

    await patch({"spec": wanted})
    try:
        yield
    finally:
        await patch({"spec": before})
        await eventually(forget, 20, pause=0.1)


async def _status_when(site: Site, asset_id: str, true: Any, seconds: float = 60.0, pause: float = 0.02) -> Object:
    status: Object = {}

    async def look() -> Object | None:
        nonlocal status
        status = await site.status(asset_id)
        return status if true(status) else None

    try:
        found = await eventually(look, seconds, pause)
    except AssertionError:
        raise AssertionError(f"not within {seconds:g} s: {asset_id} has {json.dumps(status)}") from None
    assert found is not None
    return found


async def _settled(site: Site, asset_id: str) -> str:
    row = await site.row(asset_id)
    return str(row["transcode_status"]) if row is not None and row["state"] == "settled" else ""


async def _told(site: Site, job: str) -> Object | None:
    """The Job's pod once its status names its containers."""
    pod = await pod_of(site, job)
    if pod is None:
        return None
    status = pod["status"]
    names = {
        item["name"]
        for item in (*status.get("containerStatuses", ()), *status.get("initContainerStatuses", ()))
        if item.get("containerID")
    }
    return pod if {"worker", "decoder"} <= names else None


def _ready_children(site: Site, pod_uid: str) -> list[psutil.Process]:
    """Children of a decoder that serves: its socket is there only when they are."""
    assert site.node is not None
    zygotes: dict[int, psutil.Process] = {}
    for process in site.node.processes():
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            of_pod = pod_uid in Path(f"/proc/{process.pid}/cgroup").read_text(encoding="ascii")
            if of_pod and ZYGOTE in process.cmdline():
                zygotes[process.pid] = process
    children = [process for process in zygotes.values() if process.ppid() in zygotes]
    return [child for child in children if Path(f"/proc/{child.pid}/root/{SOCKET}").exists()]


def _over(job: Object) -> bool:
    return any(condition(job, type_).get("status") == "True" for type_ in ("Complete", "Failed"))

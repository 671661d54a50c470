"""Rows of the failure table that begin with a worker's pod, its image, its Job or its pool, on the real cluster.

The work in hand stands still until the fault is there (support.held_work); the pool has one worker at a time, so that
what waits is bound to the one that is hit.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from media_core.names import ISOLATED_LABEL, POOL_LABEL
from media_devcluster.local import cgroups
from media_devcluster.local.layout import NODE
from support.deadlines import eventually
from support.held_work import (
    SMALL,
    Object,
    Work,
    completed_once,
    condition,
    held,
    held_again,
    isolated,
    job_status,
    one_at_a_time,
    pod_of,
    reason,
    signalled,
    slow_picture,
    status_when,
    unfinished_jobs,
    workers_between,
)
from support.site import KubectlFailed, Site

MIB = 1 << 20
BIG_BYTES = 96 * MIB
PIXELS_IN_HAND = 80 * MIB
"""Resident bytes of a decoder's child from which on it must be decoding the slow picture."""
KILLED = 128 + signal.SIGKILL

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module", autouse=True)
async def one_worker(site: Site) -> AsyncIterator[None]:
    async with one_at_a_time(site):
        yield


@pytest.fixture(autouse=True)
async def quiet(site: Site, one_worker: None) -> AsyncIterator[None]:
    await site.quiet()
    yield
    await site.quiet()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return slow_picture(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph with so much behind its end that a worker that fetches it outgrows a small limit."""
    path = tmp_path_factory.mktemp("pictures") / "big.jpg"
    path.write_bytes(SMALL[0].read_bytes().ljust(BIG_BYTES, b"\0"))
    return path


# -- crashes --


@pytest.mark.failure("F3")
async def test_a_worker_killed_at_work_makes_what_it_had_begun_a_suspect_and_frees_the_rest(
    site: Site, slow: Path
) -> None:
    async with held(site, slow) as work:
        announced = await _bound_beside(site, work)
        await status_when(site, announced, lambda status: status["phase"] == "Processing")
        waiting = await _bound_beside(site, work)

        work.worker.kill()

        for asset_id in (work.asset_id, announced):
            suspect = await status_when(site, asset_id, isolated)
            assert (suspect["phase"], suspect["attempts"]) == ("Pending", 0)
    assert condition({"status": await job_status(site, work.job)}, "Failed")["reason"] == "BackoffLimitExceeded"
    freed = await status_when(site, waiting, lambda status: status.get("assignedJob") != work.job)
    assert not isolated(freed)
    again = await status_when(site, work.asset_id, lambda status: status.get("assignedJob"))
    assert await _runs_alone(site, again["assignedJob"]) == work.asset_id
    await completed_once(site, work.asset_id, announced, waiting)
    assert await _runs_alone(site, (await site.status(waiting))["assignedJob"]) is None


@pytest.mark.failure("F4")
async def test_a_worker_killed_while_it_ran_one_asset_alone_costs_that_asset_an_attempt(
    site: Site, slow: Path
) -> None:
    async with held(site, slow) as work:
        work.worker.kill()
        suspect = await status_when(site, work.asset_id, isolated)
    async with held_again(site, work.asset_id, after=suspect["binding"]) as alone:
        assert alone is not None, "it was done before it could be stopped"
        assert await _runs_alone(site, alone.job) == work.asset_id

        alone.worker.kill()

        charged = await status_when(site, work.asset_id, lambda status: status["attempts"] == 1)
    assert (charged["phase"], reason(charged)) == ("Pending", "WorkerCrashed")
    assert charged["notBefore"], "it waits before it is tried again"
    await completed_once(site, work.asset_id, attempts=1)


# -- memory --


@pytest.mark.failure("F3")
async def test_a_worker_that_outgrows_its_memory_makes_what_it_had_begun_a_suspect_and_frees_the_rest(
    site: Site, slow: Path, big: Path
) -> None:
    """Its container has one process, so cgroup v1 and v2 end the same: it holds an original too many for its limit."""
    async with held(site, slow) as work:
        with squeezed(work.worker, headroom=32 * MIB):
            fetched = await site.upload(big)
            suspect = await status_when(site, work.asset_id, isolated)
        assert suspect["attempts"] == 0
        ended = await eventually(lambda: _terminated(site, work.job), 30, pause=0.2)
    assert (ended["exitCode"], ended["reason"]) == (KILLED, "OOMKilled")
    await completed_once(site, work.asset_id, fetched)
    assert not isolated(await site.status(fetched)), "it had not been begun"


@pytest.mark.failure("F3")
async def test_a_process_beside_the_worker_that_outgrows_the_memory_takes_the_worker_along_only_on_cgroup_v2(
    site: Site, slow: Path
) -> None:
    """On v1 the kernel ends the largest process of the container; on v2 the kubelet has it end all of them."""
    async with held(site, slow) as work:
        name = work.pod["metadata"]["name"]
        hoard = (work.worker.cmdline()[0], "-c", f"b'x' * {1024 * MIB}")
        with squeezed(work.worker, headroom=512 * MIB), pytest.raises(KubectlFailed):
            await site.kubectl("exec", name, "--container=worker", "--", *hoard)
        if cgroups.unified():
            await status_when(site, work.asset_id, isolated)
        else:
            assert _lives(work.worker)
            assert (await site.status(work.asset_id))["binding"] == work.binding
    await completed_once(site, work.asset_id, binding=None if cgroups.unified() else work.binding)


@pytest.mark.failure("F2")
async def test_a_decoder_killed_while_it_decodes_costs_the_asset_an_attempt_and_it_is_tried_again_later(
    site: Site, slow: Path
) -> None:
    async with held(site, slow) as work:
        work.go_on()
        await eventually(lambda: _decodes(work), 30, pause=0.005)
        signalled(work.decoding, signal.SIGSEGV)
        charged = await status_when(site, work.asset_id, lambda status: status["attempts"] == 1)
    assert (charged["phase"], reason(charged)) == ("Pending", "DecoderCrashed")
    assert charged["notBefore"], "it waits before it is tried again"
    await completed_once(site, work.asset_id, attempts=1)


@pytest.mark.failure("F2")
async def test_a_decoder_that_outgrows_its_containers_memory_costs_the_asset_an_attempt_and_not_the_worker(
    site: Site, slow: Path
) -> None:
    """On cgroup v1 its child alone is ended; on v2 the whole container is, and started again beside the worker."""
    async with held(site, slow) as work:
        with squeezed(work.decoding[0], headroom=48 * MIB):
            work.go_on()
            charged = await status_when(site, work.asset_id, lambda status: status["attempts"] == 1)
        assert _lives(work.worker)
        waiting = await site.upload(SMALL[0])
    expected = {"DecoderOutOfMemory", "DecoderCrashed"} if cgroups.unified() else {"DecoderOutOfMemory"}
    assert reason(charged) in expected
    await completed_once(site, waiting)
    assert (await site.status(waiting))["assignedJob"] == work.job, "the same worker went on"
    await completed_once(site, work.asset_id, attempts=1)


# -- disruptions --


@pytest.mark.parametrize("how", ["deletion of the pod", "eviction by a drain"])
@pytest.mark.failure("F5")
async def test_a_disrupted_worker_finishes_what_it_has_begun_and_gives_back_the_rest(
    site: Site, slow: Path, how: str
) -> None:
    async with held(site, slow) as work:
        waiting = await _bound_beside(site, work)
        async with _disrupted(site, work.pod["metadata"]["name"], how):
            given_back = await status_when(site, waiting, lambda status: status.get("assignedJob") != work.job)
            assert not isolated(given_back)
            work.go_on()
            await completed_once(site, work.asset_id, binding=work.binding)
    await completed_once(site, waiting)
    for asset_id in (work.asset_id, waiting):
        assert not isolated(await site.status(asset_id))


# -- what cannot start --


@pytest.mark.failure("F8")
async def test_workers_whose_image_cannot_be_pulled_are_said_to_be_stuck_and_go_on_once_it_can(site: Site) -> None:
    await eventually(lambda: _no_workers(site), 60, pause=0.5)
    with _image_missing(site):
        asset_id = await site.upload(SMALL[0])
        job = (await status_when(site, asset_id, lambda status: status.get("assignedJob")))["assignedJob"]
        released = await status_when(site, asset_id, lambda status: not status.get("assignedJob"))
        assert (released["phase"], released["attempts"]) == ("Pending", 0)
        stuck = await eventually(lambda: _pool_condition(site, "WorkersStuck"), 30, pause=0.2)
        assert "30 s" in stuck["message"]
        pod = await pod_of(site, job)
        assert pod is not None
        waits_for = [item["state"]["waiting"]["reason"] for item in pod["status"]["initContainerStatuses"]]
        assert waits_for[0] in ("ErrImageNeverPull", "ErrImagePull", "ImagePullBackOff")
        async with workers_between(site, 2, 2):
            assert await unfinished_jobs(site) == [job], "no further Jobs until one is ready"
    await completed_once(site, asset_id)
    await eventually(lambda: _not_stuck(site), 30, pause=0.2)


# -- persons --


@pytest.mark.failure("F9")
async def test_a_job_deleted_by_a_person_releases_what_was_bound_to_it(site: Site, slow: Path) -> None:
    async with held(site, slow) as work:
        waiting = await _bound_beside(site, work)

        await site.kubectl("delete", "job", work.job, "--wait=false")

        for asset_id in (work.asset_id, waiting):
            freed = await status_when(site, asset_id, lambda status: status.get("assignedJob") != work.job)
            assert not isolated(freed)
    await completed_once(site, work.asset_id, waiting)


@pytest.mark.failure("F9")
async def test_without_its_pool_an_asset_waits_and_says_so_until_the_pool_is_back(site: Site, slow: Path) -> None:
    pool = await site.pool()
    async with held(site, slow) as work:
        await site.kubectl("delete", "mediaworkerpool", "default", "--wait=false")
        try:
            waits = await status_when(site, work.asset_id, lambda status: reason(status) == "PoolMissing")
            assert (waits["phase"], waits["attempts"]) == ("Pending", 0)
            assert not waits.get("assignedJob")
        finally:
            await _put_back(site, pool)
    await completed_once(site, work.asset_id)


async def _bound_beside(site: Site, work: Work) -> str:
    """A further upload, bound to the worker that is busy."""
    asset_id = await site.upload(SMALL[0])
    await status_when(site, asset_id, lambda status: status.get("assignedJob") == work.job)
    return asset_id


async def _runs_alone(site: Site, job: str) -> str | None:
    """The asset that Job is for, where it is for one alone."""
    found = await site.kube.get(f"/apis/batch/v1/namespaces/{site.namespace}/jobs/{job}")
    label: str | None = found["metadata"]["labels"].get(ISOLATED_LABEL)
    return label


@contextlib.contextmanager
def squeezed(process: psutil.Process, headroom: int) -> Iterator[None]:
    """The container of that process has so much memory left, and no more, until the end of the block."""
    group, name = _memory_group(process.pid)
    limit = group / name
    before = limit.read_text(encoding="ascii")
    counted = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    used = int(counted.get("total_rss") or counted["anon"])
    limit.write_text(str(used + headroom), encoding="ascii")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # gone with its container
            limit.write_text(before, encoding="ascii")


def _memory_group(pid: int) -> tuple[Path, str]:
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if cgroups.unified():
            return Path(f"{cgroups.ROOT}{path}"), "memory.max"
        if "memory" in controllers.split(","):
            return Path(f"{cgroups.ROOT}/memory{path}"), "memory.limit_in_bytes"
    raise AssertionError(f"process {pid} is in no memory group")


async def _terminated(site: Site, job: str) -> Object | None:
    """How the worker container of the Job's pod ended."""
    pod = await pod_of(site, job)
    assert pod is not None
    (worker,) = (item for item in pod["status"]["containerStatuses"] if item["name"] == "worker")
    ended: Object | None = worker["state"].get("terminated")
    return ended


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _decodes(work: Work) -> bool:
    return any(child.memory_info().rss > PIXELS_IN_HAND for child in work.decoding)


@contextlib.asynccontextmanager
async def _disrupted(site: Site, pod: str, how: str) -> AsyncIterator[None]:
    """The pod is asked to go; the block runs while it does, and at its end the node takes pods again."""
    match how:
        case "deletion of the pod":
            await site.kubectl("delete", "pod", pod, "--wait=false")
            yield
        case _:
            selected = f"--pod-selector={POOL_LABEL}=default"
            flags = (selected, "--force", "--delete-emptydir-data", "--timeout=55s")
            draining = asyncio.create_task(site.kubectl("drain", NODE, *flags))
            try:
                yield
                await draining
            finally:
                draining.cancel()
                await asyncio.gather(draining, return_exceptions=True)
                await site.kubectl("uncordon", NODE)


@contextlib.contextmanager
def _image_missing(site: Site) -> Iterator[None]:
    """The node has no worker image until the end of the block, and nowhere to get one."""
    assert site.node is not None
    image = site.values["workerImage"]
    name = f"{image['repository']}:{image['tag']}"
    ctr = ("ctr", "--address", str(site.node.layout.containerd_socket), "--namespace", "k8s.io", "images")
    kept = f"{name}-kept"
    _do(*ctr, "tag", "--force", name, kept)
    try:
        _do(*ctr, "rm", "--sync", name)
        yield
    finally:
        _do(*ctr, "tag", "--force", kept, name)
        _do(*ctr, "rm", kept)


def _do(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


async def _pool_condition(site: Site, type_: str) -> Object | None:
    found = condition(await site.pool(), type_)
    return found if found.get("status") == "True" else None


async def _not_stuck(site: Site) -> bool:
    return await _pool_condition(site, "WorkersStuck") is None


async def _no_workers(site: Site) -> bool:
    return not await unfinished_jobs(site)


async def _put_back(site: Site, pool: Object) -> None:
    """The pool as it was, applied as Helm applies it; the autoscaler's field stays the autoscaler's."""
    spec = {key: value for key, value in pool["spec"].items() if key != "replicas"}
    kept = {key: pool["metadata"][key] for key in ("name", "namespace", "labels", "annotations")}
    body = {"apiVersion": pool["apiVersion"], "kind": pool["kind"], "metadata": kept, "spec": spec}

    async def gone() -> bool:
        return not await site.kubectl("get", "mediaworkerpool", "default", "--ignore-not-found")

    await eventually(gone, 60, pause=0.2)
    await site.kubectl("apply", "--server-side", "--field-manager=helm", "-f", "-", stdin=json.dumps(body))

"""Jobs of the embedded cluster: pods as processes, and the Job's status as the real controller has it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest

from media_devcluster.embedded.cluster import EmbeddedCluster
from support.deadlines import eventually
from support.wire import Wire

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"
POLICY = {
    "rules": [
        {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [78]}},
        {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]
}


@pytest.fixture
async def wire(embedded_cluster: EmbeddedCluster) -> AsyncIterator[Wire]:
    async with aiohttp.ClientSession() as session:
        wire = Wire(session, embedded_cluster.url)
        yield wire
        await wire.delete(JOBS, {"propagationPolicy": "Background", "gracePeriodSeconds": 0})
        await wire.delete(PODS, {"gracePeriodSeconds": 0})
        await eventually(lambda: is_empty(wire, JOBS))
        await eventually(lambda: is_empty(wire, PODS))


async def is_empty(wire: Wire, path: str) -> bool:
    return not (await wire.get(path)).body["items"]


def job(name: str, script: str, *, pod: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """A Job whose one container runs a shell script; a dollar that is to stay is doubled, as in any pod."""
    main = {"name": "main", "image": "none", "command": ["sh", "-c", script]}
    template = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 5,
        "containers": [{**main, **(pod or {}).pop("main", {})}],
        **(pod or {}),
    }
    return {"metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": {"spec": template}, **spec}}


async def status_of(wire: Wire, name: str) -> dict[str, Any]:
    return (await wire.get(f"{JOBS}/{name}")).body.get("status") or {}


async def ended(wire: Wire, name: str) -> dict[str, Any]:
    """The status of a Job that has come to its end."""

    async def over() -> dict[str, Any]:
        status = await status_of(wire, name)
        types = {one["type"] for one in status.get("conditions", ())}
        return status if types & {"Complete", "Failed"} else {}

    return await eventually(over)


async def pods_of(wire: Wire, name: str) -> list[dict[str, Any]]:
    return (await wire.get(PODS, labelSelector=f"job-name={name}")).body["items"]


async def ready_pod(wire: Wire, name: str) -> dict[str, Any]:
    """The pod of a Job, as soon as it is ready."""

    async def ready() -> dict[str, Any] | None:
        for pod in await pods_of(wire, name):
            conditions = pod["status"].get("conditions", ())
            if {"Ready"} <= {one["type"] for one in conditions if one["status"] == "True"}:
                return pod
        return None

    found = await eventually(ready)
    assert found is not None
    return found


async def log_of(wire: Wire, pod: dict[str, Any], container: str = "main") -> str:
    answer = await wire.get(f"{PODS}/{pod['metadata']['name']}/log", container=container)
    return str(answer.body["text"])


def reasons(status: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["type"], one["reason"]) for one in status["conditions"]]


async def test_a_job_runs_its_command_and_completes(wire: Wire) -> None:
    await wire.create(JOBS, job("fine", "echo hello"))
    status = await ended(wire, "fine")
    assert status["succeeded"] == 1
    assert status["ready"] == 0
    assert status["startTime"] <= status["completionTime"]
    assert reasons(status) == [
        ("SuccessCriteriaMet", "CompletionsReached"),
        ("Complete", "CompletionsReached"),
    ]
    (pod,) = await pods_of(wire, "fine")
    assert pod["metadata"]["name"].startswith("fine-")
    assert len(pod["metadata"]["name"]) == len("fine-") + 5
    assert pod["status"]["phase"] == "Succeeded"
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"
    assert await log_of(wire, pod) == "hello\n"


async def test_a_running_job_is_active_and_ready(wire: Wire) -> None:
    await wire.create(JOBS, job("long", "exec sleep 100"))
    await ready_pod(wire, "long")

    async def counted() -> bool:
        status = await status_of(wire, "long")
        return (status.get("active"), status.get("ready")) == (1, 1)

    await eventually(counted)


async def test_a_pod_that_is_said_to_be_unready_lowers_the_ready_count(wire: Wire) -> None:
    """So a lost node shows: its processes may go on, but nobody vouches for them."""
    await wire.create(JOBS, job("lost", "exec sleep 100"))
    pod = await ready_pod(wire, "lost")
    conditions = [{**one, "status": "False"} if one["type"] == "Ready" else one for one in pod["status"]["conditions"]]
    path = f"{PODS}/{pod['metadata']['name']}/status"
    assert (await wire.merge(path, {"status": {"conditions": conditions}})).code == 200

    async def counted() -> bool:
        status = await status_of(wire, "lost")
        return (status.get("active"), status.get("ready")) == (1, 0)

    await eventually(counted)


async def test_a_job_whose_only_pod_fails_has_reached_its_backoff_limit(wire: Wire) -> None:
    await wire.create(JOBS, job("bad", "exit 3"))
    status = await ended(wire, "bad")
    assert status["failed"] == 1
    assert reasons(status) == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
    (pod,) = await pods_of(wire, "bad")
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (3, "Error")


async def test_a_job_may_try_again_within_its_backoff_limit(wire: Wire, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    await wire.create(JOBS, job("again", f"[ -e {mark} ] || {{ touch {mark}; exit 1; }}", backoffLimit=2))
    status = await ended(wire, "again")
    assert (status["failed"], status["succeeded"]) == (1, 1)


async def test_an_exit_code_of_the_policy_fails_the_job_as_such(wire: Wire) -> None:
    await wire.create(JOBS, job("misconfigured", "exit 78", backoffLimit=5, podFailurePolicy=POLICY))
    status = await ended(wire, "misconfigured")
    assert reasons(status) == [("FailureTarget", "PodFailurePolicy"), ("Failed", "PodFailurePolicy")]


async def test_an_ignored_failure_is_not_counted(wire: Wire, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    ignore = {"rules": [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [9]}}]}
    script = f"[ -e {mark} ] || {{ touch {mark}; exit 9; }}"
    await wire.create(JOBS, job("ignoring", script, podFailurePolicy=ignore))
    status = await ended(wire, "ignoring")
    assert status["succeeded"] == 1
    assert "failed" not in status


async def test_an_evicted_pod_fails_its_job_by_policy(wire: Wire) -> None:
    await wire.create(JOBS, job("evicted", "exec sleep 100", podFailurePolicy=POLICY))
    name = (await ready_pod(wire, "evicted"))["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    assert (await wire.create(f"{PODS}/{name}/eviction", eviction)).code == 201
    status = await ended(wire, "evicted")
    assert ("Failed", "PodFailurePolicy") in reasons(status)
    await eventually(lambda: is_empty(wire, PODS))


async def test_a_deleted_pod_is_a_plain_failure_of_its_job(wire: Wire) -> None:
    await wire.create(JOBS, job("robbed", "exec sleep 100", podFailurePolicy=POLICY))
    name = (await ready_pod(wire, "robbed"))["metadata"]["name"]
    await wire.delete(f"{PODS}/{name}")
    assert ("Failed", "BackoffLimitExceeded") in reasons(await ended(wire, "robbed"))


async def test_a_pod_that_ends_well_when_told_to_completes_its_job(wire: Wire) -> None:
    await wire.create(JOBS, job("polite", "trap 'exit 0' TERM; echo listening; sleep 100 & wait"))
    pod = await ready_pod(wire, "polite")
    name = pod["metadata"]["name"]
    await eventually(lambda: log_of(wire, pod))
    await wire.delete(f"{PODS}/{name}")
    assert ("Complete", "CompletionsReached") in reasons(await ended(wire, "polite"))


async def test_a_pod_that_does_not_listen_is_killed_after_its_grace(wire: Wire) -> None:
    await wire.create(JOBS, job("deaf", "trap '' TERM; echo deaf; while :; do sleep 0.1; done"))
    pod = await ready_pod(wire, "deaf")
    name = pod["metadata"]["name"]
    await eventually(lambda: log_of(wire, pod))
    await wire.delete(f"{PODS}/{name}", {"gracePeriodSeconds": 1})
    assert ("Failed", "BackoffLimitExceeded") in reasons(await ended(wire, "deaf"))


async def test_a_killed_process_shows_its_signal(wire: Wire) -> None:
    await wire.create(JOBS, job("killed", "kill -9 $$$$"))
    await ended(wire, "killed")
    (pod,) = await pods_of(wire, "killed")
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


async def test_a_job_past_its_deadline_fails(wire: Wire) -> None:
    await wire.create(JOBS, job("late", "exec sleep 100", activeDeadlineSeconds=1))
    status = await ended(wire, "late")
    assert ("Failed", "DeadlineExceeded") in reasons(status)


async def test_a_finished_job_goes_when_its_time_is_up(wire: Wire) -> None:
    await wire.create(JOBS, job("brief", "true", ttlSecondsAfterFinished=1))
    await eventually(lambda: is_empty(wire, JOBS))
    await eventually(lambda: is_empty(wire, PODS))


async def test_a_deleted_job_takes_its_pods_and_processes_with_it(wire: Wire) -> None:
    await wire.create(JOBS, job("doomed", "echo $$$$; exec sleep 100"))
    pod = await ready_pod(wire, "doomed")
    pid = int(await eventually(lambda: log_of(wire, pod)))
    assert psutil.pid_exists(pid)
    await wire.delete(f"{JOBS}/doomed", {"propagationPolicy": "Background"})
    await eventually(lambda: is_empty(wire, PODS))
    await eventually(lambda: not psutil.pid_exists(pid))


async def test_a_job_deleted_without_a_policy_leaves_its_pod_running(wire: Wire) -> None:
    await wire.create(JOBS, job("orphaning", "exec sleep 100"))
    name = (await ready_pod(wire, "orphaning"))["metadata"]["name"]
    await wire.delete(f"{JOBS}/orphaning")
    await eventually(lambda: is_empty(wire, JOBS))
    pod = (await wire.get(f"{PODS}/{name}")).body
    assert pod["status"]["phase"] == "Running"
    assert not pod["metadata"].get("ownerReferences")


async def test_what_a_container_leaves_behind_is_killed_with_it(wire: Wire) -> None:
    await wire.create(JOBS, job("messy", "sleep 100 & echo $!"))
    await ended(wire, "messy")
    (pod,) = await pods_of(wire, "messy")
    pid = int(await log_of(wire, pod))
    await eventually(lambda: not psutil.pid_exists(pid))


async def test_a_container_without_a_command_here_does_not_start(wire: Wire) -> None:
    await wire.create(JOBS, job("typo", "", pod={"main": {"command": ["no-such-command"]}}))
    assert ("Failed", "BackoffLimitExceeded") in reasons(await ended(wire, "typo"))
    (pod,) = await pods_of(wire, "typo")
    terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["reason"] == "StartError"
    assert "no-such-command" in terminated["message"]


async def test_a_pod_whose_image_cannot_be_pulled_waits_and_is_never_ready(wire: Wire) -> None:
    await wire.create(JOBS, job("unpulled", "true", pod={"main": {"image": "unpullable.invalid/worker:1"}}))

    async def waiting() -> str:
        pods = await pods_of(wire, "unpulled")
        statuses = pods[0]["status"].get("containerStatuses", ()) if pods else ()
        return statuses[0]["state"].get("waiting", {}).get("reason", "") if statuses else ""

    await eventually(lambda: waiting())
    assert await waiting() == "ImagePullBackOff"
    status = await status_of(wire, "unpulled")
    assert (status["active"], status["ready"]) == (1, 0)
    await wire.delete(f"{JOBS}/unpulled", {"propagationPolicy": "Background"})
    await eventually(lambda: is_empty(wire, PODS))


def with_sidecar(script: str, sidecar: str) -> dict[str, Any]:
    mount = [{"name": "run", "mountPath": "/run/media"}]
    token = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    return {
        "initContainers": [
            {
                "name": "side",
                "image": "none",
                "restartPolicy": "Always",
                "command": ["sh", "-c", sidecar, "--socket", "/run/media/socket"],
                "volumeMounts": mount,
            }
        ],
        "main": {
            "command": ["sh", "-c", script],
            "volumeMounts": [*mount, token],
            "env": [{"name": "SOCKET", "value": "/run/media/socket"}],
        },
        "volumes": [
            {"name": "run", "emptyDir": {}},
            {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}},
        ],
    }


async def test_a_sidecar_shares_a_volume_and_ends_after_the_main_container(wire: Wire) -> None:
    sidecar = 'trap "echo ended >&2; exit 0" TERM; echo ready > "$1"; while :; do sleep 0.05; done'
    script = 'until [ -e "$SOCKET" ]; do sleep 0.05; done; cat "$SOCKET"'
    await wire.create(JOBS, job("paired", "", pod=with_sidecar(script, sidecar)))
    assert (await ended(wire, "paired"))["succeeded"] == 1
    (pod,) = await pods_of(wire, "paired")
    assert await log_of(wire, pod) == "ready\n"
    assert await log_of(wire, pod, "side") == "ended\n"


async def test_a_sidecar_that_dies_is_started_again(wire: Wire) -> None:
    sidecar = 'echo once >> "$1"; sleep 0.1'
    script = 'until [ "$(wc -l < "$SOCKET")" -ge 3 ]; do sleep 0.05; done 2>/dev/null'
    await wire.create(JOBS, job("stubborn", "", pod=with_sidecar(script, sidecar)))
    assert (await ended(wire, "stubborn"))["succeeded"] == 1
    (pod,) = await pods_of(wire, "stubborn")
    assert pod["status"]["initContainerStatuses"][0]["restartCount"] >= 2


async def test_only_a_container_with_a_token_gets_a_kubeconfig(wire: Wire, embedded_cluster: EmbeddedCluster) -> None:
    await wire.create(JOBS, job("token", "", pod=with_sidecar("env", "env; exec sleep 100")))
    await ended(wire, "token")
    (pod,) = await pods_of(wire, "token")
    assert f"KUBECONFIG={embedded_cluster.kubeconfig}" in await log_of(wire, pod)
    assert "KUBECONFIG" not in await log_of(wire, pod, "side")


async def test_the_environment_is_clean_and_takes_from_fields_secrets_and_config(wire: Wire) -> None:
    await wire.create("/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}, "stringData": {"KEY": "k"}})
    await wire.create("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "c"}, "data": {"ZONE": "z"}})
    env = [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "SPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        {"name": "JOB", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['job-name']"}}},
        {"name": "ONE", "valueFrom": {"secretKeyRef": {"name": "s", "key": "KEY"}}},
        {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y", "optional": True}}},
        {"name": "BOTH", "value": "$(JOB)-$(ONE)"},
    ]
    main = {"env": env, "envFrom": [{"secretRef": {"name": "s"}}, {"configMapRef": {"name": "c"}}]}
    script = f"exec {sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
    await wire.create(JOBS, job("env", script, pod={"main": main}))
    await ended(wire, "env")
    (pod,) = await pods_of(wire, "env")
    seen = (await wire.get(f"{PODS}/{pod['metadata']['name']}/log")).body
    expected = {"POD": pod["metadata"]["name"], "SPACE": "default", "JOB": "env", "ONE": "k", "KEY": "k"}
    assert expected.items() <= seen.items()
    assert (seen["BOTH"], seen["ZONE"]) == ("env-k", "z")
    assert "NONE" not in seen
    assert not seen.keys() & {"USER", "PYTEST_CURRENT_TEST", "VIRTUAL_ENV"}
    assert seen["HOME"] == seen["TMPDIR"]


async def test_a_container_waits_for_a_secret_that_is_missing(wire: Wire) -> None:
    env = [{"name": "LATE", "valueFrom": {"secretKeyRef": {"name": "late", "key": "KEY"}}}]
    await wire.create(JOBS, job("waiting", "echo $LATE", pod={"main": {"env": env}}))

    async def reason() -> str:
        pods = await pods_of(wire, "waiting")
        statuses = pods[0]["status"].get("containerStatuses", ()) if pods else ()
        return statuses[0]["state"].get("waiting", {}).get("reason", "") if statuses else ""

    await eventually(lambda: reason())
    assert await reason() == "CreateContainerConfigError"
    path = "/api/v1/namespaces/default/secrets"
    await wire.create(path, {"metadata": {"name": "late"}, "stringData": {"KEY": "came"}})
    assert (await ended(wire, "waiting"))["succeeded"] == 1


async def test_dependents_go_with_their_owner(wire: Wire) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    owner = (await wire.create(path, {"metadata": {"name": "owner"}})).body["metadata"]
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["uid"]}
    await wire.create(path, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    await wire.delete(f"{path}/owner")

    async def gone() -> bool:
        return (await wire.get(f"{path}/owned")).code == 404

    await eventually(gone)


async def test_a_namespace_takes_its_content_with_it(wire: Wire) -> None:
    await wire.create("/api/v1/namespaces", {"metadata": {"name": "short-lived"}})
    path = "/api/v1/namespaces/short-lived/configmaps"
    await wire.create(path, {"metadata": {"name": "inside"}})
    await wire.delete("/api/v1/namespaces/short-lived")

    async def gone() -> bool:
        return (await wire.get("/api/v1/namespaces/short-lived")).code == 404

    await eventually(gone)
    assert (await wire.get(f"{path}/inside")).code == 404


@contextlib.asynccontextmanager
async def cluster_process(data_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """An embedded cluster as a process of its own, and where it is."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media_devcluster.embedded",
        "--data-dir",
        str(data_dir),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            told = json.loads(await process.stdout.readline())
        yield process, told["url"]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["told to stop", "killed"])
async def test_no_process_outlives_the_cluster(tmp_path: Path, end: signal.Signals) -> None:
    async with cluster_process(tmp_path) as (process, url), aiohttp.ClientSession() as session:
        wire = Wire(session, url)
        await wire.create(JOBS, job("left", "sleep 100 & echo $$$$ $!; trap '' TERM; wait"))
        pod = await ready_pod(wire, "left")
        pids = [int(word) for word in (await eventually(lambda: log_of(wire, pod))).split()]
        assert all(map(psutil.pid_exists, pids))
        os.kill(process.pid, end)
        async with asyncio.timeout(20):
            await process.wait()
        await eventually(lambda: not any(map(psutil.pid_exists, pids)))

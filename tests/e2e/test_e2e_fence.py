"""The fence around a worker: what its own token lets it write, read and do, each clause with the answer it gets.

tests/chart has the same policy by an administrator who acts as a worker. Here the tokens are real: minted for pods
that the Job controller named, and in the end the one that is mounted in a worker at work.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from media_core.asset import MediaAsset, Result, Variant
from media_core.names import GROUP, VERSION
from media_core.reasons import Reason
from media_worker.hand import Claim
from media_worker.report import Completed, Failed, GivenBack, Report, Started, patch
from support.deadlines import eventually
from support.fence import Bearer, Fence, Object, assets_of, fenced, reached
from support.held_work import completed_once, held, slow_picture
from support.site import Site
from support.wire import Answer

JOB, LONGER, SHORTER = "default-ab12-1", "default-ab12-11", "default-ab12"
ANOTHER = "default-ab12-2"
BINDING = 3
NOW = "2026-01-01T00:00:00Z"
LATER = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"

pytestmark = pytest.mark.timeout(120)


def condition(type_: str, status: str = "Unknown") -> Object:
    return {"type": type_, "status": status, "reason": "Bound", "message": "A sentence.", "lastTransitionTime": NOW}


STATUS: Object = {
    "phase": "Processing",
    "assignedJob": JOB,
    "binding": BINDING,
    "attempts": 1,
    "notBefore": NOW,
    "startTime": NOW,
    "conditions": [condition("Succeeded"), condition("Isolated", "True")],
    "video": {"backend": "ffmpeg", "progressPercent": 10},
}
"""Of an asset at work, with all that is the operator's."""

WORKERS_PART = ("phase", "startTime", "completionTime", "result", "conditions")


@pytest.fixture(scope="module")
async def fence(site: Site) -> AsyncIterator[Fence]:
    async with fenced(site) as fence:
        yield fence


@pytest.fixture(scope="module")
async def workers(fence: Fence) -> Mapping[str, Bearer]:
    """A worker of each Job, by its Job's name, with the token of its pod."""
    return {name: await fence.token(await fence.job(name)) for name in (JOB, LONGER, SHORTER)}


@pytest.fixture(scope="module")
def worker(workers: Mapping[str, Bearer]) -> Bearer:
    return workers[JOB]


async def reported(fence: Fence, worker: Bearer, asset: Object, *operations: Object) -> Answer:
    return await worker.ask("PATCH", f"{fence.assets}/{asset['metadata']['name']}/status", list(operations))


def replaced(member: str, value: Any) -> Object:
    return {"op": "replace", "path": f"/status/{member}", "value": value}


def removed(member: str) -> Object:
    return {"op": "remove", "path": f"/status/{member}"}


def without(object_: Object, *members: str) -> Object:
    return {key: value for key, value in object_.items() if key not in members}


# -- what it may --

RESULT = Result(width=640, height=480, variants=(Variant(name="large", width=640, height=480, bytes=1234),))

REPORTS: Mapping[str, tuple[Report, str]] = {
    "it begins": (Started(), "Processing"),
    "it has done it": (Completed(RESULT), "Completed"),
    "it fails it": (Failed(Reason.UNDECODABLE, "It is no image."), "Failed"),
    "it gives it back": (GivenBack(Reason.DRAINING, "The worker is being ended."), "Pending"),
}


@pytest.mark.parametrize("case", REPORTS)
async def test_a_worker_reports_on_an_asset_of_its_own_job(fence: Fence, worker: Bearer, case: str) -> None:
    report, phase = REPORTS[case]
    asset = await fence.asset({**STATUS, "phase": "Scheduled" if case == "it begins" else "Processing"})
    seen = MediaAsset.read(asset)
    claim = Claim(seen.name, BINDING)

    answer = await reported(fence, worker, asset, *patch(claim, JOB, seen, report, LATER))

    assert answer.code == 200, answer.body
    status = (await fence.seen(asset))["status"]
    assert status["phase"] == phase
    assert without(status, *WORKERS_PART) == without(asset["status"], *WORKERS_PART)
    assert condition("Isolated", "True") in status["conditions"]


async def test_a_worker_reads_the_assets_of_its_own_namespace(fence: Fence, worker: Bearer) -> None:
    asset = await fence.asset(STATUS)
    assert (await worker.ask("GET", f"{fence.assets}/{asset['metadata']['name']}")).body["status"] == asset["status"]
    listed = await worker.ask("GET", f"{fence.assets}?fieldSelector=status.assignedJob%3D{JOB}")
    assert asset["metadata"]["name"] in {found["metadata"]["name"] for found in listed.body["items"]}


# -- what of a status it may not --

REPORT = (replaced("phase", "Completed"), {"op": "add", "path": "/status/completionTime", "value": NOW})
NOT_ITS_OWN = "the asset is not bound to the Job of this worker"


@dataclass(frozen=True)
class Trespass:
    """Something a worker writes into a status, and the sentence it is refused with."""

    says: str
    operations: tuple[Object, ...] = REPORT
    worker: str = JOB
    over: Mapping[str, Any] = field(default_factory=dict)
    """How the asset differs from one that is at work in the worker's Job."""
    lacks: tuple[str, ...] = ()


TRESPASSES: Mapping[str, Trespass] = {
    "an asset of another Job": Trespass(NOT_ITS_OWN, over={"assignedJob": ANOTHER}),
    "an asset of a Job whose name begins with its own Job's": Trespass(NOT_ITS_OWN, over={"assignedJob": LONGER}),
    "an asset of a Job whose name its own Job's begins with": Trespass(NOT_ITS_OWN, over={"assignedJob": SHORTER}),
    "the same from the longer one's side": Trespass(NOT_ITS_OWN, worker=LONGER),
    "the same from the shorter one's side": Trespass(NOT_ITS_OWN, worker=SHORTER),
    "an asset that is bound to no Job": Trespass(NOT_ITS_OWN, lacks=("assignedJob",)),
    "an asset of another Job, taken by writing its own name into it": Trespass(
        NOT_ITS_OWN, (replaced("assignedJob", JOB), *REPORT), over={"assignedJob": ANOTHER}
    ),
    "assignedJob changed": Trespass("a worker may not change status.assignedJob", (replaced("assignedJob", ANOTHER),)),
    "assignedJob removed": Trespass("a worker may not change status.assignedJob", (removed("assignedJob"),)),
    "binding raised": Trespass("a worker may not change status.binding", (replaced("binding", BINDING + 1),)),
    "binding removed": Trespass("a worker may not change status.binding", (removed("binding"),)),
    "attempts reset": Trespass("a worker may not change status.attempts", (replaced("attempts", 0),)),
    "attempts removed": Trespass("a worker may not change status.attempts", (removed("attempts"),)),
    "notBefore put off": Trespass(
        "a worker may not change status.notBefore", (replaced("notBefore", "2036-01-01T00:00:00Z"),)
    ),
    "notBefore removed": Trespass("a worker may not change status.notBefore", (removed("notBefore"),)),
    "the condition Isolated changed": Trespass(
        "a worker may not change any condition but Succeeded", (replaced("conditions/1/status", "False"),)
    ),
    "the condition Isolated removed": Trespass(
        "a worker may not change any condition but Succeeded", (removed("conditions/1"),)
    ),
    "a condition of another name": Trespass(
        "a worker may not change any condition but Succeeded",
        ({"op": "add", "path": "/status/conditions/-", "value": condition("Trusted", "True")},),
    ),
    "who transcodes a video changed": Trespass(
        "a worker may not change status.video.backend", (replaced("video/backend", "mediaconvert"),)
    ),
    "a job at the transcoder": Trespass(
        "a worker may not change status.video but for progressPercent and durationSeconds",
        ({"op": "add", "path": "/status/video/jobId", "value": "1"},),
    ),
    "video removed": Trespass("a worker may not change status.video.backend", (removed("video"),)),
    "an asset that is completed": Trespass("the asset is settled", over={"phase": "Completed"}),
    "an asset that has failed, done again": Trespass(
        "the asset is settled", (replaced("phase", "Pending"),), over={"phase": "Failed"}
    ),
    "the phase Scheduled": Trespass(
        "a worker may set status.phase to Processing, Completed, Failed or Pending only",
        (replaced("phase", "Scheduled"),),
    ),
    "no phase": Trespass(
        "a worker may set status.phase to Processing, Completed, Failed or Pending only", (removed("phase"),)
    ),
    "no status": Trespass("a worker may not change status.assignedJob", ({"op": "remove", "path": "/status"},)),
}


@pytest.mark.parametrize("case", TRESPASSES)
async def test_a_worker_is_refused_what_of_a_status_is_not_its_to_say(
    fence: Fence, workers: Mapping[str, Bearer], case: str
) -> None:
    trespass = TRESPASSES[case]
    asset = await fence.asset(without(copy.deepcopy({**STATUS, **trespass.over}), *trespass.lacks))

    answer = await reported(fence, workers[trespass.worker], asset, *trespass.operations)

    assert answer.code == 422, answer.body
    assert f"ValidatingAdmissionPolicy '{fence.policy}'" in answer.body["message"]
    assert trespass.says in answer.body["message"]
    assert await fence.seen(asset) == asset


@pytest.mark.parametrize(
    "path",
    [
        "/metadata/labels/mine",
        "/metadata/annotations",
        "/metadata/finalizers",
        "/metadata/ownerReferences",
        "/spec/deletionPolicy",
    ],
)
async def test_through_the_status_nothing_else_of_an_asset_can_be_written(
    fence: Fence, worker: Bearer, path: str
) -> None:
    """The API server takes the status out of such a request and leaves the rest."""
    values: Mapping[str, Any] = {
        "/metadata/labels/mine": "yes",
        "/metadata/annotations": {"media.docfliq.com/retry": "now"},
        "/metadata/finalizers": ["media.docfliq.com/purge"],
        "/metadata/ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "mine", "uid": "mine"}],
        "/spec/deletionPolicy": "Retain",
    }
    asset = await fence.asset(STATUS)
    await fence.admin.merge(f"{fence.assets}/{asset['metadata']['name']}", {"metadata": {"labels": {"theirs": "yes"}}})
    before = await fence.seen(asset)

    await reported(fence, worker, asset, {"op": "add", "path": path, "value": values[path]}, *REPORT)

    after = await fence.seen(asset)
    assert after["spec"] == before["spec"]
    of_the_server = ("managedFields", "resourceVersion")
    assert without(after["metadata"], *of_the_server) == without(before["metadata"], *of_the_server)


# -- whose token it is --


async def test_a_token_of_the_workers_account_that_is_no_pods_is_refused(fence: Fence) -> None:
    asset = await fence.asset(STATUS)
    answer = await reported(fence, await fence.token(), asset, *REPORT)
    assert answer.code == 422
    assert f"{NOT_ITS_OWN}: pod unknown, Job {JOB}" in answer.body["message"]
    assert await fence.seen(asset) == asset


async def test_a_pod_whose_name_is_longer_than_the_jobs_own_pods_is_refused(fence: Fence) -> None:
    """Whoever may create pods can name one so; the account is the worker's and the name begins as it should."""
    asset = await fence.asset(STATUS)
    for name in (f"{JOB}-x7k2pq", f"{JOB}-x7-2p"):
        answer = await reported(fence, await fence.token(await _pod(fence, name)), asset, *REPORT)
        assert answer.code == 422
        assert f"{NOT_ITS_OWN}: pod {name}, Job {JOB}" in answer.body["message"]


async def test_the_token_of_a_pod_that_is_gone_is_nobodys(fence: Fence) -> None:
    pod = await _pod(fence, f"{JOB}-gone1")
    stale = await fence.token(pod)
    await fence.admin.delete(f"{fence.core}/pods/{pod['metadata']['name']}", {"gracePeriodSeconds": 0})
    asset = await fence.asset(STATUS)

    async def unknown() -> bool:
        return (await stale.ask("GET", f"{fence.assets}/{asset['metadata']['name']}")).code == 401

    await eventually(unknown, 30, pause=0.2)
    assert (await reported(fence, stale, asset, *REPORT)).code == 401


async def test_another_account_of_the_namespace_reports_nothing(fence: Fence) -> None:
    asset = await fence.asset(STATUS)
    answer = await reported(fence, await fence.token(account="default"), asset, *REPORT)
    assert answer.code == 403


async def _pod(fence: Fence, name: str) -> Object:
    """A pod of the worker's account that is no Job's."""
    spec = {
        "serviceAccountName": fence.account,
        "schedulingGates": [{"name": "media.docfliq.com/never"}],
        "containers": [{"name": "worker", "image": "nothing"}],
    }
    created = await fence.admin.create(f"{fence.core}/pods", {"metadata": {"name": name}, "spec": spec})
    assert created.code == 201, created.body
    return created.body


# -- what else it may not --

POOL = {"metadata": {"name": "mine"}, "spec": {}}
WORKLOAD = {"containers": [{"name": "mine", "image": "nothing"}], "restartPolicy": "Never"}
KINDS = f"/apis/{GROUP}/{VERSION}"
BATCH = "/apis/batch/v1"

FORBIDDEN: Mapping[str, tuple[str, str, Any]] = {
    "the spec of its own asset": (
        "PATCH",
        "{assets}/{own}",
        [{"op": "add", "path": "/spec/deletionPolicy", "value": "Retain"}],
    ),
    "its own asset as a whole": ("PUT", "{assets}/{own}", {}),
    "its own asset's status as a whole": ("PUT", "{assets}/{own}/status", {}),
    "deleting its own asset": ("DELETE", "{assets}/{own}", None),
    "deleting all assets": ("DELETE", "{assets}", None),
    "creating an asset": ("POST", "{assets}", {}),
    "reading a pool": ("GET", "{kinds}/mediaworkerpools/default", None),
    "creating a pool": ("POST", "{kinds}/mediaworkerpools", POOL),
    "the status of a pool": ("PATCH", "{kinds}/mediaworkerpools/default/status", []),
    "scaling a pool": ("PATCH", "{kinds}/mediaworkerpools/default/scale", []),
    "deleting a pool": ("DELETE", "{kinds}/mediaworkerpools/default", None),
    "reading a Secret": ("GET", "{core}/secrets/media-s3", None),
    "listing Secrets": ("GET", "{core}/secrets", None),
    "reading a ConfigMap": ("GET", "{core}/configmaps/kube-root-ca.crt", None),
    "listing pods": ("GET", "{core}/pods", None),
    "creating a pod": ("POST", "{core}/pods", {"metadata": {"name": "mine"}, "spec": WORKLOAD}),
    "a shell in a pod": ("POST", "{core}/pods/any/exec?command=sh", None),
    "creating a Job": (
        "POST",
        "{jobs}",
        {"metadata": {"name": "mine"}, "spec": {"template": {"spec": WORKLOAD}}},
    ),
    "deleting its own Job": ("DELETE", f"{{jobs}}/{JOB}", None),
    "a token of its own account": ("POST", "{core}/serviceaccounts/media-worker/token", {"spec": {}}),
    "giving itself rights": ("POST", "{roles}/rolebindings", {"metadata": {"name": "mine"}}),
    "an Event": ("POST", "{core}/events", {"metadata": {"name": "mine"}}),
    "the operator's Lease": ("GET", "/apis/coordination.k8s.io/v1/namespaces/{site}/leases/media-operator", None),
    "removing the policy that fences it": (
        "DELETE",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{policy}",
        None,
    ),
    "the nodes": ("GET", "/api/v1/nodes", None),
    "the namespaces": ("GET", "/api/v1/namespaces", None),
    "the assets of all namespaces": ("GET", f"{KINDS}/mediaassets", None),
    "the assets of another namespace": ("GET", "{theirs}", None),
    "an asset of another namespace": ("GET", "{theirs}/{own}", None),
    "the status of an asset of another namespace": ("PATCH", "{theirs}/{own}/status", list(REPORT)),
    "the Secrets of another namespace": ("GET", "/api/v1/namespaces/{site}/secrets/media-s3", None),
}


@pytest.fixture(scope="module")
async def own(fence: Fence) -> str:
    """An asset that is bound to the worker, for all that it is refused."""
    return str((await fence.asset(STATUS))["metadata"]["name"])


@pytest.mark.parametrize("case", FORBIDDEN)
async def test_a_workers_account_has_no_right_to_anything_else(
    fence: Fence, site: Site, worker: Bearer, own: str, case: str
) -> None:
    method, template, body = FORBIDDEN[case]
    path = template.format(
        assets=fence.assets,
        core=fence.core,
        jobs=f"{BATCH}/namespaces/{fence.namespace}/jobs",
        kinds=f"{KINDS}/namespaces/{fence.namespace}",
        roles=f"/apis/rbac.authorization.k8s.io/v1/namespaces/{fence.namespace}",
        own=own,
        policy=fence.policy,
        site=site.namespace,
        theirs=assets_of(site.namespace),
    )
    answer = await worker.ask(method, path, body)
    assert answer.code == 403, answer.body
    who = f'User "system:serviceaccount:{fence.namespace}:{fence.account}" cannot '
    assert who in answer.body["message"]


async def test_a_worker_cannot_act_as_somebody_else(fence: Fence, worker: Bearer, own: str) -> None:
    answer = await worker.ask("GET", f"{fence.assets}/{own}", **{"Impersonate-User": "somebody"})
    assert answer.code == 403
    assert "cannot impersonate" in answer.body["message"]


# -- the fence as it is installed --


async def test_the_token_that_is_mounted_in_a_worker_at_work_is_behind_the_installed_fence(
    site: Site, tmp_path: Path
) -> None:
    await site.quiet()
    async with held(site, slow_picture(tmp_path)) as work, reached(site) as (_, anybody):
        pod = work.pod["metadata"]["name"]
        worker = Bearer(anybody, await site.kubectl("exec", pod, "-c", "worker", "--", "cat", TOKEN))
        status = f"{assets_of(site.namespace)}/{work.asset_id}/status"

        async def writes(member: str, value: Any) -> Answer:
            return await worker.ask("PATCH", status, [{"op": "add", "path": f"/status/{member}", "value": value}])

        refused = await writes("binding", work.binding + 1)
        assert (refused.code, "may not change status.binding" in refused.body["message"]) == (422, True)
        assert (await writes("phase", "Processing")).code == 200, "it says so again"
        for path in (f"secrets/{site.release}-s3", "configmaps", "pods"):
            assert (await worker.ask("GET", f"/api/v1/namespaces/{site.namespace}/{path}")).code == 403, path
        pool = f"{KINDS}/namespaces/{site.namespace}/mediaworkerpools/default"
        assert (await worker.ask("PATCH", pool, [{"op": "remove", "path": "/spec/replicas"}])).code == 403

        work.go_on()
        await completed_once(site, work.asset_id)
        refused = await writes("phase", "Pending")
        assert (refused.code, "the asset is settled" in refused.body["message"]) == (422, True)
    await site.quiet()

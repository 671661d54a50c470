"""The ValidatingAdmissionPolicy on a real API server: every clause, by an administrator who acts as a worker.

Acting as somebody carries the same user, groups and extras as the token of a worker's pod; tests/e2e uses real ones.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from support.chart import OWN, Helm, Object, merged
from support.deadlines import eventually
from support.wire import JSON_PATCH, Answer, Wire

GROUP = "/apis/media.docfliq.com/v1alpha1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
JOB = "default-ab12-1"
POD = f"{JOB}-x7k2p"
NOW = "2026-01-01T00:00:00Z"


def condition(type_: str, status: str = "Unknown") -> Object:
    return {"type": type_, "status": status, "reason": "Bound", "message": "A sentence.", "lastTransitionTime": NOW}


STATUS: Object = {
    "phase": "Processing",
    "assignedJob": JOB,
    "binding": 3,
    "attempts": 1,
    "notBefore": NOW,
    "startTime": NOW,
    "conditions": [condition("Succeeded"), condition("Isolated", "True")],
    "video": {"backend": "ffmpeg", "progressPercent": 10},
}


@dataclass
class Fence:
    """Assets behind the fence, and a worker in front of it."""

    wire: Wire
    namespace: str
    account: str

    @property
    def assets(self) -> str:
        return f"{GROUP}/namespaces/{self.namespace}/mediaassets"

    async def asset(self, status: Mapping[str, Any] = STATUS) -> str:
        """An asset with that status."""
        body = {
            "apiVersion": "media.docfliq.com/v1alpha1",
            "kind": "MediaAsset",
            "metadata": {"name": str(uuid.uuid4())},
            "spec": {
                "assetType": "IMAGE",
                "owner": "alice",
                "source": {
                    "bucket": "media",
                    "key": "uploads/image/alice/a_b.jpg",
                    "etag": "e",
                    "sizeBytes": 1,
                    "contentType": "image/jpeg",
                },
            },
        }
        created = await self.wire.create(self.assets, body)
        assert created.code == 201, created.body
        name: str = created.body["metadata"]["name"]
        answer = await self.wire.merge(f"{self.assets}/{name}/status", {"status": copy.deepcopy(dict(status))})
        assert answer.code == 200, answer.body
        return name

    async def patch(
        self, name: str, *operations: Object, pod: str | None = POD, subresource: str = "/status"
    ) -> Answer:
        """As that pod's worker; None for a token that is no pod's."""
        headers = {
            "Impersonate-User": f"system:serviceaccount:{self.namespace}:{self.account}",
            "Impersonate-Group": "system:serviceaccounts",
            "Content-Type": JSON_PATCH,
        }
        if pod is not None:
            headers["Impersonate-Extra-authentication.kubernetes.io%2Fpod-name"] = pod
        return await self.wire.ask("PATCH", f"{self.assets}/{name}{subresource}", list(operations), headers=headers)


@pytest.fixture
async def fence(helm: Helm, wire: Wire, kinds: None, namespace: str) -> AsyncIterator[Fence]:
    """The worker's account, its rights and the policy, as the chart renders them, in force."""
    objects = helm.render(merged(OWN, {"assets": {"namespace": namespace}, "fullnameOverride": namespace}))
    paths = {
        "ServiceAccount": f"/api/v1/namespaces/{namespace}/serviceaccounts",
        "Role": f"{RBAC}/namespaces/{namespace}/roles",
        "RoleBinding": f"{RBAC}/namespaces/{namespace}/rolebindings",
        "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
        "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
    }
    ours = [body for body in objects if body["kind"] in paths and body["metadata"]["name"].endswith("-worker")]
    assert {body["kind"] for body in ours} == paths.keys()
    fence = Fence(wire, namespace, f"{namespace}-worker")
    try:
        for body in ours:
            created = await wire.create(paths[body["kind"]], body)
            assert created.code == 201, created.body
        await _in_force(fence)
        yield fence
    finally:
        for body in ours:
            await wire.delete(f"{paths[body['kind']]}/{body['metadata']['name']}")


async def _in_force(fence: Fence) -> None:
    """The server learns of a policy a moment after it took it."""
    name = await fence.asset()

    async def refused() -> bool:
        answer = await fence.patch(name, {"op": "replace", "path": "/status/binding", "value": 3}, pod="nobody")
        return answer.code == 422 and "ValidatingAdmissionPolicy" in answer.body["message"]

    await eventually(refused, seconds=30, pause=0.2)


def replaced(member: str, value: Any) -> Object:
    return {"op": "replace", "path": f"/status/{member}", "value": value}


REPORT = (replaced("phase", "Completed"), {"op": "add", "path": "/status/completionTime", "value": NOW})

REFUSED: Mapping[str, tuple[tuple[Object, ...], str | None, str]] = {
    "an asset of another Job": (REPORT, "default-ab12-2-x7k2p", "not bound to the Job"),
    "a Job whose name begins like its own": (REPORT, "default-ab12-11-x7k2p", "not bound to the Job"),
    "a Job whose name its own begins with": (REPORT, "default-ab12-x7k2p", "not bound to the Job"),
    "a pod with a longer tail": (REPORT, f"{JOB}-x7k2pq", "not bound to the Job"),
    "a pod with a dash in its tail": (REPORT, f"{JOB}-x7-2p", "not bound to the Job"),
    "the Job's name itself": (REPORT, JOB, "not bound to the Job"),
    "a token that is no pod's": (REPORT, None, "not bound to the Job"),
    "assignedJob": ((replaced("assignedJob", "default-ab12-2"),), POD, "status.assignedJob"),
    "assignedJob removed": (({"op": "remove", "path": "/status/assignedJob"},), POD, "status.assignedJob"),
    "binding": ((replaced("binding", 4),), POD, "status.binding"),
    "attempts": ((replaced("attempts", 0),), POD, "status.attempts"),
    "notBefore": (({"op": "remove", "path": "/status/notBefore"},), POD, "status.notBefore"),
    "video": (({"op": "remove", "path": "/status/video"},), POD, "status.video.backend"),
    "who transcodes a video": ((replaced("video/backend", "mediaconvert"),), POD, "status.video.backend"),
    "a job at the transcoder": (
        ({"op": "add", "path": "/status/video/jobId", "value": "1"},),
        POD,
        "status.video but",
    ),
    "a token of a submission": (
        ({"op": "add", "path": "/status/video/submitToken", "value": "1"},),
        POD,
        "status.video but",
    ),
    "the time of a submission": (
        ({"op": "add", "path": "/status/video/submitTime", "value": NOW},),
        POD,
        "status.video but",
    ),
    "a condition of the operator's": ((replaced("conditions/1/status", "False"),), POD, "any condition but"),
    "a condition removed": (({"op": "remove", "path": "/status/conditions/1"},), POD, "any condition but"),
    "a condition added": (
        ({"op": "add", "path": "/status/conditions/-", "value": condition("Other")},),
        POD,
        "any condition but",
    ),
    "the phase Scheduled": ((replaced("phase", "Scheduled"),), POD, "status.phase to"),
    "no phase": (({"op": "remove", "path": "/status/phase"},), POD, "status.phase to"),
    "the whole status": (({"op": "remove", "path": "/status"},), POD, "status.assignedJob"),
}


async def test_a_worker_writes_nothing_that_is_not_its_own(fence: Fence) -> None:
    for case, (operations, pod, reason) in REFUSED.items():
        name = await fence.asset()
        before = (await fence.wire.get(f"{fence.assets}/{name}")).body["status"]
        answer = await fence.patch(name, *operations, pod=pod)
        assert answer.code == 422, f"{case}: {answer.body}"
        assert reason in answer.body["message"], f"{case}: {answer.body['message']}"
        assert (await fence.wire.get(f"{fence.assets}/{name}")).body["status"] == before, case


@pytest.mark.parametrize("phase", ["Completed", "Failed"])
async def test_a_settled_asset_stays_as_it_is(fence: Fence, phase: str) -> None:
    name = await fence.asset({**STATUS, "phase": phase})
    answer = await fence.patch(name, replaced("phase", "Pending"))
    assert answer.code == 422
    assert "settled" in answer.body["message"]


async def test_an_asset_that_is_bound_to_nobody_is_nobodys(fence: Fence) -> None:
    for status in ({"phase": "Pending"}, {"phase": "Pending", "binding": 3}):
        answer = await fence.patch(await fence.asset(status), *REPORT)
        assert answer.code == 422
        assert "not bound to the Job" in answer.body["message"]


ALLOWED: Mapping[str, tuple[Object, ...]] = {
    "it begins": (replaced("phase", "Processing"), replaced("startTime", "2026-01-01T00:00:01Z")),
    "it is done": (
        *REPORT,
        {"op": "add", "path": "/status/result", "value": {"width": 4, "height": 3}},
        replaced("conditions/0/status", "True"),
    ),
    "it failed": (replaced("phase", "Failed"), replaced("conditions/0", condition("Succeeded", "False"))),
    "it gives back": (replaced("phase", "Pending"), {"op": "remove", "path": "/status/startTime"}),
    "a film is so far": (replaced("video", {"backend": "ffmpeg", "progressPercent": 99, "durationSeconds": 7}),),
    "another order of the conditions": (
        replaced("conditions", [condition("Isolated", "True"), condition("Succeeded", "False")]),
    ),
}


@pytest.mark.parametrize("case", ALLOWED)
async def test_a_worker_reports_on_what_is_its_own(fence: Fence, case: str) -> None:
    name = await fence.asset()
    answer = await fence.patch(name, *ALLOWED[case])
    assert answer.code == 200, answer.body


async def test_a_worker_says_of_a_film_that_ffmpeg_transcodes_it_where_nobody_has(fence: Fence) -> None:
    for backend, code in (("ffmpeg", 200), ("mediaconvert", 422)):
        name = await fence.asset({key: value for key, value in STATUS.items() if key != "video"})
        change = {"op": "add", "path": "/status/video", "value": {"backend": backend, "progressPercent": 1}}
        answer = await fence.patch(name, change)
        assert answer.code == code, answer.body


async def test_a_worker_may_not_write_a_spec(fence: Fence) -> None:
    name = await fence.asset()
    change = {"op": "add", "path": "/spec/priority", "value": 9}
    answer = await fence.patch(name, change, subresource="")
    assert answer.code == 403
    assert "cannot patch resource" in answer.body["message"]


async def test_whoever_is_no_worker_is_not_asked(fence: Fence) -> None:
    name = await fence.asset()
    answer = await fence.wire.operations(f"{fence.assets}/{name}/status", replaced("binding", 4))
    assert answer.code == 200, answer.body

"""The chart against a real API server: it accepts every object, confines every pod, and the release has a life.

Nothing runs there, so no hook Job would ever end: releases are of the embedded kind, whose only hook at the
installation is the pool, and are removed without hooks.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.chart import CHART, EMBEDDED, FOREIGN, MODES, NAMESPACE, OWN, Helm, Object, Refused, merged, one, pods
from support.wire import Wire

KUBECTL = Path(sys.executable).with_name("kubectl")
KUBECTL_SECONDS = 60
APISERVICE = "v1beta1.external.metrics.k8s.io"
APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
GROUP = "/apis/media.docfliq.com/v1alpha1"
Rendered = Mapping[str, list[Object]]


def kubectl(kubeconfig: Path, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [KUBECTL, "--kubeconfig", kubeconfig, *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, timeout=KUBECTL_SECONDS)


@pytest.fixture(scope="module")
async def namespaces(wire: Wire) -> None:
    """Those that the rendered objects name, with an account for pods to be judged by."""
    for name in (NAMESPACE, "media-assets", "kube-system"):
        answer = await wire.create("/api/v1/namespaces", {"metadata": {"name": name}})
        assert answer.code == 201 or answer.reason == "AlreadyExists", answer.body
        await wire.create(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})


@pytest.mark.parametrize("mode", MODES)
def test_the_server_accepts_every_object(
    rendered: Rendered, kubeconfig: Path, kinds: None, namespaces: None, mode: str
) -> None:
    known = [body for body in rendered[mode] if body["kind"] not in FOREIGN]
    asked = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename", "-")
    done = kubectl(kubeconfig, *asked, given=yaml.safe_dump_all(known))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(known)
    assert "Warning" not in done.stderr, done.stderr


async def test_the_restricted_pod_security_standard_lets_every_pod_in(rendered: Rendered, wire: Wire) -> None:
    name = f"chart-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await wire.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    await wire.create(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    try:
        for mode in MODES:
            for place, pod in pods(rendered[mode]):
                spec = {key: value for key, value in pod.items() if key != "serviceAccountName"}
                body = {"metadata": {"name": "pod"}, "spec": {**spec, "restartPolicy": "Never"}}
                answer = await wire.create(f"/api/v1/namespaces/{name}/pods", body, dryRun="All")
                assert answer.code == 201, f"{mode}, {place}: {answer.body.get('message')}"
        rude = {"metadata": {"name": "rude"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}
        assert (await wire.create(f"/api/v1/namespaces/{name}/pods", rude, dryRun="All")).code == 403
    finally:
        await wire.delete(f"/api/v1/namespaces/{name}")


VALUES = merged(EMBEDDED, {"crds": {"enabled": False}, "admissionPolicy": {"enabled": False}})


@pytest.fixture
async def release(live_helm: Helm, kinds: None, namespace: str) -> AsyncIterator[str]:
    """A release that is installed, named after the release's namespace; nothing of it is left in the cluster."""
    live_helm.run("install", "media", str(CHART), "--namespace", namespace, values=VALUES)
    yield namespace
    live_helm.run("uninstall", "media", "--namespace", namespace, "--no-hooks", "--ignore-not-found")


async def pool(wire: Wire, namespace: str) -> Object:
    answer = await wire.get(f"{GROUP}/namespaces/{namespace}/mediaworkerpools/default")
    assert answer.code == 200, answer.body
    return answer.body


async def secret(wire: Wire, namespace: str, name: str) -> Object:
    answer = await wire.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    assert answer.code == 200, answer.body
    return answer.body


async def test_an_upgrade_keeps_what_others_write(live_helm: Helm, wire: Wire, release: str) -> None:
    scaled = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 7}}
    place = f"{GROUP}/namespaces/{release}/mediaworkerpools/default/scale"
    answer = await wire.ask("PATCH", place, scaled, content_type="application/merge-patch+json")
    assert answer.code == 200, answer.body
    await wire.merge(f"{APISERVICES}/{APISERVICE}", {"spec": {"caBundle": "Y2VydGlmaWNhdGU="}})
    tls = f"/api/v1/namespaces/{release}/secrets/media-metrics-tls"
    await wire.merge(tls, {"data": {"tls.crt": "Y2VydGlmaWNhdGU="}})
    tokens = await secret(wire, release, "media-jwt")

    changed = merged(VALUES, {"pool": {"concurrency": 5}})
    live_helm.run("upgrade", "media", str(CHART), "--namespace", release, values=changed)

    spec = (await pool(wire, release))["spec"]
    assert (spec["replicas"], spec["concurrency"]) == (7, 5)
    assert (await wire.get(f"{APISERVICES}/{APISERVICE}")).body["spec"]["caBundle"] == "Y2VydGlmaWNhdGU="
    assert (await secret(wire, release, "media-metrics-tls"))["data"] == {"tls.crt": "Y2VydGlmaWNhdGU="}
    assert (await secret(wire, release, "media-jwt"))["data"] == tokens["data"]


async def test_a_rollback_and_an_uninstall_keep_pool_and_assets(live_helm: Helm, wire: Wire, release: str) -> None:
    asset = {
        "apiVersion": "media.docfliq.com/v1alpha1",
        "kind": "MediaAsset",
        "metadata": {"name": "3f2b8f0e-5d0a-4f0e-9d57-3d4c2f1f0a11"},
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
    assets = f"{GROUP}/namespaces/{release}/mediaassets"
    assert (await wire.create(assets, asset)).code == 201
    uid = (await pool(wire, release))["metadata"]["uid"]
    for _ in range(2):
        live_helm.run("upgrade", "media", str(CHART), "--namespace", release, values=VALUES)
    live_helm.run("rollback", "media", "1", "--namespace", release)
    assert (await pool(wire, release))["metadata"]["uid"] == uid

    live_helm.run("uninstall", "media", "--namespace", release, "--no-hooks")
    assert (await pool(wire, release))["metadata"]["uid"] == uid
    assert len((await wire.get(assets)).body["items"]) == 1
    assert (await wire.get(f"{APISERVICES}/{APISERVICE}")).code == 404

    live_helm.run("install", "media", str(CHART), "--namespace", release, values=VALUES)
    assert (await pool(wire, release))["metadata"]["uid"] == uid, "the next installation takes it over"


async def test_builtin_metrics_are_refused_where_another_serves_them(
    live_helm: Helm, wire: Wire, kinds: None, namespace: str
) -> None:
    theirs = {
        "metadata": {"name": APISERVICE},
        "spec": {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": "keda", "name": "keda-operator-metrics-apiserver"},
        },
    }
    created = await wire.create(APISERVICES, theirs)
    assert created.code == 201, created.body
    try:
        asked = ("install", "media", str(CHART), "--namespace", namespace, "--dry-run=server")
        with pytest.raises(Refused) as refused:
            live_helm.run(*asked, values=VALUES)
        assert APISERVICE in str(refused.value)
        assert "keda/keda-operator-metrics-apiserver" in str(refused.value)
        live_helm.run(*asked, values=merged(VALUES, {"autoscaling": {"metrics": "none"}}))
    finally:
        await wire.delete(f"{APISERVICES}/{APISERVICE}")


async def test_builtin_metrics_are_refused_where_another_release_serves_them(
    live_helm: Helm, wire: Wire, release: str
) -> None:
    with pytest.raises(Refused, match=rf"the Helm release media in namespace {release}"):
        live_helm.run("install", "other", str(CHART), "--namespace", release, "--dry-run=server", values=VALUES)


async def test_a_secret_that_changed_rolls_the_pods(live_helm: Helm, wire: Wire, kinds: None, namespace: str) -> None:
    def digests() -> dict[str, str]:
        values = merged(OWN, {"autoscaling": {"metrics": "none"}, "crds": {"enabled": False}})
        asked = ("install", "media", str(CHART), "--namespace", namespace, "--dry-run=server", "--output", "json")
        manifest = json.loads(live_helm.run(*asked, values=values))["manifest"]
        objects = [body for body in yaml.safe_load_all(manifest) if body]
        found = {}
        for name in ("media-api", "media-operator"):
            annotations = one(objects, "Deployment", name)["spec"]["template"]["metadata"]["annotations"]
            found[name] = annotations["checksum/secrets"]
        return found

    secrets = f"/api/v1/namespaces/{namespace}/secrets"

    async def put(name: str, data: dict[str, Any]) -> None:
        await wire.create(secrets, {"metadata": {"name": name}, "stringData": data})
        await wire.merge(f"{secrets}/{name}", {"stringData": data})

    await put("ledger", {"MEDIA_DATABASE_URL": "postgresql://a"})
    await put("tokens", {"MEDIA_JWT_SECRET": "one"})
    before = await asyncio.to_thread(digests)
    assert await asyncio.to_thread(digests) == before
    await put("tokens", {"MEDIA_JWT_SECRET": "two"})
    after = await asyncio.to_thread(digests)
    assert after["media-api"] != before["media-api"]
    assert after["media-operator"] == before["media-operator"], "it knows nothing of tokens"
    await put("ledger", {"MEDIA_DATABASE_URL": "postgresql://b"})
    assert (await asyncio.to_thread(digests))["media-operator"] != before["media-operator"]

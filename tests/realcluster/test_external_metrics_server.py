"""`media-metrics` behind a real API server: availability, discovery, the metric, its replicas, and the HPA."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import statistics
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from media_core.names import API_VERSION, POOL_KIND
from media_devcluster.kube import Refused
from media_operator.adapters.cluster import Unavailable
from media_operator.external_metrics.documents import METRIC, ROOT
from support.deadlines import eventually
from support.metrics_site import APISERVICE, APISERVICES, AVAILABLE_SECONDS, NAME, Kubectl, MetricsSite, metrics_site

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))


@pytest.fixture(scope="session")
async def bare(realcluster_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MetricsSite]:
    """The objects, without a process."""
    async with metrics_site(realcluster_kubeconfig, CRDS, tmp_path_factory.mktemp("metrics")) as site:
        yield site


@pytest.fixture(scope="session")
async def site(bare: MetricsSite) -> MetricsSite:
    """Two replicas, started at the same moment, and available."""
    pair = [bare.replica(), bare.replica()]
    started = time.monotonic()
    await asyncio.gather(*(replica.start() for replica in pair))
    for replica in pair:
        await replica.ready()
        await replica.lead_to()
    ready = time.monotonic() - started
    print(f"both replicas ready: {ready:.2f} s; available {await bare.until_available():.2f} s later")
    return bare


async def test_two_replicas_that_start_at_once_agree_on_one_keyring(site: MetricsSite) -> None:
    secret = await site.kube.get(f"/api/v1/namespaces/{site.namespace}/secrets/{NAME}-tls")
    apiservice = await site.kube.get(f"{APISERVICES}/{APISERVICE}")
    assert apiservice["spec"]["caBundle"] == secret["data"]["ca.crt"]
    written = [line for replica in site.replicas for line in replica.logged("certificates_written")]
    assert len(written) == 1
    ends = {line["until"] for replica in site.replicas for line in replica.logged("door_hung")}
    assert len(ends) == 1


async def test_the_backlog_that_the_operator_wrote_is_read_through_the_api_server(site: MetricsSite) -> None:
    for seconds in (571, 0):
        await site.backlog(seconds)
        started = time.monotonic()

        async def shown(wanted: str = str(seconds)) -> bool:
            return await site.value() == wanted

        await eventually(shown, 5)
        print(f"shown after {time.monotonic() - started:.2f} s")


async def test_discovery_is_current_and_names_the_metric(site: MetricsSite) -> None:
    async def current() -> bool:
        return await site.freshness() == "Current"

    await eventually(current, AVAILABLE_SECONDS)
    resources = json.loads(await site.kubectl("get", "--raw", ROOT))["resources"]
    assert [(one["name"], one["verbs"]) for one in resources] == [(METRIC, ["get"])]


async def test_an_old_backlog_is_refused_with_a_sentence_and_discovery_stays_current(site: MetricsSite) -> None:
    await site.backlog(571, age=120)

    async def refused() -> str:
        try:
            await site.api.get(site.metric_path())
        except Unavailable as refusal:
            return str(refusal)
        return ""

    assert re.search(r"503: The backlog of pool default is 1\d\d s old", await eventually(refused, 5))
    assert await site.freshness() == "Current"
    assert await site.available()


async def test_a_namespace_can_be_deleted_while_the_metric_cannot_be_read(site: MetricsSite) -> None:
    await site.backlog(571, age=120)
    name = f"{site.namespace}-other"
    await site.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        {"apiVersion": API_VERSION, "kind": POOL_KIND, "metadata": {"name": "p", "namespace": name}, "spec": {}},
    )
    started = time.monotonic()
    await site.kubectl("delete", "namespace", name, "--timeout=45s")
    print(f"namespace deleted after {time.monotonic() - started:.2f} s")
    with pytest.raises(Refused, match="404"):
        await site.kube.get(f"/api/v1/namespaces/{name}")


async def test_an_account_without_rights_reads_nothing(site: MetricsSite) -> None:
    await site.backlog(571)
    account = f"system:serviceaccount:{site.namespace}:default"
    with pytest.raises(Kubectl, match=r"[Ff]orbidden"):
        await site.kubectl("get", "--raw", site.metric_path(), f"--as={account}")
    hpa = "system:serviceaccount:kube-system:horizontal-pod-autoscaler"
    found = json.loads(await site.kubectl("get", "--raw", site.metric_path(), f"--as={hpa}"))
    assert found["items"][0]["value"] == "571"


async def test_what_is_not_there_is_told_in_words_that_kubectl_shows(site: MetricsSite) -> None:
    with pytest.raises(Kubectl, match=r"NotFound.*There is no MediaWorkerPool other"):
        await site.kubectl("get", "--raw", site.metric_path("other"))
    with pytest.raises(Kubectl, match=r"BadRequest.*has to name one pool"):
        await site.kubectl("get", "--raw", site.metric_path().partition("?")[0])


async def test_a_request_through_the_api_server_takes_milliseconds(site: MetricsSite) -> None:
    await site.backlog(571)
    taken = []
    for _ in range(200):
        started = time.monotonic()
        await site.api.get(site.metric_path())
        taken.append((time.monotonic() - started) * 1000)
    cuts = statistics.quantiles(taken, n=100)
    print(f"request through the API server: median {cuts[49]:.1f} ms, p95 {cuts[94]:.1f} ms, p99 {cuts[98]:.1f} ms")
    assert cuts[94] < 100


async def test_a_replica_that_is_asked_to_leave_serves_on_unready_and_ends_well(site: MetricsSite) -> None:
    await site.backlog(571)
    leaving = site.replicas[0]
    assert leaving.process is not None
    leaving.process.terminate()

    async def unready() -> bool:
        return await leaving.plain("/readyz") == (503, "it is being stopped\n")

    await eventually(unready, 3)
    assert (await leaving.plain("/backlog/default"))[0] == 200, "it still answers"
    await leaving.lead_to(ready=False)
    failures = 0
    while leaving.process.returncode is None:
        failures += await site.value() != "571"
    assert failures == 0, "the other one has taken over without a gap"
    assert await leaving.stop() == 0
    assert await site.available()
    await leaving.start()
    await leaving.ready()
    await leaving.lead_to()


async def test_after_kill_9_of_all_replicas_the_same_certificates_are_served_again(site: MetricsSite) -> None:
    before = (await site.kube.get(f"{APISERVICES}/{APISERVICE}"))["spec"]["caBundle"]
    for replica in site.replicas:
        assert replica.process is not None
        replica.process.send_signal(signal.SIGKILL)
        await replica.process.wait()
        await replica.lead_to(ready=False)

    async def gone() -> bool:
        return not await site.available()

    await eventually(gone, 10, pause=0.1)
    for replica in site.replicas:
        await replica.start()
        await replica.ready()
        await replica.lead_to()
    print(f"available again {await site.until_available():.2f} s after the replicas were ready")
    assert (await site.kube.get(f"{APISERVICES}/{APISERVICE}"))["spec"]["caBundle"] == before
    await site.backlog(30)

    async def read() -> bool:
        return await site.value() == "30"

    await eventually(read, 10)


async def test_a_ca_bundle_that_somebody_emptied_is_put_right(site: MetricsSite) -> None:
    path = f"{APISERVICES}/{APISERVICE}"
    before = (await site.kube.get(path))["spec"]["caBundle"]
    await site.api.merge(path, {"spec": {"caBundle": None}})

    async def right() -> bool:
        return (await site.kube.get(path))["spec"].get("caBundle") == before

    await eventually(right, 40, pause=0.2)
    await site.until_available()


@pytest.mark.slow
async def test_the_hpa_takes_the_pool_up_and_down_by_the_metric(site: MetricsSite) -> None:
    await site.backlog(0)
    up = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 50, "periodSeconds": 15}]}
    down = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]}
    metric = {"name": METRIC, "selector": {"matchLabels": {"pool": "default"}}}
    await site.apply(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "default", "namespace": site.namespace},
            "spec": {
                "scaleTargetRef": {"apiVersion": API_VERSION, "kind": POOL_KIND, "name": "default"},
                "minReplicas": 1,
                "maxReplicas": 20,
                "metrics": [
                    {
                        "type": "External",
                        "external": {"metric": metric, "target": {"type": "AverageValue", "averageValue": "30"}},
                    }
                ],
                "behavior": {"scaleUp": up, "scaleDown": down},
            },
        }
    )
    for backlog, slots in ((0, 1), (600, 20), (60, 2), (0, 1)):
        started = time.monotonic()

        async def scaled(seconds: int = backlog, wanted: int = slots) -> bool:
            await site.backlog(seconds)
            return await site.slots() == wanted

        await eventually(scaled, 60, pause=0.2)
        print(f"backlog {backlog}: {slots} slots after {time.monotonic() - started:.2f} s")
    shown = await site.kubectl("get", "hpa", "default", f"--namespace={site.namespace}")
    assert "<unknown>" not in shown
    print(shown)

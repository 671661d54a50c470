"""The operator's Lease on any API server: made, renewed, handed over, and written in a form that servers accept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from kubernetes.aio.client import ApiClient

from media_core.lease import Term
from media_operator.adapters.cluster import Cluster
from media_operator.leadership import Leadership
from support.deadlines import eventually
from support.wire import Object, Wire

NAME = "media-operator"


def a_candidate(api_client: ApiClient, namespace: str, identity: str, seconds: int) -> Leadership:
    cluster = Cluster(api_client, namespace, may_write=lambda: True)
    return Leadership(cluster, NAME, Term(identity, seconds), clock=lambda: datetime.now(UTC))


async def spec_of(wire: Wire, namespace: str) -> Object:
    found = await wire.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}")
    assert found.code == 200, found.body
    spec: Object = found.body["spec"]
    return spec


async def test_a_lease_is_renewed_by_its_holder_and_handed_over_when_it_leaves(
    api_client: ApiClient, wire: Wire, namespace: str
) -> None:
    first, second = (a_candidate(api_client, namespace, name, 60) for name in ("first", "second"))
    async with asyncio.timeout(10):
        await first.acquire()
    made = await spec_of(wire, namespace)
    assert (made["holderIdentity"], made["leaseDurationSeconds"], made["leaseTransitions"]) == ("first", 60, 0)
    keeping = asyncio.create_task(first.keep())

    async def renewed() -> bool:
        return bool((await spec_of(wire, namespace))["renewTime"] > made["renewTime"])

    await eventually(renewed)
    waiting = asyncio.create_task(second.acquire())
    keeping.cancel()
    await first.release()

    async with asyncio.timeout(10):
        await waiting
    taken = await spec_of(wire, namespace)
    assert (taken["holderIdentity"], taken["leaseTransitions"]) == ("second", 1)
    await second.release()
    assert not (await spec_of(wire, namespace)).get("holderIdentity")


async def test_a_lease_whose_holder_is_silent_is_taken_over(api_client: ApiClient, wire: Wire, namespace: str) -> None:
    first, second = (a_candidate(api_client, namespace, name, 2) for name in ("first", "second"))
    async with asyncio.timeout(10):
        await first.acquire()
        await second.acquire()
    assert (await spec_of(wire, namespace))["holderIdentity"] == "second"
    assert not first.holds()

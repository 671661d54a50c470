"""The RoleBinding that outlives the assets, on an API server that has the finalizers' rules.

The embedded cluster has no RBAC: here the RoleBinding is a custom kind of the same name. That the rights really hold
until then is proved on the real cluster (tests/e2e/test_e2e_release.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from media_core.names import PURGE_FINALIZER, RIGHTS_FINALIZER
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.embedded.faults import Effect
from media_operator.adapters.cluster import Cluster, client_of
from media_operator.rights import Rights
from support.apiobjects import custom_kind, media_asset
from support.deadlines import eventually
from support.wire import Wire

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
NAME = "media-operator"
ASSETS = "/apis/media.docfliq.com/v1alpha1/namespaces/default/mediaassets"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
DEFINITION = custom_kind("rbac.authorization.k8s.io", "RoleBinding", "rolebindings", "Namespaced")


@dataclass
class Held:
    """A RoleBinding that is held, and whoever holds it."""

    cluster: EmbeddedCluster
    wire: Wire
    rights: Rights

    async def is_there(self) -> bool:
        return (await self.wire.get(f"{BINDINGS}/{NAME}")).code == 200

    async def delete(self, path: str) -> None:
        assert (await self.wire.delete(path)).code == 200


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[Held]:
    async with EmbeddedCluster(CRDS, tmp_path) as cluster, aiohttp.ClientSession() as session:
        wire = Wire(session, cluster.url)
        metadata = {"name": NAME, "finalizers": [RIGHTS_FINALIZER]}
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata}
        asset = media_asset("one")
        asset["metadata"]["finalizers"] = [PURGE_FINALIZER]
        definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        for path, body in ((definitions, DEFINITION), (BINDINGS, binding), (ASSETS, asset)):
            created = await wire.create(path, body)
            assert created.code == 201, created.body
        api = Cluster(await client_of({"KUBECONFIG": str(cluster.kubeconfig)}), "default", lambda: True)
        try:
            yield Held(cluster, wire, Rights(api, NAME, look_seconds=0.02))
        finally:
            await api.close()


async def test_nothing_is_let_go_while_nobody_deletes_it(held: Held) -> None:
    assert not await held.rights.look()
    assert await held.is_there()


async def test_a_deleted_binding_is_held_while_there_are_assets_and_let_go_after_the_last(held: Held) -> None:
    await held.delete(f"{BINDINGS}/{NAME}")
    assert not await held.rights.look()
    assert await held.is_there()

    purged = await held.wire.merge(f"{ASSETS}/one", {"metadata": {"finalizers": []}})
    assert purged.code == 200
    await held.delete(f"{ASSETS}/one")

    assert await held.rights.look()
    assert not await held.is_there()
    assert not await held.rights.look(), "it is gone"


async def test_it_is_looked_at_until_it_can_be_let_go_whatever_the_api_server_says_meanwhile(held: Held) -> None:
    held.cluster.faults.add(Effect.SERVER_ERROR, verbs=("get",), resource="rolebindings", times=3)
    looking = asyncio.create_task(held.rights.run())
    try:
        await held.wire.merge(f"{ASSETS}/one", {"metadata": {"finalizers": []}})
        await held.delete(f"{ASSETS}/one")
        await held.delete(f"{BINDINGS}/{NAME}")

        async def gone() -> bool:
            return not await held.is_there()

        await eventually(gone)
        assert not looking.done()
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking

"""The metrics server against an API server: two replicas at one Secret, the caBundle, the pools, the way out."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from cryptography import x509

from media_core.names import API_VERSION, GROUP, POOL_KIND, POOLS, VERSION
from media_core.shape import timestamp
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_operator.external_metrics.apiserver import ApiServer
from media_operator.external_metrics.certificates import Keyring
from media_operator.external_metrics.identity import CONFIG_MAP
from media_operator.external_metrics.issuing import Lives
from media_operator.external_metrics.keeping import Keeping, Place
from media_operator.external_metrics.main import MetricsServer, Pace
from media_operator.external_metrics.settings import ExternalMetricsSettings
from support.authorities import Pair, authority, client_context
from support.deadlines import eventually
from support.metrics_site import free_port

CRDS = sorted((Path(__file__).parents[2] / "crds").glob("*.yaml"))
APISERVICES: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "apiservices.apiregistration.k8s.io"},
    "spec": {
        "group": "apiregistration.k8s.io",
        "scope": "Cluster",
        "names": {
            "kind": "APIService",
            "listKind": "APIServiceList",
            "plural": "apiservices",
            "singular": "apiservice",
        },
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "x-kubernetes-preserve-unknown-fields": True,
                        "properties": {},
                    }
                },
            }
        ],
    },
}
"""The embedded API server aggregates nothing; here the object only has to be there."""
APISERVICE = "v1beta1.external.metrics.k8s.io"
HPA = {"X-Remote-User": "hpa", "X-Remote-Group": "system:masters"}


class Clock:
    """The real time, and more of it on demand."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@pytest.fixture(scope="module")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedCluster]:
    """One that knows APIServices, and has a namespace for the whole program."""
    folder = tmp_path_factory.mktemp("upkeep")
    crd = folder / "apiservices.yaml"
    crd.write_text(yaml.safe_dump(APISERVICES))
    async with EmbeddedCluster([*CRDS, crd], folder / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="module")
async def api(cluster: EmbeddedCluster) -> AsyncIterator[ApiServer]:
    connected = await ApiServer.connect({"KUBECONFIG": str(cluster.kubeconfig)})
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system"}}
    await connected.create("/api/v1/namespaces", namespace)
    await place(connected, "whole")
    yield connected
    await connected.close()


async def place(api: ApiServer, namespace: str, *, service: str = "media-metrics", make: bool = True) -> Place:
    """A namespace of its own, with an APIService that leads to `service` there."""
    await api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    if make:
        body = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": f"v1.{namespace}"},
            "spec": {"group": "external.metrics.k8s.io", "service": {"namespace": namespace, "name": service}},
        }
        await api.create("/apis/apiregistration.k8s.io/v1/apiservices", body)
    return Place("media-metrics", namespace, "media-metrics-tls", f"v1.{namespace}")


async def bundle(api: ApiServer, where: Place) -> bytes:
    """The APIService's caBundle."""
    return base64.b64decode((await api.get(where.apiservice_path))["spec"].get("caBundle") or "")


async def secret(api: ApiServer, where: Place) -> dict[str, Any]:
    return await api.get(f"{where.secrets}/{where.secret}")


async def test_replicas_that_begin_at_once_serve_what_the_first_of_them_wrote(api: ApiServer) -> None:
    where = await place(api, "race")
    keyrings = await asyncio.gather(*(Keeping(api, where, Clock()).look() for _ in range(5)))
    assert len({keyring.chain for keyring in keyrings}) == 1
    assert await bundle(api, where) == keyrings[0].bundle
    assert (await secret(api, where))["type"] == "kubernetes.io/tls"


async def test_a_look_at_what_is_right_writes_nothing(api: ApiServer) -> None:
    where = await place(api, "quiet")
    keeping = Keeping(api, where, Clock())
    await keeping.look()
    before = [await secret(api, where), await api.get(where.apiservice_path)]
    await keeping.look()
    assert [await secret(api, where), await api.get(where.apiservice_path)] == before


async def test_a_secret_that_is_there_is_filled_and_keeps_what_else_it_holds(api: ApiServer) -> None:
    where = await place(api, "filled")
    body = {"metadata": {"name": where.secret, "labels": {"a": "b"}}, "data": {"note": "eA==", "tls.crt": ""}}
    await api.create(where.secrets, {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", **body})
    keyring = await Keeping(api, where, Clock()).look()
    found = await secret(api, where)
    assert (found["type"], found["metadata"]["labels"], found["data"]["note"]) == ("Opaque", {"a": "b"}, "eA==")
    held = Keyring.read({key: base64.b64decode(value) for key, value in found["data"].items()})
    assert held is not None
    assert held.chain == keyring.chain


async def test_a_secret_that_was_spoilt_is_made_anew_and_trusted(api: ApiServer) -> None:
    where = await place(api, "spoilt")
    keeping = Keeping(api, where, Clock())
    old = await keeping.look()
    await api.merge(f"{where.secrets}/{where.secret}", {"data": {"ca.key": "bm9uZQ=="}})
    new = await keeping.look()
    assert new.bundle != old.bundle
    assert await bundle(api, where) == new.bundle


async def test_an_apiservice_of_another_is_left_alone(api: ApiServer) -> None:
    where = await place(api, "foreign", service="keda-operator-metrics-apiserver")
    keyring = await Keeping(api, where, Clock()).look()
    assert keyring.certificate
    assert await bundle(api, where) == b""


async def test_without_an_apiservice_there_is_a_keyring_all_the_same(api: ApiServer) -> None:
    where = await place(api, "absent", make=False)
    assert (await Keeping(api, where, Clock()).look()).certificate


async def test_two_replicas_change_the_authority_without_a_moment_in_which_one_is_not_trusted(api: ApiServer) -> None:
    where, clock, lives = await place(api, "change"), Clock(), Lives()
    pair = [Keeping(api, where, clock), Keeping(api, where, clock)]
    served = {keeping: (await keeping.look()).certificate for keeping in pair}
    signers, widths = set(), set()
    for _ in range(200):
        clock.ahead += timedelta(days=2) if len(widths) < 2 else lives.overlap / 2
        for keeping in pair:
            served[keeping] = (await keeping.look()).certificate
            trusted = x509.load_pem_x509_certificates(await bundle(api, where))
            widths.add(len(trusted))
            signers.add(served[keeping].issuer)
            for certificate in served.values():
                assert certificate.issuer in {one.subject for one in trusted}
        if len(signers) == 2 and len({one.issuer for one in served.values()}) == 1:
            break
    assert (len(signers), widths) == (2, {1, 2})


# -- the whole program, in this process --


def settings(**changed: Any) -> ExternalMetricsSettings:
    """Free ports on loopback."""
    given = {
        "MEDIA_NAMESPACE": "whole",
        "MEDIA_METRICS_HOST": "127.0.0.1",
        "MEDIA_METRICS_PORT": free_port(),
        "MEDIA_METRICS_PROBE_PORT": free_port(),
        "MEDIA_METRICS_SERVICE_NAMESPACE": "whole",
    }
    return ExternalMetricsSettings(**given | changed)


@asynccontextmanager
async def running(api: ApiServer, given: ExternalMetricsSettings, clock: Clock) -> AsyncIterator[asyncio.Event]:
    """The server; it is asked to stop at the end, and must end well."""
    stop = asyncio.Event()
    task = asyncio.create_task(
        MetricsServer(given, api, clock, pace=Pace(look_seconds=0.2, leaving_seconds=0.5)).run(stop)
    )
    try:
        async with aiohttp.ClientSession() as http:

            async def ready() -> bool:
                assert not task.done(), task
                try:
                    async with http.get(f"http://127.0.0.1:{given.probe_port}/readyz") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await eventually(ready)
        yield stop
    finally:
        stop.set()
        async with asyncio.timeout(20):
            assert await task == 0


async def write_backlog(api: ApiServer, seconds: int, time: datetime, name: str = "default") -> None:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/whole/{POOLS}"
    body = {"apiVersion": API_VERSION, "kind": POOL_KIND, "metadata": {"name": name}, "spec": {}}
    found = (await api.get(path))["items"]
    if name not in {pool["metadata"]["name"] for pool in found}:
        await api.create(path, body)
    await api.merge(f"{path}/{name}/status", {"status": {"backlogSeconds": seconds, "backlogTime": timestamp(time)}})


async def plain(given: ExternalMetricsSettings, path: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{given.probe_port}{path}") as answer:
        return answer.status, await answer.json()


async def name_front_proxy(api: ApiServer, *authorities: Pair) -> None:
    """What the API server writes about itself."""
    data = {
        "requestheader-client-ca-file": "".join(one.pem for one in authorities),
        "requestheader-allowed-names": '["front-proxy-client"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
    collection, _, name = CONFIG_MAP.rpartition("/")
    found = (await api.get(collection))["items"]
    if any(one["metadata"]["name"] == name for one in found):
        await api.merge(CONFIG_MAP, {"data": data})
    else:
        await api.create(
            collection, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
        )


async def test_where_external_metrics_are_anothers_the_plain_port_alone_is_served(api: ApiServer) -> None:
    given, clock = settings(), Clock()
    async with running(api, given, clock):
        await write_backlog(api, 12, clock(), "keda")

        async def shown() -> bool:
            return (await plain(given, "/backlog/keda"))[1].get("backlogSeconds") == 12

        await eventually(shown)
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            await asyncio.open_connection("127.0.0.1", given.port)


async def test_the_backlog_grows_old_while_the_api_server_is_away_and_is_read_again_when_it_is_back(
    cluster: EmbeddedCluster, api: ApiServer
) -> None:
    given, clock = settings(), Clock()
    async with running(api, given, clock):
        await write_backlog(api, 5, clock())

        async def shown(seconds: int) -> bool:
            return (await plain(given, "/backlog/default"))[1].get("backlogSeconds") == seconds

        await eventually(lambda: shown(5))
        cluster.faults.go_down()
        try:
            assert await shown(5), "it is still true"
            clock.ahead += timedelta(seconds=61)
            code, body = await plain(given, "/backlog/default")
            assert code == 503
            assert "have not been read for" in body["error"]
        finally:
            cluster.faults.come_back()
        await write_backlog(api, 6, clock())
        await eventually(lambda: shown(6))


async def test_the_metric_is_served_by_the_services_name_to_the_front_proxy_of_the_day(api: ApiServer) -> None:
    old, new = authority("front-1"), authority("front-2")
    await name_front_proxy(api, old)
    given, clock = settings(MEDIA_METRICS_APISERVICE="v1.whole"), Clock()
    async with running(api, given, clock), aiohttp.ClientSession() as http:
        await write_backlog(api, 571, clock())
        where = Place("media-metrics", "whole", "media-metrics-tls", "v1.whole")
        trusted = (await bundle(api, where)).decode()
        contexts = {one.pem: client_context(trusted, one.signs("front-proxy-client")) for one in (old, new)}
        root = f"https://127.0.0.1:{given.port}/apis/external.metrics.k8s.io/v1beta1"

        async def read(shown: Pair) -> str | None:
            """The value; a number where it is refused, None where there is no connection."""
            context = contexts[shown.pem]
            path = f"{root}/namespaces/whole/media_backlog_seconds?labelSelector=pool%3Ddefault"
            try:
                async with http.get(
                    path, headers=HPA, ssl=context, server_hostname="media-metrics.whole.svc"
                ) as found:
                    body = await found.json()
            except aiohttp.ClientError:
                return None
            return str(body["items"][0]["value"]) if found.status == 200 else str(found.status)

        async def as_written() -> bool:
            return await read(old) == "571"

        await eventually(as_written)
        assert await read(new) is None
        await name_front_proxy(api, new)

        async def changed() -> bool:
            return await read(new) == "571"

        await eventually(changed, 25, pause=0.2)
        assert await read(old) is None, "its connection, which was kept open till then, is closed too"

"""A namespace behind the chart's fence, with worker Jobs in it whose pods have real tokens.

It has the worker's account, rights and admission policy as the chart renders them, and no operator that looks at it:
what a test writes into an asset's status stays there. The pods are the Job controller's, named by it; they are never
scheduled, because all that matters of them is the name in their token.
"""

from __future__ import annotations

import json
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from tempfile import NamedTemporaryFile
from typing import Any

import aiohttp
import yaml
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from media_core.names import ASSETS, GROUP, VERSION
from media_devcluster.local.programs import PAUSE_IMAGE
from media_devcluster.local.stack import CHART, RELEASE
from support.apiobjects import media_asset
from support.deadlines import eventually
from support.site import Site
from support.wire import JSON_PATCH, Answer, Object, Wire

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
TEMPLATES = ("serviceaccounts", "rbac", "admissionpolicy")
TOKEN_SECONDS = 3600


@dataclass(frozen=True)
class Bearer:
    """Whoever has that token, and nothing else."""

    wire: Wire
    token: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; a patch is a JSON patch."""
        kind = {"Content-Type": JSON_PATCH} if method == "PATCH" else {}
        return await self.wire.ask(
            method, path, body, headers={"Authorization": f"Bearer {self.token}", **kind, **headers}
        )


@dataclass(frozen=True)
class Fence:
    """What is behind the fence, as its administrator has it."""

    admin: Wire
    anybody: Wire
    """The same API server without a name of one's own."""
    namespace: str
    account: str
    policy: str

    @property
    def core(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}"

    @property
    def assets(self) -> str:
        return assets_of(self.namespace)

    async def asset(self, status: Mapping[str, Any]) -> Object:
        """A new asset with that status."""
        created = await self.admin.create(self.assets, media_asset(str(uuid.uuid4())))
        assert created.code == 201, created.body
        path = f"{self.assets}/{created.body['metadata']['name']}/status"
        written = await self.admin.merge(path, {"status": dict(status)})
        assert written.code == 200, written.body
        return written.body

    async def seen(self, asset: Object) -> Object:
        """The asset as it is now."""
        return (await self.admin.get(f"{self.assets}/{asset['metadata']['name']}")).body

    async def job(self, name: str) -> Object:
        """A Job with the worker's account; its pod."""
        pod = {
            "serviceAccountName": self.account,
            "restartPolicy": "Never",
            "schedulingGates": [{"name": "media.docfliq.com/never"}],
            "containers": [{"name": "worker", "image": PAUSE_IMAGE}],
        }
        jobs = f"/apis/batch/v1/namespaces/{self.namespace}/jobs"
        created = await self.admin.create(jobs, {"metadata": {"name": name}, "spec": {"template": {"spec": pod}}})
        assert created.code == 201, created.body

        async def pods() -> list[Object]:
            selector = f"batch.kubernetes.io/job-name={name}"
            return list((await self.admin.get(f"{self.core}/pods", labelSelector=selector)).body["items"])

        return (await eventually(pods, 30, pause=0.1))[0]

    async def token(self, pod: Object | None = None, account: str | None = None) -> Bearer:
        """Somebody with a new token of the account: that pod's, as the kubelet would get it, or nobody's."""
        spec: Object = {"expirationSeconds": TOKEN_SECONDS}
        if pod is not None:
            bound = {key: pod["metadata"][key] for key in ("name", "uid")}
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", **bound}
        path = f"{self.core}/serviceaccounts/{account or self.account}/token"
        made = await self.admin.create(path, {"spec": spec})
        assert made.code == 201, made.body
        return Bearer(self.anybody, made.body["status"]["token"])


def assets_of(namespace: str) -> str:
    """Path of the assets of a namespace."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{ASSETS}"


@asynccontextmanager
async def fenced(site: Site) -> AsyncIterator[Fence]:
    """A namespace of its own behind a fence of its own, in force."""
    namespace = f"fence-{uuid.uuid4().hex[:8]}"
    async with reached(site) as (admin, anybody):
        fence = Fence(admin, anybody, namespace, f"{RELEASE}-worker", f"{namespace}.{RELEASE}-worker")
        objects = await rendered(site, namespace)
        paths = {
            "ServiceAccount": f"{fence.core}/serviceaccounts",
            "Role": f"{RBAC}/namespaces/{namespace}/roles",
            "RoleBinding": f"{RBAC}/namespaces/{namespace}/rolebindings",
            "ValidatingAdmissionPolicy": f"{ADMISSION}/validatingadmissionpolicies",
            "ValidatingAdmissionPolicyBinding": f"{ADMISSION}/validatingadmissionpolicybindings",
        }
        ours = [body for body in objects if body["metadata"]["name"] in (fence.account, fence.policy)]
        assert {body["kind"] for body in ours} == paths.keys()
        made = [("/api/v1/namespaces", namespace)]
        try:
            assert (await admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})).code == 201
            for body in ours:
                created = await admin.create(paths[body["kind"]], body)
                assert created.code == 201, created.body
                made.append((paths[body["kind"]], body["metadata"]["name"]))
            await _in_force(fence)
            yield fence
        finally:
            for path, name in reversed(made):
                await admin.delete(f"{path}/{name}")


@asynccontextmanager
async def reached(site: Site) -> AsyncIterator[tuple[Wire, Wire]]:
    """The site's API server, as its administrator and as somebody without a name who can show a token."""
    configuration = Configuration()
    await load_kube_config(config_file=site.state.kubeconfig, client_configuration=configuration)
    nobody = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(ApiClient(configuration))
        key = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")

        async def wire(context: ssl.SSLContext, headers: Mapping[str, str]) -> Wire:
            connector = aiohttp.TCPConnector(ssl=context)
            session = await stack.enter_async_context(aiohttp.ClientSession(headers=headers, connector=connector))
            return Wire(session, configuration.host.rstrip("/"))

        admin = await wire(client.rest_client.ssl_context, {"Authorization": key} if key else {})
        yield admin, await wire(nobody, {})


async def rendered(site: Site, namespace: str) -> list[Object]:
    """The fence as the chart has it when it is installed there with the site's values."""
    with NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(site.values, file)
        file.flush()
        only = [word for name in TEMPLATES for word in ("--show-only", f"templates/{name}.yaml")]
        text = await site.helm.run(
            "template", RELEASE, str(CHART), "--namespace", namespace, "--values", file.name, *only
        )
    return [body for body in yaml.safe_load_all(text) if body]


async def _in_force(fence: Fence) -> None:
    """The server learns of a policy, and of rights, a moment after it took them."""
    asset = await fence.asset({"phase": "Scheduled", "assignedJob": "somebody", "binding": 1})
    worker = await fence.token()

    async def refused() -> bool:
        change = [{"op": "replace", "path": "/status/phase", "value": "Processing"}]
        answer = await worker.ask("PATCH", f"{fence.assets}/{asset['metadata']['name']}/status", change)
        return answer.code == 422 and fence.policy in answer.body["message"]

    await eventually(refused, 30, pause=0.2)

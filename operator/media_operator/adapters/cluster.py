"""The Kubernetes API as the operator uses it: plain JSON in and out, a few kinds of object, seven kinds of refusal.

Built on `kubernetes.aio`'s client for configuration, TLS and tokens; its typed models are left out, because the
operator has its own. A semaphore bounds the writes in flight: nothing else would.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from enum import Enum
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from media_core.names import ASSETS, GROUP, MANAGED_BY, MANAGED_BY_LABEL, OPERATOR_MANAGER, POOLS, VERSION

PAGE = 500
TIMEOUT_SECONDS = 30.0
WRITES_IN_FLIGHT = 32


class Kind(Enum):
    """A kind of object the operator works with: its path, the label selector it lists by, whether in a namespace."""

    ASSET = (f"/apis/{GROUP}/{VERSION}", ASSETS, None)
    POOL = (f"/apis/{GROUP}/{VERSION}", POOLS, None)
    JOB = ("/apis/batch/v1", "jobs", f"{MANAGED_BY_LABEL}={MANAGED_BY}")
    EVENT = ("/api/v1", "events", None)
    LEASE = ("/apis/coordination.k8s.io/v1", "leases", None)
    POD = ("/api/v1", "pods", None)
    DEPLOYMENT = ("/apis/apps/v1", "deployments", None)
    ROLE_BINDING = ("/apis/rbac.authorization.k8s.io/v1", "rolebindings", None)
    API_SERVICE = ("/apis/apiregistration.k8s.io/v1", "apiservices", None, False)

    def __init__(self, root: str, plural: str, selector: str | None, namespaced: bool = True) -> None:
        self.root, self.plural, self.selector, self.namespaced = root, plural, selector, namespaced


class ClusterError(Exception):
    """The API server refused or did not answer. `status` is the HTTP status, 0 where there was no answer."""

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class Conflict(ClusterError):
    """Somebody else wrote first (409 on a write of something known)."""


class AlreadyExists(ClusterError):
    """There is one of that name already (409 on a create)."""


class NotFound(ClusterError):
    """There is no such object (404)."""


class Invalid(ClusterError):
    """The object or patch is refused as it is (422); sending it again cannot help."""


class Expired(ClusterError):
    """The pages of a LIST took so long that the rest of them is gone (410); it has to begin again."""


class Unavailable(ClusterError):
    """No answer, 429 or 5xx: it can pass."""


class NotAllowed(Unavailable):
    """This process may not write at the moment, and nothing was sent."""


async def client_of(environment: Mapping[str, str]) -> ApiClient:
    """A client by the file that KUBECONFIG names, else as a pod of the cluster. Raises Unavailable."""
    settings = Configuration()
    # Else every request looks for a proxy and a ~/.netrc in threads, which takes longer than the rest of it.
    settings.client_session_kwargs = {"trust_env": False}
    try:
        if path := environment.get("KUBECONFIG"):
            await config.load_kube_config(config_file=path, client_configuration=settings, persist_config=False)
        else:
            config.load_incluster_config(client_configuration=settings)
    except config.ConfigException as error:
        raise Unavailable(0, f"no way to the API server: {error}") from error
    return ApiClient(configuration=settings)


class Cluster:
    """One namespace of one API server."""

    def __init__(self, client: ApiClient, namespace: str, may_write: Callable[[], bool]) -> None:
        self._client = client
        self.namespace = namespace
        self._may_write = may_write
        self._writes = asyncio.Semaphore(WRITES_IN_FLIGHT)

    @classmethod
    async def connect(cls, namespace: str, may_write: Callable[[], bool] = lambda: True) -> Cluster:
        """By the file that KUBECONFIG names, else as a pod of the cluster. `may_write` is asked before each write."""
        return cls(await client_of(os.environ), namespace, may_write)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def pages(self, kind: Kind, selector: str = "") -> AsyncIterator[tuple[list[dict[str, Any]], int]]:
        """Every object of the kind in pages, each with the version at which the LIST was made."""
        token = ""
        while True:
            query = {"limit": str(PAGE), "continue": token, "labelSelector": selector or kind.selector or ""}
            answer = await self._call("GET", self._path(kind), query=query)
            yield answer.get("items") or [], int(answer["metadata"].get("resourceVersion") or 0)
            token = answer["metadata"].get("continue") or ""
            if not token:
                return

    async def get(self, kind: Kind, name: str) -> dict[str, Any] | None:
        """The object as it is now, or None."""
        try:
            return await self._call("GET", self._path(kind, name))
        except NotFound:
            return None

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises AlreadyExists, Invalid, Unavailable."""
        return await self._write("POST", self._path(kind), body)

    async def replace(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """The whole object under the resourceVersion in the body. Raises Conflict, NotFound, Invalid, Unavailable."""
        return await self._write("PUT", self._path(kind, body["metadata"]["name"]), body)

    async def replace_status(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """The whole status under the resourceVersion in the body. Raises Conflict, NotFound, Invalid, Unavailable."""
        return await self._write("PUT", self._path(kind, body["metadata"]["name"], "status"), body)

    async def merge(self, kind: Kind, name: str, patch: Mapping[str, Any], *, subresource: str = "") -> dict[str, Any]:
        """A merge patch; with metadata.resourceVersion in it, only if nobody wrote since."""
        content = "application/merge-patch+json"
        return await self._write("PATCH", self._path(kind, name, subresource), patch, content=content)

    async def delete(self, kind: Kind, name: str, uid: str, version: int | None = None) -> dict[str, Any] | None:
        """Ask for the deletion of that very object (and, with `version`, only as it was); None where it is gone.

        Raises Conflict where it is another object by now, or was written since.
        """
        test = {"uid": uid, **({"resourceVersion": str(version)} if version is not None else {})}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": test,
            "propagationPolicy": "Background",
        }
        try:
            return await self._write("DELETE", self._path(kind, name), options)
        except NotFound:
            return None

    def _path(self, kind: Kind, name: str = "", subresource: str = "") -> str:
        place = ("namespaces", self.namespace) if kind.namespaced else ()
        parts = (kind.root, *place, kind.plural, name, subresource)
        return "/".join(part for part in parts if part)

    async def _write(
        self, method: str, path: str, body: Mapping[str, Any], *, content: str = "application/json"
    ) -> dict[str, Any]:
        async with self._writes:
            if not self._may_write():
                raise NotAllowed(0, f"{method} {path}: the Lease of this operator is over")
            query = {} if method == "DELETE" else {"fieldManager": OPERATOR_MANAGER}
            return await self._call(method, path, body=body, query=query, content=content)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> dict[str, Any]:
        wanted = [(key, value) for key, value in (query or {}).items() if value]
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                request = await self._client.param_serialize(
                    method=method,
                    resource_path=path,
                    query_params=wanted,
                    header_params={"Content-Type": content, "Accept": "application/json"},
                    auth_settings=["BearerToken"],
                )
                answer = await self._client.call_api(*request[:3], body, None, _request_timeout=TIMEOUT_SECONDS)
                text = await answer.read()
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise Unavailable(0, f"{method} {path}: {type(error).__name__}: {error}") from error
        if answer.status < 300:
            parsed: dict[str, Any] = json.loads(text)
            return parsed
        raise refusal(method, path, answer.status, text, answer.headers.get("Retry-After"))


def refusal(method: str, path: str, status: int, text: bytes, retry_after: str | None) -> ClusterError:
    """What the API server's answer means, with its own words."""
    try:
        told = json.loads(text).get("message", "")
    except (ValueError, AttributeError):
        told = text[:200].decode(errors="replace")
    message = f"{method} {path}: {status}: {told}"
    if status == 404:
        return NotFound(status, message)
    if status == 409:
        return AlreadyExists(status, message) if method == "POST" else Conflict(status, message)
    if status == 410:
        return Expired(status, message)
    if status == 422:
        return Invalid(status, message)
    if status == 429 or status >= 500:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        return Unavailable(status, message, seconds)
    return ClusterError(status, message)

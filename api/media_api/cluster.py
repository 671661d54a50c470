"""The Kubernetes API as the REST API uses it: create, annotate and delete one MediaAsset, and nothing else.

It is never needed to answer a client: what cannot be done here now is done by the operator later. So a server that
does not answer is left alone for a moment, or each confirm would wait for it in vain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, ApiException, Configuration, CustomObjectsApi
from kubernetes.aio.config import ConfigException

from media_core.asset import AssetSpec, asset_manifest
from media_core.names import API_MANAGER, ASSETS, GROUP, RETRY_ANNOTATION, VERSION

TIMEOUT_SECONDS = 1.0
REST_SECONDS = 5.0


class ClusterUnavailable(Exception):
    """The API server refused or did not answer; it can pass."""


class NoObject(Exception):
    """There is no object of that name."""


class Cluster:
    """The assets of one namespace."""

    def __init__(self, namespace: str, kubeconfig: Path | None, monotonic: Callable[[], float]) -> None:
        self._namespace, self._kubeconfig, self._monotonic = namespace, kubeconfig, monotonic
        self._client: ApiClient | None = None
        self._resting_until = float("-inf")

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def create(self, name: str, spec: AssetSpec) -> None:
        """One that is there already is as good. Raises ClusterUnavailable, at once while the server is left alone."""
        if self._monotonic() < self._resting_until:
            raise ClusterUnavailable("the API server is left alone for a moment, because it did not answer before")
        body = asset_manifest(name, self._namespace, spec)
        try:
            await self._call(
                lambda api, place: api.create_namespaced_custom_object(**place, body=body, field_manager=API_MANAGER)
            )
        except ClusterUnavailable:
            self._resting_until = self._monotonic() + REST_SECONDS
            raise
        except ApiException as error:
            if error.status != 409:
                raise ClusterUnavailable(f"{error.status}: {error.reason}") from error

    async def retry(self, name: str, mark: str) -> bool:
        """Set the retry annotation; False where the object is on its way out. Raises NoObject, ClusterUnavailable."""
        patch = {"metadata": {"annotations": {RETRY_ANNOTATION: mark}}}
        patched = await self._named(
            lambda api, place: api.patch_namespaced_custom_object(
                **place, name=name, body=patch, field_manager=API_MANAGER, _content_type="application/merge-patch+json"
            )
        )
        return not patched["metadata"].get("deletionTimestamp")

    async def delete(self, name: str) -> None:
        """Ask for its deletion. Raises NoObject, ClusterUnavailable."""
        await self._named(lambda api, place: api.delete_namespaced_custom_object(**place, name=name))

    async def ping(self) -> None:
        """Whether the server answers and knows the kind. Raises ClusterUnavailable."""
        try:
            await self._call(lambda api, place: api.list_namespaced_custom_object(**place, limit=1))
        except ApiException as error:
            raise ClusterUnavailable(f"{error.status}: {error.reason}") from error

    async def _named(self, call: Callable[[CustomObjectsApi, dict[str, Any]], Awaitable[Any]]) -> Any:
        try:
            return await self._call(call)
        except ApiException as error:
            if error.status == 404:
                raise NoObject(str(error.reason)) from error
            raise ClusterUnavailable(f"{error.status}: {error.reason}") from error

    async def _call(self, call: Callable[[CustomObjectsApi, dict[str, Any]], Awaitable[Any]]) -> Any:
        place: dict[str, Any] = {"group": GROUP, "version": VERSION, "namespace": self._namespace, "plural": ASSETS}
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                return await call(CustomObjectsApi(await self._connected()), place)
        except (TimeoutError, OSError, aiohttp.ClientError, ConfigException) as error:
            raise ClusterUnavailable(f"{type(error).__name__}: {error}") from error

    async def _connected(self) -> ApiClient:
        """By the file that was named, else as a pod of the cluster; looked for until it is there."""
        if self._client is None:
            settings = Configuration()
            # Else every request looks for a proxy and a ~/.netrc in threads, which takes longer than the rest of it.
            settings.client_session_kwargs = {"trust_env": False}
            if self._kubeconfig is not None:
                await config.load_kube_config(config_file=str(self._kubeconfig), client_configuration=settings)
            else:
                config.load_incluster_config(client_configuration=settings)
            self._client = ApiClient(configuration=settings)
        return self._client

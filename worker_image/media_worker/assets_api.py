"""The Kubernetes API as a worker needs it: list, watch and read the assets of its Job, patch their status.

A thin adapter over `kubernetes.aio`: raw JSON in and out, no generated models. Every failure becomes one of three:
`AssetMissing`, `PatchRefused` (trying again cannot help) or `ApiUnavailable` (it may, even where it is forbidden).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio import client, config

from media_core.asset import MediaAsset
from media_core.names import ASSETS, GROUP, VERSION, WORKER_MANAGER

CALL_SECONDS = 15.0
LIST_SECONDS = 60.0
SILENCE_SECONDS = 70.0
"""A watch that is silent for longer is taken for dead: bookmarks come every minute."""
PAGE = 500
"""Assets in one answer of a list."""


class ApiUnavailable(Exception):
    """The API server did not answer, or asked to be called again later."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ApiForbidden(ApiUnavailable):
    """The API server knows this worker's account, and does not let it."""


class AssetMissing(Exception):
    """There is no such asset any more."""


class PatchRefused(Exception):
    """The API server understood the patch and refuses it."""


class WatchExpired(Exception):
    """The watch cannot go on from where it was; only a list can."""


@dataclass(frozen=True, slots=True)
class Page:
    """Everything assigned to the Job, and the resource version from which a watch goes on."""

    bodies: tuple[dict[str, Any], ...]
    resource_version: str


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One line of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    body: dict[str, Any]

    @property
    def resource_version(self) -> str:
        """From where to go on after this event."""
        return str(self.body["metadata"]["resourceVersion"])


async def connect(environment: Mapping[str, str] = os.environ) -> client.ApiClient:
    """A client for KUBECONFIG where the environment names one, else for the cluster this pod runs in."""
    configuration = client.Configuration()
    # Else every request looks for a proxy and a ~/.netrc in threads, which takes longer than the rest of it.
    configuration.client_session_kwargs = {"trust_env": False}
    if path := environment.get("KUBECONFIG"):
        await config.load_kube_config(config_file=path, client_configuration=configuration, persist_config=False)
    else:
        config.load_incluster_config(client_configuration=configuration)
    api = client.ApiClient(configuration)
    api.user_agent = WORKER_MANAGER
    return api


class AssetsApi:
    """The assets bound to one Job."""

    def __init__(
        self, api: client.ApiClient, namespace: str, job: str, silence: float = SILENCE_SECONDS, page: int = PAGE
    ) -> None:
        self._silence = silence
        self._page = page
        self._api = api
        self._folder = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{ASSETS}"
        self._selector = f"status.assignedJob={job}"

    async def everything(self) -> Page:
        """All assets of the Job. Raises ApiUnavailable."""
        bodies: list[dict[str, Any]] = []
        following = ""
        while True:
            query = {"fieldSelector": self._selector, "limit": str(self._page)}
            if following:
                query["continue"] = following
            status, headers, text = await self._call("GET", self._folder, query, seconds=LIST_SECONDS)
            if status == 410 and following:
                bodies, following = [], ""
                continue
            if status != 200:
                raise _unavailable(status, headers, text)
            found = json.loads(text)
            bodies += found["items"]
            following = found["metadata"].get("continue") or ""
            if not following:
                return Page(tuple(bodies), str(found["metadata"]["resourceVersion"]))

    async def watch(self, resource_version: str, seconds: int) -> AsyncIterator[WatchEvent]:
        """What changes after `resource_version`, for about `seconds`. Raises WatchExpired and ApiUnavailable."""
        query = {
            "fieldSelector": self._selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(seconds),
        }
        limits = aiohttp.ClientTimeout(total=seconds + self._silence, sock_connect=5, sock_read=self._silence)
        response: aiohttp.ClientResponse | None = None
        try:
            response = (await self._request("GET", self._folder, query, None, limits)).response
            assert response is not None
            if response.status != 200:
                _expired(response.status)
                raise _unavailable(response.status, response.headers, await response.text())
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    _expired(int(event["object"].get("code") or 0))
                    raise ApiUnavailable(str(event["object"].get("message")))
                yield WatchEvent(event["type"], event["object"])
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ApiUnavailable(f"The watch broke off: {error!r}") from error
        finally:
            if response is not None:
                response.close()

    async def read(self, name: str) -> MediaAsset:
        """The asset as it is now. Raises AssetMissing and ApiUnavailable."""
        status, headers, text = await self._call("GET", f"{self._folder}/{name}", {})
        if status == 404:
            raise AssetMissing(name)
        if status != 200:
            raise _unavailable(status, headers, text)
        return MediaAsset.read(json.loads(text))

    async def patch_status(self, name: str, patch: list[dict[str, Any]]) -> MediaAsset:
        """The asset after the patch. Raises AssetMissing, PatchRefused and ApiUnavailable."""
        query = {"fieldManager": WORKER_MANAGER}
        status, headers, text = await self._call("PATCH", f"{self._folder}/{name}/status", query, patch)
        match status:
            case 200:
                return MediaAsset.read(json.loads(text))
            case 404:
                raise AssetMissing(name)
            case 400 | 413 | 415 | 422:
                raise PatchRefused(_told(status, text))
            case _:
                raise _unavailable(status, headers, text)

    async def _call(
        self, method: str, path: str, query: dict[str, str], body: Any = None, seconds: float = CALL_SECONDS
    ) -> tuple[int, Mapping[str, str], str]:
        limits = aiohttp.ClientTimeout(total=seconds, sock_connect=5)
        try:
            async with asyncio.timeout(seconds):
                response = await self._request(method, path, query, body, limits)
                text = (await response.read()).decode()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(f"{method} failed: {error!r}") from error
        return response.status, response.headers, text

    async def _request(
        self, method: str, path: str, query: dict[str, str], body: Any, limits: aiohttp.ClientTimeout
    ) -> Any:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json-patch+json"
        request = await self._api.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params=headers,
            body=body,
            auth_settings=["BearerToken"],
        )
        return await self._api.call_api(*request, _request_timeout=limits)


def _expired(status: int) -> None:
    if status == 410:
        raise WatchExpired


def _unavailable(status: int, headers: Mapping[str, str], text: str) -> ApiUnavailable:
    kind = ApiForbidden if status in (401, 403) else ApiUnavailable
    return kind(_told(status, text), _retry_after(headers))


def _told(status: int, text: str) -> str:
    """The API server's own words, where it has some."""
    try:
        return f"{status}: {json.loads(text)['message']}"
    except (ValueError, KeyError, TypeError):
        return f"{status}: {text[:200]}"


def _retry_after(headers: Mapping[str, str]) -> float:
    value = headers.get("Retry-After", "")
    return min(float(value), 60.0) if value.isdigit() else 0.0

"""The Kubernetes API as the metrics server uses it: objects by path, a watch, and SubjectAccessReviews.

Beside `adapters.cluster`, which is one namespace's: this program reads and writes in three, and outside of any.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from media_operator.adapters.cluster import ClusterError, Unavailable, client_of, refusal
from media_operator.external_metrics.authorization import Access, NoVerdict, Verdict
from media_operator.external_metrics.identity import User

CALL_SECONDS = 10.0
MANAGER = "media-metrics"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
JSON = "application/json"
MERGE = "application/merge-patch+json"

Object = dict[str, Any]


class ApiServer:
    """Plain JSON in and out. Every failure is a ClusterError."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    async def connect(cls, environment: Mapping[str, str] = os.environ) -> ApiServer:
        """By the file that KUBECONFIG names, else as a pod of the cluster."""
        client = await client_of(environment)
        client.user_agent = MANAGER
        return cls(client)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def get(self, path: str, accept: str = JSON) -> Object:
        """Raises NotFound, Unavailable."""
        return await self._call("GET", path, accept=accept)

    async def create(self, path: str, body: Mapping[str, Any]) -> Object:
        """Raises AlreadyExists, Unavailable."""
        return await self._call("POST", path, body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> Object:
        """Under the resourceVersion in the body. Raises Conflict, NotFound, Unavailable."""
        return await self._call("PUT", path, body)

    async def merge(self, path: str, patch: Mapping[str, Any]) -> Object:
        """A merge patch; with metadata.resourceVersion in it, only if nobody wrote since. Raises Conflict."""
        return await self._call("PATCH", path, patch, MERGE)

    async def watch(self, path: str, version: str, seconds: int) -> AsyncIterator[Object]:
        """What changes after that version, for about so many seconds."""
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
        limits = aiohttp.ClientTimeout(total=seconds + CALL_SECONDS, sock_connect=CALL_SECONDS)
        response: aiohttp.ClientResponse | None = None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                response = await self._request("GET", path, None, query, limits)
            if response.status != 200:
                raise refusal("WATCH", path, response.status, await response.read(), None)
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    told = event["object"]
                    raise ClusterError(int(told.get("code") or 0), f"WATCH {path}: {told.get('message')}")
                yield event
        except (TimeoutError, OSError, aiohttp.ClientError, ValueError) as error:
            raise Unavailable(0, f"WATCH {path}: {type(error).__name__}: {error}") from error
        finally:
            if response is not None:
                response.close()

    async def review(self, user: User, access: Access) -> Verdict:
        """A SubjectAccessReview. Raises NoVerdict."""
        wanted = {
            "group": access.group,
            "version": access.version,
            "resource": access.resource,
            "namespace": access.namespace,
            "verb": access.verb,
        }
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra},
            "resourceAttributes": wanted,
        }
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        try:
            answer = await self._call("POST", REVIEWS, body)
        except ClusterError as error:
            raise NoVerdict(str(error)) from error
        status = answer.get("status") or {}
        return Verdict(status.get("allowed") is True, str(status.get("reason") or ""))

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content: str = JSON,
        accept: str = JSON,
    ) -> Object:
        query = {} if method == "GET" or path == REVIEWS else {"fieldManager": MANAGER}
        limits = aiohttp.ClientTimeout(total=CALL_SECONDS)
        try:
            async with asyncio.timeout(CALL_SECONDS):
                response = await self._request(method, path, body, query, limits, content, accept)
                text = await response.read()
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise Unavailable(0, f"{method} {path}: {type(error).__name__}: {error}") from error
        if response.status >= 300:
            raise refusal(method, path, response.status, text, None)
        parsed: Object = json.loads(text)
        return parsed

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, str],
        limits: aiohttp.ClientTimeout,
        content: str = JSON,
        accept: str = JSON,
    ) -> aiohttp.ClientResponse:
        request = await self._client.param_serialize(
            method=method,
            resource_path=path,
            query_params=list(query.items()),
            header_params={"Content-Type": content, "Accept": accept},
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(*request[:3], body, None, _request_timeout=limits)
        response: aiohttp.ClientResponse = answer.response
        return response

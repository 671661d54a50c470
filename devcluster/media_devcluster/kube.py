"""The Kubernetes API as the stack uses it: plain JSON in and out, one kind of refusal.

Apart from the operator's adapter because it also talks to clusters it does not know yet, with a person's account.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

CALL_SECONDS = 15.0


class Refused(Exception):
    """The API server said no (`status`), or nothing at all (0)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Kube:
    """One API server, by a kubeconfig's current context."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def connect(cls, kubeconfig: Path) -> AsyncIterator[Kube]:
        """Open a client for it. Raises Refused where the file is not usable."""
        settings = Configuration()
        try:
            await config.load_kube_config(config_file=str(kubeconfig), client_configuration=settings)
        except (config.ConfigException, OSError) as error:
            raise Refused(0, f"{kubeconfig} is not a usable kubeconfig: {error}") from error
        async with ApiClient(configuration=settings) as client:
            yield cls(client)

    @property
    def host(self) -> str:
        """Where it is."""
        return str(self._client.configuration.host)

    async def get(self, path: str) -> dict[str, Any]:
        """Read an object or a collection. Raises Refused."""
        return await self._call("GET", path)

    async def keep(self, collection: str, body: Mapping[str, Any]) -> str:
        """Create it, or leave what is there as it is. Returns what happened, for people."""
        try:
            await self._call("POST", collection, body)
        except Refused as refused:
            if refused.status != 409:
                raise
            return f"{title(body)} (was there)"
        return title(body)

    async def replace(self, collection: str, body: Mapping[str, Any]) -> str:
        """Create it, or put it in the place of what is there. Returns what happened, for people."""
        try:
            await self._call("POST", collection, body)
        except Refused as refused:
            if refused.status != 409:
                raise
            path = f"{collection}/{body['metadata']['name']}"
            version = (await self.get(path))["metadata"]["resourceVersion"]
            await self._call("PUT", path, {**body, "metadata": {**body["metadata"], "resourceVersion": version}})
            return f"{title(body)} (renewed)"
        return title(body)

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        path, _, query = path.partition("?")
        try:
            request = await self._client.param_serialize(
                method=method,
                resource_path=path,
                query_params=[tuple(pair.split("=", 1)) for pair in query.split("&") if pair],
                header_params={"Content-Type": "application/json", "Accept": "application/json"},
                auth_settings=["BearerToken"],
            )
            answer = await self._client.call_api(*request[:3], body, None, _request_timeout=CALL_SECONDS)
            text = await answer.read()
        except (TimeoutError, OSError, aiohttp.ClientError) as error:
            raise Refused(0, f"no answer to {method} {path}: {error or type(error).__name__}") from error
        if answer.status >= 300:
            raise Refused(answer.status, f"{answer.status} to {method} {path}: {_message(text)}")
        return dict(json.loads(text))


def title(body: Mapping[str, Any]) -> str:
    """An object as people name it."""
    return f"{body['kind']} {body['metadata']['name']}"


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, TypeError, KeyError):
        return text[:200].decode(errors="replace")

"""A client that says to an API server exactly what a test words, and hears exactly what it answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

Object = dict[str, Any]
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    code: int
    body: Object
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return str(self.body.get("reason", ""))

    @property
    def causes(self) -> dict[str, str]:
        """Field to reason, of an invalid object."""
        causes = (self.body.get("details") or {}).get("causes") or []
        return {cause["field"]: cause["reason"] for cause in causes}


class Wire:
    """Requests exactly as the tests word them."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._session = session
        self._base = base

    async def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        headers = dict(options.get("headers", {}))
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers.setdefault("Content-Type", options.get("content_type", "application/json"))
        async with self._session.request(
            method, self._base + path, data=data, headers=headers, params=options.get("params")
        ) as response:
            text = await response.text()
            try:
                said = json.loads(text)
            except ValueError:
                said = text
            body = said if isinstance(said, dict) else {"text": text}
            return Answer(response.status, body, response.headers)

    async def get(self, path: str, **params: str) -> Answer:
        return await self.ask("GET", path, params=params)

    async def create(self, path: str, body: Object, **params: str) -> Answer:
        return await self.ask("POST", path, body, params=params)

    async def replace(self, path: str, body: Object, **params: str) -> Answer:
        return await self.ask("PUT", path, body, params=params)

    async def merge(self, path: str, body: Object, **params: str) -> Answer:
        return await self.ask("PATCH", path, body, content_type=MERGE_PATCH, params=params)

    async def operations(self, path: str, *operations: Object) -> Answer:
        return await self.ask("PATCH", path, list(operations), content_type=JSON_PATCH)

    async def delete(self, path: str, options: Object | None = None, **params: str) -> Answer:
        return await self.ask("DELETE", path, options, params=params)

    async def table(self, path: str, **params: str) -> Object:
        accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
        return (await self.ask("GET", path, headers=accept, params=params)).body

    @contextlib.asynccontextmanager
    async def watch(self, path: str, **params: str) -> AsyncIterator[Stream]:
        accept = params.pop("accept", "application/json")
        async with self._session.get(
            self._base + path,
            params={"watch": "true", "timeoutSeconds": "30", **params},
            headers={"Accept": accept},
        ) as response:
            yield Stream(response)


class Stream:
    """The events of one watch."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.code = response.status

    async def next(self, seconds: float = 10.0) -> Object | None:
        """The next event, or None when the stream ends; TimeoutError when nothing comes."""
        async with asyncio.timeout(seconds):
            line = await self._response.content.readline()
        return json.loads(line) if line else None

    async def take(self, count: int) -> list[tuple[str, str]]:
        """So many events, as type and name."""
        events = [await self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"]["name"]) for event in events if event]

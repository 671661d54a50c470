"""A proxy in front of an S3 server that fails and dawdles as it is told.

For tests of what happens when object storage is unwell, which the S3 server of the tests never is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web
from yarl import URL

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade"})
CODES = {403: "AccessDenied", 429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `began` and `ended` are times of the event loop; `ended` is None while it runs."""

    method: str
    key: str
    began: float
    ended: float | None = None


Matches = Callable[[Call], bool]


def puts(call: Call) -> bool:
    """Requests that write."""
    return call.method == "PUT"


def gets(call: Call) -> bool:
    """Requests that read."""
    return call.method == "GET"


def everything(call: Call) -> bool:
    """Every request."""
    return True


@dataclass(slots=True)
class _Fault:
    matches: Matches
    status: int | None = None
    seconds: float = 0.0
    left: float = float("inf")
    cut: bool = False


@dataclass(slots=True)
class FaultyS3:
    """`async with FaultyS3(upstream_url) as s3:` and give `s3.url` to the program under test."""

    upstream_url: str
    calls: list[Call] = field(default_factory=list)
    _faults: list[_Fault] = field(default_factory=list)
    _asked: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    _session: aiohttp.ClientSession | None = None
    url: str = ""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{key:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._runner is not None
        assert self._session is not None
        await self._runner.cleanup()
        await self._session.close()

    def fail(self, status: int, matches: Matches = everything, count: float = float("inf")) -> None:
        """Answer the next `count` matching requests with that status."""
        self._faults.append(_Fault(matches, status=status, left=count))

    def delay(self, seconds: float, matches: Matches = everything, count: float = float("inf")) -> None:
        """Let the next `count` matching requests wait before they go on."""
        self._faults.append(_Fault(matches, seconds=seconds, left=count))

    def cut(self, matches: Matches = everything, count: float = float("inf")) -> None:
        """Close the connection in the middle of the next `count` matching answers."""
        self._faults.append(_Fault(matches, cut=True, left=count))

    def heal(self) -> None:
        """No more faults."""
        self._faults.clear()

    def made(self, matches: Matches = everything) -> list[Call]:
        """The matching requests so far."""
        return [call for call in self.calls if matches(call)]

    async def asked(self, matches: Matches = everything, count: int = 1, seconds: float = 20.0) -> list[Call]:
        """Wait until so many matching requests have come."""
        async with asyncio.timeout(seconds):
            while len(self.made(matches)) < count:
                self._asked.clear()
                await self._asked.wait()
        return self.made(matches)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        index = len(self.calls)
        call = Call(request.method, request.match_info["key"], loop.time())
        self.calls.append(call)
        self._asked.set()
        try:
            return await self._answer(request, call)
        finally:
            self.calls[index] = Call(call.method, call.key, call.began, loop.time())

    async def _answer(self, request: web.Request, call: Call) -> web.StreamResponse:
        body = await request.read()
        cut = False
        for fault in [fault for fault in self._faults if fault.left > 0 and fault.matches(call)]:
            fault.left -= 1
            await asyncio.sleep(fault.seconds)
            cut = cut or fault.cut
            if fault.status is not None:
                code = CODES.get(fault.status, "Error")
                text = f"<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>"
                return web.Response(status=fault.status, text=text, content_type="application/xml")
        return await self._forward(request, body, cut)

    async def _forward(self, request: web.Request, body: bytes, cut: bool) -> web.StreamResponse:
        assert self._session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        headers.pop("Expect", None)
        url = URL(self.upstream_url + request.raw_path, encoded=True)
        async with self._session.request(
            request.method, url, headers=headers, data=body or None, allow_redirects=False
        ) as upstream:
            content = await upstream.read()
            answer = web.StreamResponse(status=upstream.status)
            for name, value in upstream.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    answer.headers[name] = value
            if request.method != "HEAD":
                answer.content_length = len(content)
            await answer.prepare(request)
            if cut and request.transport is not None:
                await answer.write(content[: len(content) // 2])
                request.transport.close()
                return answer
            if request.method != "HEAD":
                await answer.write(content)
            await answer.write_eof()
            return answer

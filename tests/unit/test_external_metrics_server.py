"""The served port over real TLS: who gets in, what they are told, and what happens when authorities change."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from media_operator.external_metrics.authorization import Access, Authorization, NoVerdict, Verdict
from media_operator.external_metrics.certificates import Keyring, Step, names_of, take
from media_operator.external_metrics.documents import ROOT, Refusal, Value
from media_operator.external_metrics.door import Door
from media_operator.external_metrics.identity import FrontProxy, User
from media_operator.external_metrics.measures import Measures
from media_operator.external_metrics.probes import probes
from media_operator.external_metrics.server import Served, application
from support.authorities import Pair, authority, client_context
from support.build import NOW

HOST = "media-metrics.media.svc"
METRIC = f"{ROOT}/namespaces/media/media_backlog_seconds"
HPA = {"X-Remote-User": "system:serviceaccount:kube-system:horizontal-pod-autoscaler"}
ADA = {"X-Remote-User": "ada", "X-Remote-Group": "system:authenticated"}
FRONT = authority()
CLIENT = FRONT.signs("front-proxy-client")


@dataclass
class Reviewer:
    """Lets the HPA in and nobody else; `broken` cannot be asked."""

    broken: bool = False

    async def review(self, user: User, access: Access) -> Verdict:
        if self.broken:
            raise NoVerdict("connection refused")
        return Verdict(user.name == HPA["X-Remote-User"] and access.verb == "list")


def front_proxy(front: Pair) -> FrontProxy:
    return FrontProxy(
        front.pem,
        frozenset({"front-proxy-client"}),
        ("X-Remote-User",),
        ("X-Remote-Uid",),
        ("X-Remote-Group",),
        ("X-Remote-Extra-",),
    )


@dataclass
class Here:
    """The server in this process."""

    keyring: Keyring
    proxy: FrontProxy
    door: Door = field(default_factory=Door)
    reviewer: Reviewer = field(default_factory=Reviewer)
    leaving: bool = False
    backlog: Value | Refusal | Exception = Value("default", 571, NOW)  # noqa: RUF009 - a value that cannot change
    port: int = 0
    measures: Measures = field(default_factory=lambda: Measures(lambda: [Value("default", 571, NOW)]))

    def answer(self, pool: str) -> Value | Refusal:
        if isinstance(self.backlog, Exception):
            raise self.backlog
        return self.backlog if pool == "default" else Refusal(404, "NotFound", f"There is no MediaWorkerPool {pool}.")

    async def get(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        shown: Pair | None = CLIENT,
        method: str = "GET",
    ) -> tuple[int, dict[str, Any], str]:
        """Status, JSON and the Connection header."""
        context = client_context(self.keyring.bundle.decode(), shown)
        url = f"https://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, url, headers=headers, ssl=context, server_hostname=HOST) as answer,
        ):
            assert answer.content_type == "application/json"
            return answer.status, await answer.json(), answer.headers.get("Connection", "")


@asynccontextmanager
async def serving() -> AsyncIterator[Here]:
    keyring = take(Step.START_OVER, None, names_of("media-metrics", "media"), datetime.now(NOW.tzinfo))
    here = Here(keyring, front_proxy(FRONT))
    here.door.hang(keyring.chain, FRONT.pem)
    served = Served(
        namespace="media",
        front_proxy=lambda: here.proxy,
        authorization=Authorization(here.reviewer, lambda: 0.0),
        answer=here.answer,
        leaving=lambda: here.leaving,
        measures=here.measures,
    )
    runner = web.AppRunner(application(served), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=here.door.context).start()
    here.port = runner.addresses[0][1]
    try:
        yield here
    finally:
        await runner.cleanup()


async def test_the_hpa_reads_the_backlog_of_its_pool() -> None:
    async with serving() as here:
        code, body, _ = await here.get(f"{METRIC}?labelSelector=pool%3Ddefault", HPA)
        assert code == 200
        assert [(item["value"], item["metricLabels"]) for item in body["items"]] == [("571", {"pool": "default"})]


@pytest.mark.parametrize("path", [ROOT, METRIC, "/apis", "/livez"])
@pytest.mark.parametrize(
    ("told", "shown", "headers"),
    [
        ("without a certificate", None, {}),
        ("without a certificate, with forged headers", None, {**HPA, "X-Remote-Group": "system:masters"}),
        ("a user's certificate of the same authority", FRONT.signs("kubernetes-admin"), HPA),
        ("the right certificate, but no user", CLIENT, {"X-Remote-Group": "system:masters"}),
    ],
)
async def test_who_is_not_the_api_server_is_nobody(
    told: str, shown: Pair | None, headers: dict[str, str], path: str
) -> None:
    async with serving() as here:
        code, body, connection = await here.get(path, headers, shown=shown)
        assert (code, body["kind"], body["reason"]) == (401, "Status", "Unauthorized"), told
        assert connection == "close"


async def test_a_certificate_of_another_authority_is_refused_in_the_handshake() -> None:
    async with serving() as here:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await here.get(ROOT, HPA, shown=authority().signs("front-proxy-client"))


@pytest.mark.parametrize("headers", [HPA, ADA, {"X-Remote-User": "system:kube-aggregator"}])
async def test_discovery_is_answered_to_any_user_even_when_nothing_can_be_reviewed(headers: dict[str, str]) -> None:
    async with serving() as here:
        here.reviewer.broken = True
        here.backlog = RuntimeError("broken")
        code, body, _ = await here.get(ROOT, headers)
        assert (code, body["kind"]) == (200, "APIResourceList")
        assert [(one["name"], one["verbs"]) for one in body["resources"]] == [("media_backlog_seconds", ["get"])]


@pytest.mark.parametrize(
    ("path", "method", "headers", "code", "reason"),
    [
        (f"{METRIC}?labelSelector=pool%3Ddefault", "GET", ADA, 403, "Forbidden"),
        (f"{METRIC}?labelSelector=pool%3Dother", "GET", HPA, 404, "NotFound"),
        (METRIC, "GET", HPA, 400, "BadRequest"),
        (f"{ROOT}/namespaces/media/queue_length", "GET", {**ADA, "X-Remote-Group": "system:masters"}, 404, "NotFound"),
        (METRIC.replace("/media/", "/default/") + "?labelSelector=pool%3Ddefault", "GET", HPA, 404, "NotFound"),
        (METRIC, "DELETE", HPA, 405, "MethodNotAllowed"),
        (ROOT, "POST", HPA, 405, "MethodNotAllowed"),
        ("/apis", "GET", HPA, 404, "NotFound"),
        ("/openapi/v2", "GET", HPA, 404, "NotFound"),
        ("/apis/external.metrics.k8s.io", "GET", HPA, 404, "NotFound"),
    ],
)
async def test_what_cannot_be_answered_is_refused_in_the_api_servers_shape(
    path: str, method: str, headers: dict[str, str], code: int, reason: str
) -> None:
    async with serving() as here:
        found, body, _ = await here.get(path, headers, method=method)
        assert (found, body["kind"], body["code"], body["reason"]) == (code, "Status", code, reason)


@pytest.mark.parametrize(
    ("told", "broken", "backlog", "code"),
    [
        ("a number that is old", False, Refusal(503, "ServiceUnavailable", "old"), 503),
        ("a review that cannot be had", True, Value("default", 1, NOW), 503),
        ("a fault of our own", False, RuntimeError("oops"), 500),
    ],
)
async def test_what_is_wrong_shows_on_the_metric(
    told: str, broken: bool, backlog: Value | Refusal | Exception, code: int
) -> None:
    async with serving() as here:
        here.reviewer.broken, here.backlog = broken, backlog
        found, body, _ = await here.get(f"{METRIC}?labelSelector=pool%3Ddefault", HPA)
        assert (found, body["kind"]) == (code, "Status"), told
        assert "oops" not in body["message"]


async def test_a_new_certificate_is_shown_to_new_connections_at_once() -> None:
    async with serving() as here:
        await here.get(ROOT, HPA)
        old = here.keyring
        here.keyring = take(Step.START_OVER, None, names_of("media-metrics", "media"), datetime.now(NOW.tzinfo))
        here.door.hang(here.keyring.chain, FRONT.pem)
        assert (await here.get(ROOT, HPA))[0] == 200
        here.keyring = old
        with pytest.raises(aiohttp.ClientError):
            await here.get(ROOT, HPA)


async def test_an_authority_that_is_no_longer_named_is_no_longer_believed() -> None:
    async with serving() as here:
        new = authority("front-proxy-ca-2")
        here.door.hang(here.keyring.chain, FRONT.pem + new.pem)
        assert (await here.get(ROOT, HPA))[0] == 200, "while both are named, both are believed"
        assert (await here.get(ROOT, HPA, shown=new.signs("front-proxy-client")))[0] == 200
        here.door.hang(here.keyring.chain, new.pem)
        assert (await here.get(ROOT, HPA, shown=new.signs("front-proxy-client")))[0] == 200
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await here.get(ROOT, HPA)


async def test_who_is_leaving_still_answers_and_lets_the_connection_go() -> None:
    async with serving() as here:
        assert (await here.get(ROOT, HPA))[2] != "close"
        here.leaving = True
        code, _, connection = await here.get(ROOT, HPA)
        assert (code, connection) == (200, "close")


async def test_an_older_tls_is_not_spoken() -> None:
    async with serving() as here:
        context = client_context(here.keyring.bundle.decode(), CLIENT)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        async with aiohttp.ClientSession() as http:
            with pytest.raises(aiohttp.ClientError):
                await http.get(f"https://127.0.0.1:{here.port}{ROOT}", ssl=context, server_hostname=HOST)


async def test_the_plain_port_tells_the_backlog_without_asking_who_it_is() -> None:
    missing: str | None = "the pools have not been read yet"

    def answer(pool: str) -> Value | Refusal:
        return Value(pool, 571, NOW) if pool == "default" else Refusal(503, "ServiceUnavailable", "It is 90 s old.")

    app = probes(lambda: missing, answer, Measures(lambda: [Value("default", 571, NOW)]))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    root = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession(root) as http:

            async def text(path: str) -> tuple[int, str]:
                async with http.get(path) as found:
                    return found.status, await found.text()

            async with http.get("/backlog/default") as found:
                assert await found.json() == {
                    "pool": "default",
                    "backlogSeconds": 571,
                    "backlogTime": "2026-01-02T03:04:05+00:00",
                }
            assert await text("/backlog/other") == (503, '{"error": "It is 90 s old."}')
            assert await text("/readyz") == (503, "the pools have not been read yet\n")
            missing = None
            assert await text("/readyz") == (200, "ok\n")
            assert await text("/livez") == (200, "ok\n")
            assert 'media_external_metrics_backlog_seconds{pool="default"} 571.0' in (await text("/metrics"))[1]
    finally:
        await runner.cleanup()

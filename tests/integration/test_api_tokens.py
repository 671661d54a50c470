"""Tokens: who gets in and who does not, with a secret and with public keys."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from media_devcluster.objectstore import S3
from support.api_site import AUDIENCE, SECRET, Answered, ApiSite, api_site, token

PATH = "/api/v1/media/assets"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


async def ask(api: ApiSite, authorization: str | None) -> Answered:
    return await api.call("GET", PATH, owner=None, headers={"Authorization": authorization} if authorization else {})


def unsigned(**claims: Any) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    all_claims = {"sub": "alice", "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(all_claims)}."


@pytest.mark.parametrize(
    ("authorization", "why"),
    [
        pytest.param(None, "Send a token", id="no token"),
        pytest.param("Basic YWxpY2U6eA==", "Send a token", id="another scheme"),
        pytest.param("Bearer ", "Send a token", id="an empty token"),
        pytest.param("Bearer x.y.z", "not valid", id="not a token"),
        pytest.param(f"Bearer {token(exp=int(time.time()) - 60)}", "expired", id="an expired token"),
        pytest.param(f"Bearer {token(exp=None)}", "no exp", id="a token that never expires"),
        pytest.param(f"Bearer {token(aud='other')}", "somebody else", id="a token for somebody else"),
        pytest.param(f"Bearer {token(aud=None)}", "no aud", id="a token for nobody"),
        pytest.param(f"Bearer {token(sub=None)}", "no sub", id="a token of nobody"),
        pytest.param(f"Bearer {token(owner='')}", "sub", id="an empty subject"),
        pytest.param(f"Bearer {token(owner='a' * 256)}", "sub", id="a subject that is too long"),
        pytest.param(f"Bearer {token(owner='a' + chr(0))}", "sub", id="a subject with a NUL"),
        pytest.param(f"Bearer {token(secret='x' * 40)}", "not valid", id="the wrong secret"),
        pytest.param(f"Bearer {token(algorithm='HS512', secret=SECRET * 2)}", "not valid", id="another algorithm"),
        pytest.param(f"Bearer {unsigned()}", "not valid", id="alg none"),
    ],
)
async def test_a_bad_token_is_refused_with_the_reason(api: ApiSite, authorization: str | None, why: str) -> None:
    refused = await ask(api, authorization)
    assert (refused.status, refused.problem) == (401, "unauthorized")
    assert refused.headers["WWW-Authenticate"].startswith('Bearer realm="media"')
    assert why in refused.json["detail"]


async def test_a_valid_token_gets_in_however_bearer_is_spelt(api: ApiSite) -> None:
    assert (await ask(api, f"bearer {token()}")).status == 200


def public(key: Any, kid: str, **more: str) -> dict[str, Any]:
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, **more}


def signed(key: Any, algorithm: str, kid: str | None, **claims: Any) -> str:
    all_claims = {"sub": "alice", "aud": AUDIENCE, "exp": int(time.time()) + 600, **claims}
    return "Bearer " + jwt.encode(all_claims, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


class Issuer:
    """Serves a key set, and can be away."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = [public(RSA_KEY, "one", use="sig")]
        self.status = 200
        self.asked = 0

    async def handle(self, _request: web.Request) -> web.Response:
        self.asked += 1
        return web.json_response({"keys": self.keys}, status=self.status)


@asynccontextmanager
async def issuing() -> AsyncIterator[tuple[Issuer, str]]:
    issuer = Issuer()
    app = web.Application()
    app.router.add_get("/jwks.json", issuer.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield issuer, f"http://127.0.0.1:{runner.addresses[0][1]}/jwks.json"
    finally:
        await runner.cleanup()


@pytest.fixture
async def keyed(database_url: str, object_store: S3) -> AsyncIterator[tuple[ApiSite, Issuer]]:
    async with (
        issuing() as (issuer, url),
        api_site(database_url, object_store, None, MEDIA_JWT_SECRET=None, MEDIA_JWKS_URL=url) as api,
    ):
        yield api, issuer


async def test_public_keys_are_fetched_once_and_kept(keyed: tuple[ApiSite, Issuer]) -> None:
    api, issuer = keyed
    answers = await asyncio.gather(*(ask(api, signed(RSA_KEY, "RS256", "one")) for _ in range(5)))
    assert {answer.status for answer in answers} == {200}
    assert issuer.asked == 1


async def test_a_token_without_a_key_name_is_checked_by_the_only_key(keyed: tuple[ApiSite, Issuer]) -> None:
    assert (await ask(keyed[0], signed(RSA_KEY, "RS256", None))).status == 200


async def test_a_public_key_cannot_be_used_as_a_secret(keyed: tuple[ApiSite, Issuer]) -> None:
    api, _ = keyed
    pem = RSA_KEY.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"one"}').rstrip(b"=")
    claims = {"sub": "alice", "aud": AUDIENCE, "exp": int(time.time()) + 600}
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(pem, header + b"." + body, hashlib.sha256)).rstrip(b"=")
    forged = b".".join((header, body, signature)).decode()
    assert (await ask(api, f"Bearer {forged}")).status == 401
    assert (await ask(api, f"Bearer {token()}")).status == 401
    assert (await ask(api, f"Bearer {unsigned()}")).status == 401


async def test_keys_of_another_kind_or_use_are_not_used(keyed: tuple[ApiSite, Issuer]) -> None:
    api, issuer = keyed
    secret = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    issuer.keys = [
        {"kty": "oct", "k": secret, "kid": "symmetric", "alg": "HS256"},
        public(RSA_KEY, "encryption", use="enc"),
        public(RSA_KEY, "another", alg="RS512"),
        {"kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB"},
        public(EC_KEY, "good"),
    ]
    for kid, algorithm in (("symmetric", "HS256"), ("encryption", "RS256"), ("another", "RS512"), ("broken", "RS256")):
        key = SECRET if algorithm == "HS256" else RSA_KEY
        assert (await ask(api, signed(key, algorithm, kid))).status == 401, kid
    assert (await ask(api, signed(EC_KEY, "ES256", "good"))).status == 200
    assert (await ask(api, signed(RSA_KEY, "RS256", "good"))).status == 401


async def test_keys_that_cannot_be_fetched_are_an_outage_and_no_refusal(keyed: tuple[ApiSite, Issuer]) -> None:
    api, issuer = keyed
    issuer.status = 500
    refused = await ask(api, signed(RSA_KEY, "RS256", "one"))
    assert (refused.status, refused.problem) == (503, "identity-unavailable")
    assert refused.headers["Retry-After"]


async def test_keys_may_come_from_a_file(database_url: str, object_store: S3, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public(EC_KEY, "ec")]}), encoding="utf-8")
    async with api_site(database_url, object_store, None, MEDIA_JWT_SECRET=None, MEDIA_JWKS_FILE=str(path)) as api:
        assert (await ask(api, signed(EC_KEY, "ES256", "ec"))).status == 200
        assert (await ask(api, signed(RSA_KEY, "RS256", "ec"))).status == 401

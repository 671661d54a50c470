"""Who is asking: which tokens are believed, and which are not."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from media_api.auth import KeySet, SharedSecret, Tokens, tokens, usable_keys
from media_api.problems import Problem
from media_api.settings import ApiSettings
from media_core.settings import SettingsInvalid

SECRET = "a secret of these tests that is long enough for every algorithm they try, HS512 too"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())


def _claims(**changed: Any) -> dict[str, Any]:
    claims = {"sub": "alice", "aud": "media", "exp": int(time.time()) + 600, **changed}
    return {name: value for name, value in claims.items() if value is not None}


def _token(key: Any = SECRET, algorithm: str = "HS256", kid: str | None = None, **changed: Any) -> str:
    return jwt.encode(_claims(**changed), key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def _jwk(key: Any, **members: Any) -> dict[str, Any]:
    kind = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key)), **members}


RSA_JWK, EC_JWK = _jwk(RSA.public_key(), kid="r"), _jwk(EC.public_key(), kid="e")


class _Source:
    """A set of keys."""

    def __init__(self, *keys: Mapping[str, Any]) -> None:
        self.keys = list(keys)

    async def read(self) -> Mapping[str, Any]:
        return {"keys": self.keys}


async def _refusal(checked: Tokens, authorization: str | None) -> Problem:
    with pytest.raises(Problem) as caught:
        await checked.owner(authorization)
    assert caught.value.status == 401
    assert caught.value.headers["WWW-Authenticate"].startswith('Bearer realm="media"')
    return caught.value


@pytest.fixture
def shared() -> Tokens:
    return Tokens(SharedSecret(SECRET), "media")


async def test_the_subject_of_a_valid_token_is_the_owner(shared: Tokens) -> None:
    assert await shared.owner(f"Bearer {_token()}") == "alice"
    assert await shared.owner(f"bearer {_token(aud=['other', 'media'])}") == "alice"
    assert await shared.owner(f"Bearer {_token(sub='x' * 255)}") == "x" * 255


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic YWxpY2U6c2VjcmV0", _token()],
    ids=["no header", "an empty header", "no token", "a blank token", "another scheme", "a token without scheme"],
)
async def test_a_request_without_a_token_is_refused(shared: Tokens, authorization: str | None) -> None:
    problem = await _refusal(shared, authorization)
    assert "error=" not in problem.headers["WWW-Authenticate"], "RFC 6750: no error code where nothing was sent"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(_token(exp=int(time.time()) - 60), id="expired"),
        pytest.param(_token(nbf=int(time.time()) + 600), id="not valid yet"),
        pytest.param(_token(aud="other"), id="for somebody else"),
        pytest.param(_token(aud=None), id="for nobody"),
        pytest.param(_token(exp=None), id="for ever"),
        pytest.param(_token(sub=None), id="without a subject"),
        pytest.param(_token(sub=""), id="with an empty subject"),
        pytest.param(_token(sub="x" * 256), id="with a subject too long"),
        pytest.param(_token(sub="a\nb"), id="with a control character in the subject"),
        pytest.param(_token(key="another secret that is also long enough"), id="signed with another secret"),
        pytest.param(_token(algorithm="HS512"), id="of another algorithm with the right secret"),
        pytest.param(jwt.encode(_claims(), None, algorithm="none"), id="not signed"),
        pytest.param(_token()[:-4] + "AAAA", id="with a changed signature"),
        pytest.param("not.a.token", id="that is none"),
        pytest.param("\u00fc" * 30, id="of letters that cannot be in one"),
    ],
)
async def test_a_token_is_refused(shared: Tokens, token: str) -> None:
    problem = await _refusal(shared, f"Bearer {token}")
    assert 'error="invalid_token"' in problem.headers["WWW-Authenticate"]


async def test_public_keys_are_accepted_with_their_own_algorithm_only() -> None:
    checked = Tokens(KeySet(_Source(RSA_JWK, EC_JWK).read, time.monotonic), "media")
    assert await checked.owner(f"Bearer {_token(RSA, 'RS256', 'r')}") == "alice"
    assert await checked.owner(f"Bearer {_token(EC, 'ES256', 'e')}") == "alice"
    await _refusal(checked, f"Bearer {_token(RSA, 'RS512', 'r')}")
    await _refusal(checked, f"Bearer {_token(RSA, 'PS256', 'r')}")
    await _refusal(checked, f"Bearer {_token(EC, 'ES256', 'r')}")
    await _refusal(checked, f"Bearer {_token(RSA, 'RS256')}")


async def test_a_public_key_is_never_taken_for_a_secret() -> None:
    checked = Tokens(KeySet(_Source(RSA_JWK).read, time.monotonic), "media")
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body, _ = _token(kid="r").split(".")
    signature = jwt.utils.base64url_encode(
        jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(f"{head}.{body}".encode(), public)
    ).decode()
    await _refusal(checked, f"Bearer {head}.{body}.{signature}")


async def test_a_token_that_names_no_key_is_checked_with_the_only_one() -> None:
    checked = Tokens(KeySet(_Source(RSA_JWK).read, time.monotonic), "media")
    assert await checked.owner(f"Bearer {_token(RSA, 'RS256')}") == "alice"


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "x"}, id="a symmetric key"),
        pytest.param({**RSA_JWK, "use": "enc"}, id="a key for encryption"),
        pytest.param({**RSA_JWK, "alg": "RS512"}, id="a key for another algorithm"),
        pytest.param({"kty": "RSA", "kid": "x", "n": "AQAB"}, id="half a key"),
        pytest.param(_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), kid="p"), id="a key on another curve"),
        pytest.param({"kid": "x"}, id="a key of no kind"),
        pytest.param({"kty": ["RSA"], "kid": "x"}, id="a kind that is no text"),
        pytest.param("key", id="a text"),
    ],
)
def test_a_key_that_cannot_be_used_is_left_out(entry: Any) -> None:
    assert list(usable_keys({"keys": [entry, EC_JWK]})) == ["e"]


def _settings(**changed: Any) -> ApiSettings:
    return ApiSettings(
        **{"MEDIA_DATABASE_URL": "postgresql://127.0.0.1/media", "S3_BUCKET_MEDIA": "media-tests", **changed}
    )


async def test_a_file_of_keys_is_read_at_start(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [RSA_JWK]}))
    checked = await tokens(_settings(MEDIA_JWKS_FILE=str(path)), time.monotonic)
    assert await checked.owner(f"Bearer {_token(RSA, 'RS256', 'r')}") == "alice"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"keys": []}', '{"keys": [{"kty": "oct", "k": "eA"}]}'])
async def test_a_file_without_a_usable_key_ends_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsInvalid, match="MEDIA_JWKS_FILE"):
        await tokens(_settings(MEDIA_JWKS_FILE=str(path)), time.monotonic)

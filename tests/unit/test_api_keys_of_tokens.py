"""The key set: fetched when it is old or a key is unknown, kept when the issuer is away. The clock is ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from media_api.auth import FRESH_SECONDS, PATIENCE_SECONDS, IdentityUnavailable, KeySet, Tokens, usable_keys

KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("one", "two")}


class Issuer:
    """Hands out the keys it is told to, counts how often, and can be away. `now` is everybody's clock."""

    def __init__(self, *names: str) -> None:
        self.names, self.reads, self.away, self.now = names, 0, False, 1000.0

    async def read(self) -> Mapping[str, Any]:
        await asyncio.sleep(0)
        self.reads += 1
        if self.away:
            raise OSError("away")
        keys = [{**ECAlgorithm.to_jwk(KEYS[name].public_key(), as_dict=True), "kid": name} for name in self.names]
        return {"keys": keys}


def token(name: str) -> str:
    claims = {"sub": "alice", "aud": "media", "exp": int(time.time()) + 600}
    return jwt.encode(claims, KEYS[name], algorithm="ES256", headers={"kid": name})


def keys(issuer: Issuer) -> KeySet:
    return KeySet(issuer.read, lambda: issuer.now)


async def test_many_at_once_cause_one_reading() -> None:
    issuer = Issuer("one")
    found = keys(issuer)
    await asyncio.gather(*(found.find(token("one")) for _ in range(10)))
    assert issuer.reads == 1


async def test_a_new_key_is_found_by_reading_again() -> None:
    issuer = Issuer("one")
    found = keys(issuer)
    await found.find(token("one"))
    issuer.names = ("two",)
    issuer.now += PATIENCE_SECONDS
    assert (await found.find(token("two")))[1] == "ES256"
    with pytest.raises(jwt.InvalidTokenError):
        await found.find(token("one"))


async def test_unknown_keys_cannot_make_us_read_all_the_time() -> None:
    issuer = Issuer("one")
    found = keys(issuer)
    await found.find(token("one"))
    for _ in range(5):
        with pytest.raises(jwt.InvalidTokenError):
            await found.find(token("two"))
    assert issuer.reads == 1


async def test_old_keys_are_read_again() -> None:
    issuer = Issuer("one")
    found = keys(issuer)
    await found.find(token("one"))
    issuer.now += FRESH_SECONDS
    await found.find(token("one"))
    await found.find(token("one"))
    assert issuer.reads == 2


async def test_known_keys_stay_in_use_while_the_issuer_is_away() -> None:
    issuer = Issuer("one")
    found = keys(issuer)
    await found.find(token("one"))
    issuer.away = True
    issuer.now += FRESH_SECONDS
    assert await Tokens(found, "media").owner(f"Bearer {token('one')}") == "alice"


async def test_an_issuer_that_was_never_there_is_an_outage() -> None:
    issuer = Issuer("one")
    issuer.away = True
    found = keys(issuer)
    for _ in range(2):
        with pytest.raises(IdentityUnavailable):
            await found.find(token("one"))
    assert issuer.reads == 1
    issuer.away = False
    issuer.now += PATIENCE_SECONDS
    await found.find(token("one"))


async def test_a_set_without_a_usable_key_is_an_outage() -> None:
    with pytest.raises(IdentityUnavailable, match="no RSA or P-256 key"):
        await keys(Issuer()).refresh()


@pytest.mark.parametrize("document", [[], {}, {"keys": {}}])
def test_what_is_no_key_set_is_refused(document: Any) -> None:
    with pytest.raises(ValueError, match="no JSON Web Key Set"):
        usable_keys(document)
    assert usable_keys({"keys": ["x", {"kty": "oct"}]}) == {}

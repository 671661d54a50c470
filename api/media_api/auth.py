"""Who is asking: a bearer token in, an owner out.

A token is checked against keys of one kind, and the kind decides the algorithm, never the token: with a secret only
HS256 is accepted, with public keys only RS256 or ES256, each for keys of its own type.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import jwt
import structlog

from media_api.problems import Problem, ProblemType
from media_api.settings import ApiSettings
from media_core.settings import SettingsInvalid

log = structlog.get_logger()

LEEWAY_SECONDS = 10
FETCH_SECONDS = 3.0
FRESH_SECONDS = 600.0
PATIENCE_SECONDS = 10.0
LARGEST_KEY_SET = 1 << 20
LONGEST_OWNER = 255
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class IdentityUnavailable(Exception):
    """The keys of tokens cannot be had; it can pass."""


class Keys(Protocol):
    """Where the key of a token comes from."""

    async def find(self, token: str) -> tuple[Any, str]:
        """The key for a token and its only algorithm. Raises jwt.InvalidTokenError, IdentityUnavailable."""
        ...


class SharedSecret:
    """One secret for HS256."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    async def find(self, token: str) -> tuple[Any, str]:
        """The secret, whatever the token says."""
        return self._secret, "HS256"


class KeySet:
    """A JSON Web Key Set, read anew when it is old or a token names a key that is not in it."""

    def __init__(self, read: Callable[[], Awaitable[Mapping[str, Any]]], monotonic: Callable[[], float]) -> None:
        self._read, self._monotonic = read, monotonic
        self._keys: dict[str | None, tuple[Any, str]] = {}
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, token: str) -> tuple[Any, str]:
        """The key the token names; the only one there is where it names none."""
        kid = jwt.get_unverified_header(token).get("kid")
        known = self._known(kid)
        if known is None or (self._monotonic() - self._read_at >= FRESH_SECONDS and not self._reading.locked()):
            async with self._reading:
                await self._refresh(kid)
        if (found := self._known(kid)) is not None:
            return found
        if self._read_at == float("-inf"):
            raise IdentityUnavailable("the keys of tokens could not be read yet")
        raise jwt.InvalidTokenError("no key of that name is known")

    async def refresh(self) -> None:
        """Read the set. Raises IdentityUnavailable."""
        self._tried_at = self._monotonic()
        try:
            found = usable_keys(await self._read())
        except (OSError, TimeoutError, aiohttp.ClientError, ValueError) as error:
            raise IdentityUnavailable(f"{type(error).__name__}: {error}") from error
        if not found:
            raise IdentityUnavailable("the set has no RSA or P-256 key for signatures")
        self._keys, self._read_at = found, self._monotonic()

    async def _refresh(self, kid: str | None) -> None:
        """Somebody else may have done it meanwhile; an outage leaves the old keys in use."""
        fresh = self._monotonic() - self._read_at < FRESH_SECONDS
        tried = self._monotonic() - self._tried_at < PATIENCE_SECONDS
        if (fresh and self._known(kid) is not None) or tried:
            return
        try:
            await self.refresh()
        except IdentityUnavailable as error:
            log.warning("keys_not_read", error=str(error))
            if not self._keys:
                raise

    def _known(self, kid: str | None) -> tuple[Any, str] | None:
        if kid is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(kid)


def usable_keys(document: Mapping[str, Any]) -> dict[str | None, tuple[Any, str]]:
    """The public signature keys of a set, each with its algorithm. Symmetric keys have no business there."""
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("it is no JSON Web Key Set")
    found: dict[str | None, tuple[Any, str]] = {}
    for entry in document["keys"]:
        algorithm = _algorithm(entry) if isinstance(entry, dict) else None
        if algorithm is None or entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
            continue
        try:
            found[entry.get("kid")] = (jwt.PyJWK(entry, algorithm).key, algorithm)
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            log.warning("key_skipped", kid=entry.get("kid"), error=str(error))
    return found


def _algorithm(entry: Mapping[str, Any]) -> str | None:
    """The only algorithm of a key by its kind; of elliptic curves, ES256 is P-256 and no other."""
    match entry.get("kty"), entry.get("crv"):
        case "RSA", _:
            return "RS256"
        case "EC", "P-256":
            return "ES256"
        case _:
            return None


class Tokens:
    """Checks tokens against keys and an audience."""

    def __init__(self, keys: Keys, audience: str) -> None:
        self._keys, self._audience = keys, audience

    async def owner(self, authorization: str | None) -> str:
        """The subject of a valid token. Raises Problem (401), IdentityUnavailable."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorized("Send a token: Authorization: Bearer <token>.")
        token = token.strip()
        try:
            key, algorithm = await self._keys.find(token)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["sub", "exp", "aud"]},
            )
        except jwt.ExpiredSignatureError:
            raise _unauthorized("The token has expired.", "invalid_token") from None
        except jwt.InvalidAudienceError:
            raise _unauthorized("The token is made for somebody else (aud).", "invalid_token") from None
        except jwt.MissingRequiredClaimError as error:
            raise _unauthorized(f"The token has no {error.claim}.", "invalid_token") from None
        except (jwt.PyJWTError, ValueError, TypeError):
            raise _unauthorized("The token is not valid.", "invalid_token") from None
        owner: str = claims["sub"]
        if not owner or len(owner) > LONGEST_OWNER or _UNPRINTABLE.search(owner):
            raise _unauthorized("The token's sub is empty, too long, or not printable.", "invalid_token")
        return owner


async def tokens(settings: ApiSettings, monotonic: Callable[[], float]) -> Tokens:
    """By the settings. Raises SettingsInvalid where a key file cannot be used; a URL may come up later."""
    return Tokens(await _keys(settings, monotonic), settings.jwt_audience)


async def _keys(settings: ApiSettings, monotonic: Callable[[], float]) -> Keys:
    match settings:
        case ApiSettings(jwt_secret=secret) if secret is not None:
            return SharedSecret(secret.get_secret_value())
        case ApiSettings(jwks_url=str(url)):
            return KeySet(lambda: fetch(url), monotonic)
        case ApiSettings(jwks_file=Path() as path):
            keys = KeySet(lambda: asyncio.to_thread(_load, path), monotonic)
            try:
                await keys.refresh()
            except IdentityUnavailable as error:
                raise SettingsInvalid(
                    f"Setting MEDIA_JWKS_FILE is wrong: {error}. Example: MEDIA_JWKS_FILE=/etc/media/jwks.json"
                ) from None
            return keys
        case _:
            raise SettingsInvalid("None of MEDIA_JWT_SECRET, MEDIA_JWKS_URL and MEDIA_JWKS_FILE is set.")


async def fetch(url: str) -> Mapping[str, Any]:
    """The set behind a URL; redirects are not followed. Raises aiohttp.ClientError, TimeoutError, ValueError."""
    async with (
        asyncio.timeout(FETCH_SECONDS),
        aiohttp.ClientSession() as session,
        session.get(url, allow_redirects=False) as answer,
    ):
        if answer.status != 200:
            raise ValueError(f"{url} answered {answer.status}")
        body = await answer.content.read(LARGEST_KEY_SET)
        while not answer.content.at_eof() and len(body) < LARGEST_KEY_SET:
            body += await answer.content.read(LARGEST_KEY_SET)
    found: Mapping[str, Any] = json.loads(body)
    return found


def _load(path: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _unauthorized(detail: str, error: str = "") -> Problem:
    challenge = 'Bearer realm="media"' + (f', error="{error}"' if error else "")
    return Problem(ProblemType.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})

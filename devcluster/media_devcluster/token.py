"""Tokens for trying things out: a JWT for any user, signed with the stack's own secret."""

from __future__ import annotations

import time

import jwt

AUDIENCE = "media"
HOURS = 12


def mint(secret: str, user: str, *, audience: str = AUDIENCE, hours: float = HOURS, now: float | None = None) -> str:
    """A token for `user` that is good for some hours."""
    issued = int(time.time() if now is None else now)
    claims = {"sub": user, "aud": audience, "iat": issued, "exp": issued + int(hours * 3600)}
    return jwt.encode(claims, secret, algorithm="HS256")

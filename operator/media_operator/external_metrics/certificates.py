"""The server's own authority and certificate: what is there, what is due, and how the next ones are made.

Deciding is a pure function of the Secret, the APIService and the time. The order of a change of authority is the
point of it: the API server has to trust the new one before anything is signed by it, or it refuses the server while
the APIService still looks healthy. So the new authority goes into the caBundle beside the old one first, and the
certificate follows when the bundle has been there for a while.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Self, assert_never

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from media_operator.external_metrics.issuing import (
    Lives,
    aged,
    authorities_in,
    fits,
    made,
    new_authority,
    new_certificate,
    pem_of,
    serves,
    signed,
    valid,
)


@dataclass(frozen=True, slots=True)
class Keyring:
    """What the Secret holds. The first authority is the newest, and the one whose key is here."""

    authorities: tuple[x509.Certificate, ...]
    authority_key: EllipticCurvePrivateKey
    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    @classmethod
    def read(cls, data: Mapping[str, bytes]) -> Self | None:
        """From the Secret's values; None where they are not such a keyring."""
        try:
            authorities = tuple(x509.load_pem_x509_certificates(data["ca.crt"]))
            authority_key = load_pem_private_key(data["ca.key"], None)
            certificate = x509.load_pem_x509_certificate(data["tls.crt"])
            key = load_pem_private_key(data["tls.key"], None)
        except (KeyError, ValueError, TypeError):
            return None
        if not isinstance(authority_key, EllipticCurvePrivateKey) or not isinstance(key, EllipticCurvePrivateKey):
            return None
        held = cls(authorities, authority_key, certificate, key)
        return held if fits(authorities[0], authority_key) and fits(certificate, key) else None

    def written(self) -> dict[str, bytes]:
        """The Secret's values."""
        return {
            "ca.crt": self.bundle,
            "ca.key": pem_of(self.authority_key),
            "tls.crt": self.certificate.public_bytes(Encoding.PEM),
            "tls.key": pem_of(self.key),
        }

    @property
    def bundle(self) -> bytes:
        """Every authority, for the caBundle."""
        return b"".join(authority.public_bytes(Encoding.PEM) for authority in self.authorities)

    @property
    def chain(self) -> str:
        """Key and certificate, as a TLS server loads them."""
        return (pem_of(self.key) + self.certificate.public_bytes(Encoding.PEM)).decode()


class Step(Enum):
    """What is due."""

    KEEP = "keep"
    ISSUE_CERTIFICATE = "issue certificate"
    ADD_AUTHORITY = "add authority"
    START_OVER = "start over"


def decide(
    held: Keyring | None, names: tuple[str, ...], trusted: bytes, now: datetime, lives: Lives = Lives()
) -> Step:
    """`trusted` is the APIService's caBundle. Of several things due the first is said; the next look says the next."""
    if held is None or not valid(held.authorities[0], now):
        return Step.START_OVER
    newest, certificate = held.authorities[0], held.certificate
    if not serves(certificate, names, now) or not any(signed(certificate, one) for one in held.authorities):
        return Step.ISSUE_CERTIFICATE
    if aged(newest, now):
        return Step.ADD_AUTHORITY
    due = aged(certificate, now) or not signed(certificate, newest)
    rested = now - made(newest) >= lives.overlap
    if due and rested and newest in authorities_in(trusted):
        return Step.ISSUE_CERTIFICATE
    return Step.KEEP


def take(step: Step, held: Keyring | None, names: tuple[str, ...], now: datetime, lives: Lives = Lives()) -> Keyring:
    """The keyring after the step. Authorities that are over are left out; others stay, for who still trusts them."""
    match step:
        case Step.KEEP:
            assert held is not None
            return held
        case Step.START_OVER:
            authority, authority_key = new_authority(now, lives)
            certificate, key = new_certificate(authority, authority_key, names, now, lives)
            return Keyring((authority,), authority_key, certificate, key)
        case Step.ADD_AUTHORITY:
            assert held is not None
            authority, authority_key = new_authority(now, lives)
            kept = (old for old in held.authorities if valid(old, now))
            return replace(held, authorities=(authority, *kept), authority_key=authority_key)
        case Step.ISSUE_CERTIFICATE:
            assert held is not None
            certificate, key = new_certificate(held.authorities[0], held.authority_key, names, now, lives)
            kept = (one for one in held.authorities if valid(one, now))
            return replace(held, authorities=tuple(kept), certificate=certificate, key=key)
        case _:
            assert_never(step)


def names_of(service: str, namespace: str) -> tuple[str, ...]:
    """What a Service is called. The API server asks for the third, whatever address it dials."""
    return (
        service,
        f"{service}.{namespace}",
        f"{service}.{namespace}.svc",
        f"{service}.{namespace}.svc.cluster.local",
    )

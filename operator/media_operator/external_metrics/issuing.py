"""Certificates as such: how an authority and what it signs are made, and what can be asked of them.

Apart from `certificates`, which says when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCKS_APART: Final = timedelta(minutes=5)
"""A certificate is valid from so long before it is made, for machines whose clocks are behind."""


@dataclass(frozen=True, slots=True)
class Lives:
    """How long things live. Both are replaced after two thirds of it."""

    authority: timedelta = timedelta(days=365)
    certificate: timedelta = timedelta(days=90)
    overlap: timedelta = timedelta(minutes=10)
    """So long a new authority is in the caBundle before anything is signed by it."""


def new_authority(now: datetime, lives: Lives) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """One that signs itself, and its key."""
    key = generate_private_key(SECP256R1())
    name = _name(f"media-metrics-ca-{now:%Y%m%d%H%M%S}")
    certificate = (
        _builder(name, name, key, now, now + lives.authority)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def new_certificate(
    authority: x509.Certificate,
    authority_key: EllipticCurvePrivateKey,
    names: tuple[str, ...],
    now: datetime,
    lives: Lives,
) -> tuple[x509.Certificate, EllipticCurvePrivateKey]:
    """One for a TLS server of these names, and its key. It does not outlive its authority."""
    key = generate_private_key(SECP256R1())
    until = min(now + lives.certificate, authority.not_valid_after_utc)
    certificate = (
        _builder(_name("media-metrics"), authority.subject, key, now, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: EllipticCurvePrivateKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_APART)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Said of authorities too: a strict verifier refuses one without it."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def pem_of(key: EllipticCurvePrivateKey) -> bytes:
    """The key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def authorities_in(bundle: bytes) -> Iterable[x509.Certificate]:
    """The certificates of a caBundle; none where it cannot be read."""
    try:
        return x509.load_pem_x509_certificates(bundle)
    except ValueError:
        return ()


def made(certificate: x509.Certificate) -> datetime:
    """When it was made."""
    return certificate.not_valid_before_utc + CLOCKS_APART


def valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether it holds at that time."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def aged(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether two thirds of its life are over."""
    life = certificate.not_valid_after_utc - made(certificate)
    return now >= made(certificate) + life * 2 / 3


def serves(certificate: x509.Certificate, names: tuple[str, ...], now: datetime) -> bool:
    """Whether it holds at that time, for all of these names."""
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return valid(certificate, now) and set(names) <= set(alternatives.get_values_for_type(x509.DNSName))


def signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    """Whether the authority signed it."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def fits(certificate: x509.Certificate, key: EllipticCurvePrivateKey) -> bool:
    """Whether it is the key of that certificate."""

    def spki(public: object) -> bytes:
        written: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
        return written

    return spki(certificate.public_key()) == spki(key.public_key())

"""Certificates for tests of TLS, made the way `openssl req` makes them: an authority names no key usage."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def chain(self) -> str:
        """Key and certificate."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key.decode() + self.pem

    def signs(self, name: str, *, host: str | None = None) -> Pair:
        """A certificate of that common name, by this authority."""
        return _made(name, self, host)


def authority(name: str = "front-proxy-ca") -> Pair:
    """One that signs itself."""
    return _made(name, None, None)


def client_context(trusted: str, shown: Pair | None) -> ssl.SSLContext:
    """What a client of a TLS server trusts (PEM), and shows."""
    context = ssl.create_default_context(cadata=trusted)
    if shown is not None:
        descriptor = os.memfd_create("client")
        os.write(descriptor, shown.chain.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
        os.close(descriptor)
    return context


def _made(name: str, signer: Pair | None, host: str | None) -> Pair:
    key = generate_private_key(SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer.certificate.subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
    )
    if signer is None:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if host is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
    return Pair(builder.sign(signer.key if signer else key, hashes.SHA256()), key)

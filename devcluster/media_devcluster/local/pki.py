"""Certificates of a node: one CA for the cluster, one for the front proxy, a key for service account tokens.

The two CAs differ, so that a client certificate of the cluster is worth nothing as the front proxy's.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from media_devcluster.local.layout import API_PORT, DOMAIN, KUBERNETES_SERVICE, NODE, NODE_ADDRESS, Layout

LIFE = timedelta(days=365)
ACCOUNTS = {
    "admin": ("media-dev", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "proxy": ("system:kube-proxy", ""),
    "apiserver-kubelet-client": ("kube-apiserver-kubelet-client", "system:masters"),
}
"""Client certificates: file, common name, organisation (the groups Kubernetes reads there)."""
KUBECONFIGS = ("admin", "controller-manager", "scheduler", "kubelet", "proxy")


@dataclass(frozen=True)
class Authority:
    """A CA in hand."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def make(layout: Layout) -> None:
    """Everything a node needs to prove who it is, new, into its pki folder."""
    folder = layout.pki
    folder.mkdir(parents=True, mode=0o700)
    cluster, front = _authority(folder, "ca"), _authority(folder, "front-proxy-ca")
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", f"kubernetes.default.svc.{DOMAIN}"]
    _issue(folder, "apiserver", cluster, "kube-apiserver", hosts=[*names, KUBERNETES_SERVICE, NODE_ADDRESS])
    _issue(folder, "kubelet-server", cluster, f"system:node:{NODE}", hosts=[NODE, NODE_ADDRESS])
    for file, (name, group) in ACCOUNTS.items():
        _issue(folder, file, cluster, name, group=group)
    _issue(folder, "front-proxy-client", front, "front-proxy-client")
    _accounts_key(folder)
    for file in KUBECONFIGS:
        target = layout.kubeconfig if file == "admin" else folder / f"{file}.kubeconfig"
        _private(target, json.dumps(_kubeconfig(folder, file), indent=2).encode())


def _authority(folder: Path, name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_named(f"media-dev {name}"), _named(f"media-dev {name}"), key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    certificate = builder.sign(key, hashes.SHA256())
    _write(folder, name, key, certificate)
    return Authority(key, certificate)


def _issue(folder: Path, file: str, by: Authority, name: str, *, group: str = "", hosts: Sequence[str] = ()) -> None:
    """A leaf: of a server where it has hosts, of a client otherwise."""
    key = ec.generate_private_key(ec.SECP256R1())
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
    builder = (
        _builder(_named(name, group), by.certificate.subject, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(issuer, critical=False)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False)
    _write(folder, file, key, builder.sign(by.key, hashes.SHA256()))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
    )


def _named(name: str, group: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if group:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group))
    return x509.Name(parts)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _accounts_key(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _private(folder / "accounts.key", _pem(key))
    _private(folder / "accounts.pub", public)


def _kubeconfig(folder: Path, file: str) -> dict[str, object]:
    def inline(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    server = f"https://{NODE_ADDRESS}:{API_PORT}"
    cluster = {"server": server, "certificate-authority-data": inline(folder / "ca.crt")}
    user = {
        "client-certificate-data": inline(folder / f"{file}.crt"),
        "client-key-data": inline(folder / f"{file}.key"),
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "media-local", "cluster": cluster}],
        "users": [{"name": file, "user": user}],
        "contexts": [{"name": "media-local", "context": {"cluster": "media-local", "user": file}}],
        "current-context": "media-local",
    }


def _write(folder: Path, file: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    _private(folder / f"{file}.key", _pem(key))
    _private(folder / f"{file}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)

"""Where this machine gets packages from, told to a build without becoming part of what is built.

A build mounts what is said here as secrets: pip's settings, apt's source and settings, the certificates to trust. They
are in no layer and in no history, and a build without them asks the public places.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
MIRROR = "http://deb.debian.org/debian"
CERTIFICATES = "/run/secrets/ca.pem"
"""Where a build finds the bundle."""
ASK_SECONDS = 30.0
_PIP_OPTIONS = (
    "index-url",
    "extra-index-url",
    "no-index",
    "find-links",
    "trusted-host",
    "proxy",
    "timeout",
    "default-timeout",
    "retries",
)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_APT = re.compile(r"^Acquire::(?:(?:http|https)::Proxy|Check-Valid-Until|Retries)\b.*;$", re.MULTILINE)
_BUNDLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Origins:
    """What a build is told. `secrets` by their ids; `folders` hold packages that pip may take."""

    secrets: Mapping[str, str]
    folders: tuple[Path, ...]
    mirror: str
    environment: Mapping[str, str]

    @classmethod
    def of_this_machine(cls) -> Origins:
        """As pip, apt and the environment are set up here."""
        pip = pip_options(_told(sys.executable, "-m", "pip", "config", "list"))
        bundle = next((path for name in _BUNDLES if (path := os.environ.get(name))), pip.get("cert", ""))
        certificates = Path(bundle).read_text(encoding="utf-8") if bundle and Path(bundle).is_file() else ""
        targets = _told("apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Origin: Debian")
        mirror = debian_mirror(targets)
        secrets = {
            "pip.conf": pip_conf(pip, trusting=bool(certificates)),
            "apt.sources": f"deb {mirror} {SUITE} main\n",
            "apt.conf": apt_conf(_told("apt-config", "dump"), trusting=bool(certificates)),
        }
        if certificates:
            secrets["ca.pem"] = certificates
        folders = tuple(Path(link) for link in pip.get("find-links", "").split() if Path(link).is_dir())
        proxies = {name: value for name in _PROXIES if (value := os.environ.get(name) or os.environ.get(name.upper()))}
        return cls(secrets, folders, mirror, proxies)


def pip_options(listed: str) -> dict[str, str]:
    """Options out of `pip config list`; what the environment says counts more than what a file says."""
    found: dict[str, str] = {}
    for environment in (False, True):
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            section, _, option = name.strip().rpartition(".")
            if (section == ":env:") is environment and section in ("global", "install", ":env:") and value:
                found[option] = str(ast.literal_eval(value))
    return found


def pip_conf(options: Mapping[str, str], *, trusting: bool) -> str:
    """A pip.conf for a build; the certificates are where the build has them."""
    lines = [f"{name} = {' '.join(options[name].split())}" for name in _PIP_OPTIONS if options.get(name)]
    if trusting:
        lines.append(f"cert = {CERTIFICATES}")
    return "\n".join(("[global]", *lines, ""))


def apt_conf(dumped: str, *, trusting: bool) -> str:
    """The settings of apt that say how packages are reached, out of `apt-config dump`."""
    lines = _APT.findall(dumped)
    if trusting:
        lines.append(f'Acquire::https::CAInfo "{CERTIFICATES}";')
    return "\n".join((*lines, ""))


def debian_mirror(targets: str) -> str:
    """The mirror apt uses for Debian itself, out of `apt-get indextargets`; the public one where it uses none."""
    for line in targets.splitlines():
        label, _, address = line.partition(" ")
        if label == "Debian":
            return address.rstrip("/")
    return MIRROR


def _told(*argv: str) -> str:
    """What a program says; nothing where there is no such program here, or it fails."""
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=ASK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""

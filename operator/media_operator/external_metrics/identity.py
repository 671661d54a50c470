"""Who asks: the user whom the Kubernetes API server vouches for, and nobody else.

The API server shows a certificate of its front-proxy authority, under one of the names it is known by, and tells the
user in headers. Which authority, names and headers, it writes into a ConfigMap. Without that certificate the headers
are worth nothing: anybody in the cluster can send them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

from multidict import CIMultiDict, CIMultiDictProxy

CONFIG_MAP = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"

Headers = CIMultiDictProxy[str] | CIMultiDict[str]


class FrontProxyUnknown(Exception):
    """The ConfigMap does not say by what the API server can be told."""


@dataclass(frozen=True, slots=True)
class User:
    """As the API server authenticated it. `extra` is sorted, so that equal users are equal."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class FrontProxy:
    """By what the API server is told, and where it puts the user. Empty `names` are any name, as Kubernetes has it."""

    authority: str
    names: frozenset[str]
    name_headers: tuple[str, ...]
    uid_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @classmethod
    def read(cls, config_map: Mapping[str, Any]) -> Self:
        """From the ConfigMap. Raises FrontProxyUnknown."""
        data = config_map.get("data") or {}
        authority = str(data.get("requestheader-client-ca-file") or "")
        if "BEGIN CERTIFICATE" not in authority:
            raise FrontProxyUnknown(
                "ConfigMap kube-system/extension-apiserver-authentication has no requestheader-client-ca-file: the "
                "API server runs without its --requestheader-client-ca-file, so that no aggregated API can work"
            )
        names = _words(data, "requestheader-allowed-names")
        return cls(
            authority=authority,
            names=frozenset(names),
            name_headers=_words(data, "requestheader-username-headers"),
            uid_headers=_words(data, "requestheader-uid-headers"),
            group_headers=_words(data, "requestheader-group-headers"),
            extra_prefixes=_words(data, "requestheader-extra-headers-prefix"),
        )

    def identify(self, certificate: Mapping[str, Any] | None, headers: Headers) -> User | None:
        """`certificate` is the client's as `SSLSocket.getpeercert()` gives it: verified, or None."""
        if not certificate or not self._known(certificate):
            return None
        name = next(_values(headers, self.name_headers), "")
        if not name:
            return None
        return User(
            name=name,
            uid=next(_values(headers, self.uid_headers), ""),
            groups=tuple(_values(headers, self.group_headers)),
            extra=tuple(sorted(self._extra(headers).items())),
        )

    def _known(self, certificate: Mapping[str, Any]) -> bool:
        parts = (part for level in certificate.get("subject", ()) for part in level)
        names = [value for key, value in parts if key == "commonName"]
        return len(names) == 1 and (not self.names or names[0] in self.names)

    def _extra(self, headers: Headers) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for prefix in self.extra_prefixes:
            for header in dict.fromkeys(name.lower() for name in headers):
                if header.startswith(prefix.lower()):
                    key = unquote(header[len(prefix) :])
                    found[key] = (*found.get(key, ()), *headers.getall(header))
        return found


def _values(headers: Headers, names: Iterable[str]) -> Iterator[str]:
    """Values of the first of these headers that is there."""
    given: list[str] = next((headers.getall(name) for name in names if name in headers), [])
    return iter(given)


def _words(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    try:
        words = json.loads(data.get(key) or "[]")
    except ValueError:
        words = None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise FrontProxyUnknown(
            f"ConfigMap kube-system/extension-apiserver-authentication: {key} is no JSON list of words"
        )
    return tuple(words)

"""Who is believed to be the API server, and which user it tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from multidict import CIMultiDict

from media_operator.external_metrics.identity import FrontProxy, FrontProxyUnknown, User

CONFIG_MAP: dict[str, Any] = {
    "data": {
        "client-ca-file": "-----BEGIN CERTIFICATE-----\nof users\n",
        "requestheader-client-ca-file": "-----BEGIN CERTIFICATE-----\nof the front proxy\n",
        "requestheader-allowed-names": '["front-proxy-client", "aggregator"]',
        "requestheader-username-headers": '["X-Remote-User"]',
        "requestheader-uid-headers": '["X-Remote-Uid"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
    }
}


def front_proxy(**changed: str) -> FrontProxy:
    return FrontProxy.read({"data": {**CONFIG_MAP["data"], **changed}})


def shown(*names: str) -> dict[str, Any]:
    """A verified certificate as `getpeercert` gives it."""
    return {"subject": tuple((("commonName", name),) for name in names)}


def headers(*pairs: tuple[str, str]) -> CIMultiDict[str]:
    return CIMultiDict(pairs)


AS_ADA = headers(("X-Remote-User", "ada"), ("X-Remote-Group", "system:authenticated"))


def test_the_authority_is_the_front_proxys_and_not_the_users() -> None:
    assert "of the front proxy" in front_proxy().authority
    assert "of users" not in front_proxy().authority


def test_the_api_servers_word_names_the_user() -> None:
    told = headers(
        ("x-remote-user", "system:serviceaccount:media:ada"),
        ("X-Remote-Uid", "12"),
        ("X-Remote-Group", "system:serviceaccounts"),
        ("x-remote-group", "system:authenticated"),
        ("X-Remote-Extra-Authentication.kubernetes.io%2fpod-Name", "ada-1"),
        ("X-Remote-Extra-Scopes", "a"),
        ("X-Remote-Extra-Scopes", "b"),
    )
    assert front_proxy().identify(shown("front-proxy-client"), told) == User(
        name="system:serviceaccount:media:ada",
        uid="12",
        groups=("system:serviceaccounts", "system:authenticated"),
        extra=(("authentication.kubernetes.io/pod-name", ("ada-1",)), ("scopes", ("a", "b"))),
    )


@pytest.mark.parametrize(
    ("told", "certificate", "given"),
    [
        ("no certificate", None, AS_ADA),
        ("a certificate without a name", shown(), AS_ADA),
        ("another name", shown("kubernetes-admin"), AS_ADA),
        ("two names, one of them right", shown("front-proxy-client", "kubernetes-admin"), AS_ADA),
        ("no user", shown("front-proxy-client"), headers(("X-Remote-Group", "system:masters"))),
        ("an empty user", shown("front-proxy-client"), headers(("X-Remote-User", ""))),
        ("a user in another header", shown("front-proxy-client"), headers(("X-User", "ada"))),
    ],
)
def test_nobody_else_is_anybody(told: str, certificate: dict[str, Any] | None, given: CIMultiDict[str]) -> None:
    assert front_proxy().identify(certificate, given) is None, told


def test_the_headers_are_those_that_the_api_server_was_told_to_use() -> None:
    proxy = front_proxy(**{"requestheader-username-headers": json.dumps(["X-Who", "X-Remote-User"])})
    given = headers(("X-Remote-User", "ada"), ("X-Who", "grace"))
    user = proxy.identify(shown("aggregator"), given)
    assert user is not None
    assert user.name == "grace"


def test_an_empty_list_of_names_is_any_name_as_kubernetes_has_it() -> None:
    proxy = front_proxy(**{"requestheader-allowed-names": "[]"})
    assert proxy.identify(shown("whoever"), AS_ADA) is not None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "has no requestheader-client-ca-file"),
        ({"requestheader-client-ca-file": ""}, "has no requestheader-client-ca-file"),
        (CONFIG_MAP["data"] | {"requestheader-allowed-names": "front"}, "requestheader-allowed-names is no JSON list"),
        (CONFIG_MAP["data"] | {"requestheader-group-headers": "[1]"}, "requestheader-group-headers is no JSON list"),
    ],
)
def test_a_config_map_that_does_not_say_it_is_refused_with_a_sentence(data: dict[str, str], said: str) -> None:
    with pytest.raises(FrontProxyUnknown, match=said):
        FrontProxy.read({"data": data})

"""The values a local node is made of: certificates, calls and configuration. Nothing is started here."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from media_devcluster.local import binaries, pki, programs
from media_devcluster.local.layout import KUBERNETES_SERVICE, NODE_ADDRESS, Layout

BINARIES = {name: Path("/built") / name for name in programs.BUILT}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("node"))
    pki.make(layout)
    return layout


def certificate(layout: Layout, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((layout.pki / f"{name}.crt").read_bytes())


def test_no_key_can_be_read_by_others(made: Layout) -> None:
    files = [*made.pki.iterdir(), made.kubeconfig]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_the_front_proxy_has_a_ca_of_its_own(made: Layout) -> None:
    proxy, admin = certificate(made, "front-proxy-client"), certificate(made, "admin")
    proxy.verify_directly_issued_by(certificate(made, "front-proxy-ca"))
    assert proxy.issuer != admin.issuer


@pytest.mark.parametrize("name", sorted(pki.ACCOUNTS))
def test_a_client_certificate_is_signed_by_the_cluster_and_good_for_nothing_else(made: Layout, name: str) -> None:
    leaf = certificate(made, name)
    leaf.verify_directly_issued_by(certificate(made, "ca"))
    purposes = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_api_server_is_known_by_its_service_and_by_its_node(made: Layout) -> None:
    names = certificate(made, "apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {KUBERNETES_SERVICE, NODE_ADDRESS}
    assert "kubernetes.default.svc" in names.get_values_for_type(x509.DNSName)


def test_every_file_a_program_is_told_of_is_made(made: Layout) -> None:
    calls = programs.programs(made, BINARIES)
    told = {word.split("=", 1)[1] for call in calls for word in call.argv if str(made.pki) in word}
    assert [path for path in sorted(told) if not Path(path).exists()] == []
    configured = {made.config / name for name in programs.files(made, BINARIES)}
    named = [Path(word.split("=", 1)[-1]) for call in calls for word in call.argv if str(made.config) in word]
    assert named
    assert set(named) <= configured


def test_a_program_is_started_after_the_one_it_waits_for(made: Layout) -> None:
    names = [program.name for program in programs.programs(made, BINARIES)]
    for program in programs.programs(made, BINARIES):
        if program.after is not None:
            assert program.name == "containerd" or names.index(program.after) < names.index(program.name)


def test_containerd_keeps_to_the_nodes_own_folder(made: Layout) -> None:
    told = tomllib.loads(programs.files(made, BINARIES)["containerd.toml"])
    places = (told["root"], told["state"], told["grpc"]["address"])
    assert [place for place in places if not place.startswith(str(made.folder))] == []


def test_the_kubelet_asks_for_a_certificate_and_for_permission(made: Layout) -> None:
    told = json.loads(programs.files(made, BINARIES)["kubelet.json"])
    assert told["authentication"]["anonymous"] == {"enabled": False}
    assert told["authorization"] == {"mode": "Webhook"}


def test_every_module_is_pinned_by_sums() -> None:
    for module in binaries.TABLE:
        folder = binaries.MODULES / module.name
        assert (folder / "go.sum").stat().st_size > 0
        required = (folder / "go.mod").read_text(encoding="utf-8")
        assert all(package in required for package in module.packages), module.name


def test_the_stamped_version_is_the_one_that_is_built() -> None:
    required = (binaries.MODULES / "kubernetes" / "go.mod").read_text(encoding="utf-8")
    assert f"k8s.io/kubernetes {binaries.KUBERNETES}" in required


def test_every_program_of_a_node_is_built_by_some_module() -> None:
    built = {name for module in binaries.TABLE for name in module.programs}
    assert set(programs.BUILT) <= built


GO = """\
#!/bin/sh
if [ "$1" = version ]; then echo go version go1.0 any/any; exit; fi
while [ "$1" != -o ]; do shift; done
echo program >"$2"
if [ -n "$MEANWHILE" ]; then mv "$MEANWHILE" "$FINISHED"; fi
"""
"""A compiler that compiles nothing, while which somebody else is done with the same."""


def test_who_builds_what_somebody_else_has_built_meanwhile_takes_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "go").write_text(GO, encoding="ascii")
    (tmp_path / "go").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    module = next(module for module in binaries.TABLE if module.name == "versitygw")
    program = binaries.build(tmp_path / "cache", print, [module])["versitygw"]
    program.write_text("theirs", encoding="ascii")
    finished, meanwhile = program.parent, tmp_path / "meanwhile"
    finished.rename(meanwhile)
    monkeypatch.setenv("MEANWHILE", str(meanwhile))
    monkeypatch.setenv("FINISHED", str(finished))

    assert binaries.build(tmp_path / "cache", print, [module]) == {"versitygw": program}
    assert program.read_text(encoding="ascii") == "theirs"
    assert [path.name for path in finished.parent.iterdir()] == [finished.name], "and leaves nothing of its own"

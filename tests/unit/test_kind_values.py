"""What a kind cluster is made from, and what is decided about it. Nothing is started here, and Docker is not asked."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from media_devcluster.images import Image
from media_devcluster.kind import config, program, stack
from media_devcluster.kind.cluster import KindCluster, answers, check_ports
from media_devcluster.local.binaries import KIND, MODULES
from media_devcluster.local.layout import NODE_ADDRESS
from media_devcluster.processes import StartFailed, free_port
from media_devcluster.state import ClusterKind, Part, Running, State, whole

NAMES = ("media-api:dev", "media-worker:dev", "pause:1", "postgres:dev", "versitygw:dev")
IMAGES = [Image(f"docker.io/local/{name}", Path("/cache") / f"{name}.tar", 1, False, 0.0) for name in NAMES]


def state(*, complete: bool, parts: dict[Part, Running] | None = None) -> State:
    return State(
        cluster=ClusterKind.EXISTING, namespace="media", token_secret="x", complete=complete, parts=parts or {}
    )


def test_a_cluster_is_named_by_its_folder_and_by_no_other(tmp_path: Path) -> None:
    names = {config.cluster_name(tmp_path / name) for name in ("one", "two")}
    assert len(names) == 2
    assert all(re.fullmatch(r"media-dev-[0-9a-f]{8}", name) for name in names)


def test_a_folder_has_one_name_however_it_is_written(tmp_path: Path) -> None:
    assert config.cluster_name(tmp_path / "other" / ".." / "one") == config.cluster_name(tmp_path / "one")


def test_the_node_image_is_pinned_by_its_digest() -> None:
    assert re.fullmatch(r"kindest/node:v1\.\d+\.\d+@sha256:[0-9a-f]{64}", config.node_image({}))


def test_another_node_image_is_taken_where_one_is_set() -> None:
    assert config.node_image({"MEDIA_DEV_NODE_IMAGE": "mirror.test/node:v1.35.0"}) == "mirror.test/node:v1.35.0"
    assert config.node_image({"MEDIA_DEV_NODE_IMAGE": " "}) == config.NODE_IMAGE


def test_no_other_machine_reaches_the_cluster() -> None:
    made = config.configuration("x", config.NODE_IMAGE)
    [node] = made["nodes"]
    listening = {mapping["listenAddress"] for mapping in node["extraPortMappings"]}
    assert listening | {made["networking"]["apiServerAddress"]} == {"127.0.0.1"}


def test_every_port_the_chart_opens_on_the_node_is_mapped_to_the_same_of_this_machine() -> None:
    values = stack.values(IMAGES, "media-dev")
    opened = {values["api"]["service"]["nodePort"], values["s3"]["embedded"]["service"]["nodePort"]}
    opened |= {port["nodePort"] for _, body in stack.outside() for port in body["spec"].get("ports", ())}
    [node] = config.configuration("x", config.NODE_IMAGE)["nodes"]
    mapped = {mapping["containerPort"]: mapping["hostPort"] for mapping in node["extraPortMappings"]}
    assert mapped == {port: port for port in opened}
    assert {30805, 30900} < opened


def test_nothing_of_the_local_nodes_addresses_is_told_to_the_chart() -> None:
    values = stack.values(IMAGES, "media-dev")
    assert values["s3"]["publicEndpoint"] == "http://127.0.0.1:30900"
    assert NODE_ADDRESS not in str(values)


def test_no_image_the_chart_runs_is_ever_pulled() -> None:
    values = stack.values(IMAGES, "media-dev")
    images = [
        values["image"],
        values["workerImage"],
        *(values[part]["embedded"]["image"] for part in ("postgresql", "s3")),
    ]
    named = {f"{image['repository']}:{image['tag']}" for image in images if image["pullPolicy"] == "Never"}
    loaded = {f"docker.io/local/{path.stem}" for path in stack.archives(IMAGES)}
    assert named == loaded


def test_the_database_keeps_its_account_and_is_reached_by_a_port_of_this_machine() -> None:
    reached = stack.as_mapped("postgresql://media:p%2Fw@10.96.7.7:5432/media")
    assert reached == "postgresql://media:p%2Fw@127.0.0.1:30432/media"


def test_what_opens_postgresql_opens_nothing_else() -> None:
    for _, body in stack.outside():
        spec = body["spec"]
        chosen = spec["selector"] if body["kind"] == "Service" else spec["podSelector"]["matchLabels"]
        assert chosen == {"app.kubernetes.io/instance": "media", "app.kubernetes.io/component": "postgresql"}


@pytest.mark.parametrize(
    ("said", "enough"),
    [
        ("kind v0.33.0 go1.26.8 linux/amd64", True),
        ("kind v0.40.1 go1.27.0 linux/arm64", True),
        ("kind v1.0.0 go1.27.0 linux/amd64", True),
        ("kind v0.32.0 go1.25.0 linux/amd64", False),
        ("kind v0.9.0 go1.15 linux/amd64", False),
        ("kind v0.33.0-alpha+1 go1.26.8 linux/amd64", False),
        ("command not found", False),
        ("", False),
    ],
)
def test_a_kind_on_the_path_is_used_when_it_knows_the_node_image(said: str, enough: bool) -> None:
    assert program.new_enough(said) is enough


def test_the_module_pins_the_release_that_is_asked_for() -> None:
    text = (MODULES / KIND.name / "go.mod").read_text(encoding="utf-8")
    assert "tool sigs.k8s.io/kind\n" in text
    assert f"sigs.k8s.io/kind v{program.VERSION[0]}.{program.VERSION[1]}.0 " in text
    assert (MODULES / KIND.name / "go.sum").stat().st_size > 0


def test_a_stack_that_came_up_is_whole_and_one_that_was_cut_off_is_not(tmp_path: Path) -> None:
    process = Running(pid=1, started=0.0, log=tmp_path / "log", stop_signal=15, stop_seconds=1.0)
    assert whole(state(complete=True))
    assert not whole(state(complete=False))
    assert not whole(state(complete=True, parts={Part.API: process}))
    assert not whole(None)


def test_a_port_that_is_taken_is_named_before_anything_is_created() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartFailed, match=f"needs port {port} of 127.0.0.1: Address already in use"):
            check_ports([free_port(), port])


def test_the_kubeconfig_is_in_the_folder_of_the_stack(tmp_path: Path) -> None:
    cluster = KindCluster(tmp_path, Path("/no/kind"))
    assert cluster.kubeconfig == tmp_path.resolve() / "cluster" / "kubeconfig"


def test_a_program_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"kind cluster cannot be looked for: .*/no/kind"):
        KindCluster(tmp_path, Path("/no/kind")).exists()


async def test_an_api_server_that_is_gone_does_not_answer(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    assert not await answers(kubeconfig)
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    cluster = {"name": "x", "cluster": {"server": f"http://127.0.0.1:{free_port()}"}}
    user: dict[str, object] = {"name": "x", "user": {}}
    lists = {"contexts": [context], "clusters": [cluster], "users": [user]}
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "x", **lists}))
    assert not await answers(kubeconfig)

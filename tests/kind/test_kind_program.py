"""The real program kind, as far as it goes where no Docker daemon is: built, asked, and given our configuration.

DOCKER_HOST names a socket that is not there, so that nothing is ever created, on a machine with Docker neither.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from media_devcluster.kind import program
from media_devcluster.kind.cluster import ENVIRONMENT
from media_devcluster.kind.config import NODE_IMAGE, cluster_name, configuration
from media_devcluster.local.binaries import GO_ENVIRONMENT, KIND, MODULES, cache_folder

START = """
import asyncio, sys
from pathlib import Path
from media_devcluster.kind.stack import KindStack, remove
from media_devcluster.processes import StartFailed
from media_devcluster.stack import Plan
for work in (lambda folder: KindStack(Plan(folder), print).start(), lambda folder: remove(folder, print)):
    try:
        asyncio.run(work(Path(sys.argv[1])))
    except StartFailed as failed:
        print(failed, failed.advice, sep="|")
"""
FIND = """
import sys
from pathlib import Path
from media_devcluster.kind.program import find
print(find(Path(sys.argv[1]), print))
"""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def kind() -> Path:
    """The program of the pinned module."""
    return program.build(cache_folder(), print)


@pytest.fixture
def away(tmp_path: Path) -> dict[str, str]:
    """An environment in which no Docker daemon answers, with a home of the test's own."""
    (tmp_path / "home").mkdir()
    docker = {"DOCKER_HOST": f"unix://{tmp_path}/no.sock", "HOME": str(tmp_path / "home")}
    return {**os.environ, **ENVIRONMENT, **docker}


def run(*argv: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def create(kind: Path, folder: Path, env: dict[str, str], document: object) -> str:
    """What `kind create cluster` complained of."""
    (folder / "kind.json").write_text(json.dumps(document))
    named = ("--name", "media-dev-test", "--kubeconfig", folder / "kubeconfig")
    done = run(kind, "create", "cluster", "--config", folder / "kind.json", *named, env=env)
    assert done.returncode == 1
    return done.stderr


def test_it_is_the_pinned_release_and_taken_from_the_cache_the_second_time(kind: Path) -> None:
    assert program.new_enough(run(kind, "version").stdout)
    said: list[str] = []
    assert program.build(cache_folder(), said.append) == kind
    assert said == []


def test_one_that_is_installed_is_preferred_to_building(kind: Path, tmp_path: Path) -> None:
    env = {**os.environ, "PATH": f"{kind.parent}:{os.environ['PATH']}"}
    assert run(sys.executable, "-c", FIND, tmp_path, env=env).stdout.strip() == str(kind)


def test_the_node_image_is_the_one_its_release_names() -> None:
    env = {**os.environ, **GO_ENVIRONMENT}
    asked = ("go", "list", "-C", str(MODULES / KIND.name), "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind")
    source = Path(run(*asked, env=env).stdout.strip())
    told = (source / "pkg/apis/config/defaults/image.go").read_text(encoding="utf-8")
    assert f'const Image = "{NODE_IMAGE}"' in told


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (("create", "cluster"), ("--config", "--name", "--kubeconfig")),
        (("delete", "cluster"), ("--name", "--kubeconfig")),
        (("load", "image-archive"), ("--name",)),
        (("get", "clusters"), ()),
    ],
    ids=" ".join,
)
def test_it_knows_every_command_and_option_it_is_called_with(
    kind: Path, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    shown = run(kind, *command, "--help")
    assert shown.returncode == 0
    assert f"kind {' '.join(command)}" in shown.stdout
    assert [option for option in options if f" {option} " not in shown.stdout] == []


def test_it_reads_our_configuration_and_goes_on_to_ask_docker(
    kind: Path, tmp_path: Path, away: dict[str, str]
) -> None:
    complained = create(kind, tmp_path, away, configuration(cluster_name(tmp_path), NODE_IMAGE))
    assert "using docker" in complained
    assert "failed to get docker info" in complained
    assert "config:" not in complained


@pytest.mark.parametrize("place", ["cluster", "networking", "node", "port"])
def test_it_would_not_read_a_field_it_does_not_know(
    kind: Path, tmp_path: Path, away: dict[str, str], place: str
) -> None:
    document = configuration(cluster_name(tmp_path), NODE_IMAGE)
    [node] = document["nodes"]
    places = {
        "cluster": document,
        "networking": document["networking"],
        "node": node,
        "port": node["extraPortMappings"][0],
    }
    places[place]["unheardOf"] = True
    assert "field unheardOf not found" in create(kind, tmp_path, away, document)


def test_without_docker_start_and_removal_say_so_and_leave_nothing(tmp_path: Path, away: dict[str, str]) -> None:
    folder, cache = tmp_path / "stack", tmp_path / "cache"
    told = run(sys.executable, "-c", START, folder, env={**away, "XDG_CACHE_HOME": str(cache)})
    sentence = (
        "kind cluster needs Docker, and no Docker daemon answers|"
        "Start Docker, or do without it: media-dev up --cluster local (Linux, root, Go)."
    )
    assert told.stdout.splitlines() == [sentence, sentence], told.stderr
    assert not folder.exists()
    assert not cache.exists()
    assert list((tmp_path / "home").iterdir()) == []

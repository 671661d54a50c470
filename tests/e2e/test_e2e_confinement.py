"""What hostile code would find in the containers of a worker's pod that is at work, looked for from inside them.

The decoder's container is the one whose programs touch hostile bytes. What is left to a child of the decoder, under
its own filter of system calls, is proved by tests/integration/test_decoder_confinement.py: here is that the filter is
on in a pod, and what stands around it. The same search in the worker's container finds what the decoder's must not
have: that the search finds something proves that it searches.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from support import looking_around
from support.fence import assets_of
from support.held_work import ZYGOTE, Object, Work, completed_once, held, slow_picture
from support.site import Site

PYTHON = "/opt/media/bin/python3"
LOOKING_AROUND = Path(looking_around.__file__).read_text(encoding="utf-8")
TOKEN = looking_around.TOKEN
ADDRESSES = re.compile(r"KUBERNETES_(SERVICE|PORT)(_[A-Z0-9_]+)?")
"""Where the API server is: the kubelet tells every container."""
BASICS = {
    *("LANG", "PATH", "HOME", "HOSTNAME", "LC_CTYPE", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"),
    *("MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_"),
}
"""Of the image and the runtime; the interpreter itself adds a locale."""
UNPRIVILEGED = {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapBnd": 0, "CapAmb": 0, "NoNewPrivs": 1, "Seccomp": 2}
USER = "10001"
WRITABLE = ["/dev/mqueue", "/dev/shm", "/dev/termination-log", "/run/media", "/tmp"]
"""Two emptyDirs, what the pod's containers share by the kernel's IPC, and where a container says why it ended."""
REFUSED = {
    "become root": "PermissionError",
    "a user namespace of its own": "PermissionError",
    "a mount": "PermissionError",
    "a device": "PermissionError",
    "another root": "PermissionError",
}

pytestmark = pytest.mark.timeout(180)


@dataclass(frozen=True)
class Sights:
    """A worker that is at work, and what was seen in its two containers at the same time."""

    work: Work
    secrets: Mapping[str, str]
    decoder: Object
    worker: Object

    @property
    def programs(self) -> dict[int, Object]:
        """The processes in the decoder's container, by their ids in it, but for the one that looked."""
        processes = {int(pid): process for pid, process in self.decoder["processes"].items()}
        return {pid: process for pid, process in processes.items() if pid != self.decoder["pid"]}

    @property
    def zygote(self) -> int:
        """Id of the one that forks the children."""
        return min(pid for pid, process in self.programs.items() if ZYGOTE in process["command"])

    @property
    def children(self) -> dict[int, Object]:
        """Those that decode."""
        return {pid: process for pid, process in self.programs.items() if process["parent"] == self.zygote}


@pytest.fixture(scope="module")
async def sights(site: Site, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sights]:
    """One look for all tests; afterwards the worker ends what it was at."""
    await site.quiet()
    async with held(site, slow_picture(tmp_path_factory.mktemp("pictures"))) as work:
        keys = await site.secret(f"{site.release}-s3")
        token = await _inside(site, work, "worker", "cat", str(TOKEN))
        secrets = {"storage key": keys["AWS_SECRET_ACCESS_KEY"], "token": token.strip()}
        asking = json.dumps({"secrets": secrets, "paths": [_secret(site), _secrets(site), assets_of(site.namespace)]})
        seen = {
            container: json.loads(
                await _inside(site, work, container, PYTHON, "-I", "-c", LOOKING_AROUND, stdin=asking),
            )
            for container in ("decoder", "worker")
        }
        yield Sights(work, secrets, **seen)
    await completed_once(site, work.asset_id)
    await site.quiet()


# -- the decoder's container --


def test_no_file_in_the_decoders_container_holds_a_secret_of_the_worker(sights: Sights) -> None:
    assert sights.decoder["found"] == {"storage key": [], "token": []}
    assert sights.decoder["token"] is False
    assert [path for path in sights.worker["found"]["token"] if path.endswith("/token")], "the worker's has one"


def test_the_decoders_container_is_told_nothing_but_where_things_are(site: Site, sights: Sights) -> None:
    server = next(process for process in _of_the_decoder(site, sights) if ZYGOTE not in process.cmdline())
    for environment in (sights.decoder["environment"], server.environ()):
        assert {name for name in environment if name not in BASICS and not ADDRESSES.fullmatch(name)} == set()
    assert sights.worker["environment"]["AWS_SECRET_ACCESS_KEY"] == sights.secrets["storage key"]


def test_zygote_and_children_of_the_decoder_are_born_without_an_environment(site: Site, sights: Sights) -> None:
    born = [process for process in _of_the_decoder(site, sights) if ZYGOTE in process.cmdline()]
    assert len(born) >= 2
    assert [Path(f"/proc/{process.pid}/environ").read_bytes() for process in born] == [b""] * len(born)


def test_no_process_of_the_worker_can_be_seen_or_named_from_the_decoders_container(site: Site, sights: Sights) -> None:
    commands = [" ".join(process["command"]) for process in sights.programs.values()]
    assert [command for command in commands if "media-decoder" not in command and ZYGOTE not in command] == []
    worker = psutil.Process(sights.work.worker.pid)
    assert any("media-worker" in word for word in worker.cmdline())
    spaces = {name: os.readlink(f"/proc/{worker.pid}/ns/{name}") for name in ("mnt", "pid")}
    assert sights.worker["namespaces"] == spaces
    assert {name for name in spaces if sights.decoder["namespaces"][name] == spaces[name]} == set()


def test_memory_and_environment_of_the_decoders_processes_are_hidden_from_their_fellows(sights: Sights) -> None:
    assert sights.children
    for process in sights.programs.values():
        assert (process["memory"], process["environment"]) == ("PermissionError", "PermissionError")


def test_without_a_token_the_decoders_container_is_nobody_to_the_api_server(site: Site, sights: Sights) -> None:
    assert set(sights.decoder["answers"]) == {_secret(site), _secrets(site), assets_of(site.namespace)}
    assert set(sights.decoder["answers"].values()) <= {401, 403}


def test_the_children_of_the_decoder_have_a_filter_of_system_calls_of_their_own(sights: Sights) -> None:
    """Beside the runtime's, which all have: RuntimeDefault is one filter, the child's own is the second."""
    filters = {pid: int(process["bounds"]["Seccomp_filters"]) for pid, process in sights.programs.items()}
    assert {filters[pid] - filters[1] for pid in sights.children} == {1}


# -- both --


@pytest.mark.parametrize("container", ["decoder", "worker"])
def test_every_process_in_a_container_is_an_unprivileged_user_without_capabilities_under_seccomp(
    sights: Sights, container: str
) -> None:
    processes = getattr(sights, container)["processes"]
    assert processes
    for process in processes.values():
        bounds = process["bounds"]
        assert {name: int(bounds[name], 16) for name in UNPRIVILEGED} == UNPRIVILEGED, process["command"]
        assert {*bounds["Uid"].split(), *bounds["Gid"].split()} == {USER}


@pytest.mark.parametrize("container", ["decoder", "worker"])
def test_nothing_of_a_container_can_be_changed_but_its_own_scratch_space(sights: Sights, container: str) -> None:
    seen = getattr(sights, container)
    assert seen["root is read-only"] is True
    assert seen["writable"] == WRITABLE
    assert seen["outcomes"].items() >= REFUSED.items()
    for attempt in ("change the program", "add to the program"):
        assert seen["outcomes"][attempt] in ("PermissionError", "Read-only file system")


# -- the worker's container --


def test_with_its_token_the_worker_reads_assets_and_no_secret(site: Site, sights: Sights) -> None:
    answers = {assets_of(site.namespace): 200, _secret(site): 403, _secrets(site): 403}
    assert sights.worker["answers"] == answers


def _of_the_decoder(site: Site, sights: Sights) -> list[psutil.Process]:
    """The same processes as this machine sees them, from which nothing is hidden."""
    return site.processes(sights.work.pod, "decoder")


async def _inside(site: Site, work: Work, container: str, *command: str, stdin: str | None = None) -> str:
    name = work.pod["metadata"]["name"]
    return await site.kubectl("exec", "-i", name, "-c", container, "--", *command, stdin=stdin)


def _secrets(site: Site) -> str:
    return f"/api/v1/namespaces/{site.namespace}/secrets"


def _secret(site: Site) -> str:
    return f"{_secrets(site)}/{site.release}-s3"

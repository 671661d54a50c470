"""The local stack as a whole: it comes up, it can be disturbed, and it leaves nothing behind."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from media_core.asset import TranscodeStatus
from media_devcluster.carrying import carry_all
from media_devcluster.client import Client
from media_devcluster.embedded.cluster import EmbeddedCluster
from media_devcluster.kube import Kube
from media_devcluster.processes import StartFailed, tail
from media_devcluster.stack import Plan, Stack
from media_devcluster.state import ClusterKind, Part, State
from support.leftovers import processes_in
from support.photos import photographs

BASE = frozenset({Part.POSTGRES, Part.S3, Part.CLUSTER})
SERVING = BASE | {Part.MIGRATE, Part.API}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: Unix sockets below it have to fit into 107 bytes."""
    with TemporaryDirectory(prefix="dev-") as name:
        yield Path(name)


@pytest.fixture
def photo(folder: Path) -> Path:
    """A photograph as phones make them."""
    (path,) = photographs(1, folder=folder / "photos")
    return path


@pytest.fixture(scope="module")
async def serving() -> AsyncIterator[Stack]:
    """Everything but the operator; whole again after each test."""
    with TemporaryDirectory(prefix="dev-") as name:
        async with Stack(Plan(Path(name), parts=SERVING)) as stack:
            yield stack


def listens(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((str(place.hostname), int(place.port or 0))) == 0


async def test_a_stack_that_was_stopped_leaves_no_process_and_no_open_port(folder: Path) -> None:
    async with Stack(Plan(folder, parts=BASE)) as stack:
        async with Kube.connect(Path(stack.state.kubeconfig)) as kube:
            cluster = kube.host
        urls = (stack.state.database_url, stack.state.s3_endpoint, cluster)
        assert [listens(url) for url in urls] == [True, True, True]
        assert len(processes_in(folder)) >= 3
    assert [listens(url) for url in urls] == [False, False, False]
    assert processes_in(folder) == []
    assert State.read(folder) is None


async def test_postgresql_is_shut_down_cleanly_although_a_client_is_connected(folder: Path) -> None:
    stack = Stack(Plan(folder, parts=frozenset({Part.POSTGRES})))
    await stack.start()
    client = await asyncpg.connect(stack.state.database_url)
    await stack.stop()
    client.terminate()
    assert tail(folder / "logs" / "postgres.log", 1)[0].endswith("database system is shut down")


async def test_the_database_wants_its_password(folder: Path) -> None:
    async with Stack(Plan(folder, parts=frozenset({Part.POSTGRES}))) as stack:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(stack.state.database_url, password="guessed")


async def test_a_part_that_crashed_can_be_started_again_at_the_same_place(serving: Stack) -> None:
    before = serving.children[Part.API].pid
    await serving.kill(Part.API)
    assert serving.state.dead == [Part.API]
    assert not listens(serving.state.api_url)
    await serving.start_again(Part.API)
    async with aiohttp.ClientSession() as session, session.get(f"{serving.state.api_url}/readyz") as answer:
        assert answer.status == 200
    assert serving.children[Part.API].pid != before
    await serving.restart(Part.API)
    assert listens(serving.state.api_url)
    assert serving.state.dead == []


async def test_a_second_start_in_the_same_folder_is_refused_and_disturbs_nothing(serving: Stack) -> None:
    with pytest.raises(StartFailed, match=r"runs in .* already"):
        await Stack(serving.plan).start()
    assert serving.state.dead == []
    assert listens(serving.state.api_url)


async def test_a_part_that_does_not_start_is_named_with_its_last_lines_and_nothing_is_left(folder: Path) -> None:
    wrong = {Part.API: {"MEDIA_JWT_SECRET": "short"}}
    with pytest.raises(StartFailed) as failed:
        await Stack(Plan(folder, parts=SERVING, env=wrong)).start()
    assert failed.value.part == "media-api"
    assert "ended with code 78" in failed.value.why
    assert any("MEDIA_JWT_SECRET" in line for line in failed.value.log)
    assert processes_in(folder) == []


async def test_a_stack_that_was_killed_halfway_is_found_by_its_state(folder: Path) -> None:
    stack = Stack(Plan(folder, parts=BASE))
    await stack.start()
    os.kill(stack.children[Part.S3].pid, signal.SIGKILL)
    await stack.children[Part.S3].wait(5)
    try:
        state = State.read(folder)
        assert state is not None
        assert state.dead == [Part.S3]
        assert set(state.children()) == {Part.POSTGRES, Part.CLUSTER}
    finally:
        await stack.stop()


@pytest.mark.slow
async def test_an_existing_cluster_is_furnished_and_served_from_here(folder: Path, photo: Path) -> None:
    async with (
        EmbeddedCluster([], folder / "existing") as cluster,
        Stack(Plan(folder / "services", parts=frozenset({Part.POSTGRES, Part.S3}))) as services,
        Stack(
            Plan(
                folder / "stack",
                parts=frozenset({Part.MIGRATE, Part.OPERATOR, Part.API}),
                cluster=ClusterKind.EXISTING,
                kubeconfig=cluster.kubeconfig,
                context="embedded",
                namespace="elsewhere",
                database_url=services.state.database_url,
                store=services.store,
            )
        ) as stack,
    ):
        async with Client(stack.state.api_url, stack.token("ada")) as client:
            (row,) = await carry_all(client, [photo], wait_seconds=60)
        assert row.status is TranscodeStatus.COMPLETED
        async with Kube.connect(cluster.kubeconfig) as kube:
            secret = await kube.get("/api/v1/namespaces/elsewhere/secrets/media-s3")
            assert set(secret["data"]) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


async def test_a_context_that_is_not_in_the_kubeconfig_is_refused(folder: Path) -> None:
    (folder / "config").write_text("apiVersion: v1\nkind: Config\n")
    plan = Plan(folder, frozenset(), ClusterKind.EXISTING, kubeconfig=folder / "config", context="nowhere")
    with pytest.raises(StartFailed, match="is not in that kubeconfig"):
        await Stack(plan).start()

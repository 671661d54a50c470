"""Child processes of the local stack: started, known again, stopped."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from media_devcluster.processes import Child, Command, StartFailed, free_port, inherited_environment
from support.deadlines import eventually

IDLE = "import time; print('idle', flush=True); time.sleep(60)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('idle', flush=True); time.sleep(60)"
)
PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(60)
"""


def command(folder: Path, program: str, **more: object) -> Command:
    argv = (sys.executable, "-c", program)
    return Command("thing", argv, folder / "thing.log", folder, **more)


async def said(child: Child) -> str:
    return (await eventually(lambda: child.tail()))[-1]


async def test_a_child_stops_when_it_is_asked_to(tmp_path: Path) -> None:
    child = Child.start(command(tmp_path, IDLE))
    await said(child)
    assert await child.stop()
    assert not child.alive
    assert child.exit_code == -signal.SIGTERM


async def test_a_child_that_does_not_listen_is_killed_at_the_deadline(tmp_path: Path) -> None:
    child = Child.start(command(tmp_path, STUBBORN, stop_seconds=0.2))
    await said(child)
    assert not await child.stop()
    assert child.exit_code == -signal.SIGKILL


async def test_what_a_child_leaves_behind_in_another_session_is_killed_too(tmp_path: Path) -> None:
    child = Child.start(command(tmp_path, PARENT))
    grandchild = psutil.Process(int(await said(child)))
    await child.stop()
    await eventually(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE, seconds=5)


async def test_a_child_runs_in_a_session_of_its_own(tmp_path: Path) -> None:
    child = Child.start(command(tmp_path, IDLE))
    try:
        assert os.getsid(child.pid) == child.pid
    finally:
        await child.stop()


async def test_a_child_is_known_again_by_pid_and_start_time(tmp_path: Path) -> None:
    child = Child.start(command(tmp_path, IDLE))
    try:
        known = Child.known(child.command, child.pid, child.started)
        assert known is not None
        assert known.alive
        assert await known.stop()
    finally:
        await child.stop()
    assert Child.known(child.command, child.pid, child.started) is None


async def test_another_process_of_the_same_pid_is_not_taken_for_the_child(tmp_path: Path) -> None:
    assert Child.known(command(tmp_path, IDLE), os.getpid(), psutil.Process().create_time() - 60) is None


async def test_a_child_that_ends_before_it_is_ready_is_reported_with_code_and_last_lines(tmp_path: Path) -> None:
    program = "import sys; print('first'); print('\\x1b[31mthe reason\\x1b[0m'); sys.exit(3)"
    child = Child.start(command(tmp_path, program, advice="Do this."))

    async def never() -> bool:
        return False

    with pytest.raises(StartFailed) as failed:
        await child.ready(never)
    assert str(failed.value) == "thing ended with code 3 before it was ready"
    assert failed.value.log == ("first", "the reason")
    assert failed.value.advice == "Do this."


async def test_a_child_that_is_never_ready_is_reported_at_the_deadline(tmp_path: Path) -> None:
    child = Child.start(command(tmp_path, IDLE, patience_seconds=0.1))

    async def never() -> bool:
        return False

    try:
        with pytest.raises(StartFailed, match="was not ready after 0 s"):
            await child.ready(never)
    finally:
        await child.stop()


async def test_a_program_that_is_not_there_is_reported_by_name(tmp_path: Path) -> None:
    missing = Command("thing", (str(tmp_path / "nothing"),), tmp_path / "log", tmp_path)
    with pytest.raises(StartFailed, match="thing cannot be started"):
        Child.start(missing)


def test_nothing_of_the_environment_leads_a_child_to_another_cluster_or_account() -> None:
    foreign = [name for name in inherited_environment() if name.startswith(("KUBE", "MEDIA_", "S3_", "PG"))]
    assert foreign == []
    assert "AWS_ACCESS_KEY_ID" not in inherited_environment()
    assert "AWS_PROFILE" not in inherited_environment()


def test_free_ports_are_below_those_of_outgoing_connections() -> None:
    assert all(20_000 <= free_port() < 30_000 for _ in range(20))

"""media-dev as a person runs it: its own process, its exit code, its two outputs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from support.deadlines import eventually
from support.leftovers import processes_in
from support.photos import photographs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MEDIA_DEV = str(Path(sys.executable).parent / "media-dev")
SECONDS = 100


@dataclass(frozen=True)
class Ended:
    """A command that ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Its stdout, which has to be one JSON value and nothing else."""
        return json.loads(self.out)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Working folder and temporary folder of the command, with a short path."""
    with TemporaryDirectory(prefix="dev-") as name:
        yield Path(name)


@pytest.fixture
def photo(folder: Path) -> Path:
    """A photograph as phones make them."""
    (path,) = photographs(1, folder=folder / "photos")
    return path


async def started(folder: Path, arguments: Sequence[str | Path]) -> asyncio.subprocess.Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MEDIA_", "AWS_", "KUBE"))}
    return await asyncio.create_subprocess_exec(
        MEDIA_DEV,
        *(str(argument) for argument in arguments),
        cwd=folder,
        env={**clean, "TMPDIR": str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> Ended:
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


def half_of(photo: Path) -> Path:
    """A photograph that breaks off."""
    whole = photo.read_bytes()
    corrupt = photo.with_name("corrupt.jpg")
    corrupt.write_bytes(whole[: len(whole) // 2])
    return corrupt


def read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def left_in(folder: Path) -> list[str]:
    """What is still there of a stack: its processes, and its temporary folder."""
    return [*processes_in(folder), *(str(path) for path in folder.glob("media-dev-*"))]


async def media_dev(folder: Path, *arguments: str | Path) -> Ended:
    return await ended(await started(folder, arguments))


async def test_demo_answers_for_every_file_and_stops_everything(folder: Path, photo: Path) -> None:
    demo = await media_dev(folder, "demo", "--json", photo, half_of(photo), folder / "missing.jpg")

    good, bad, missing = demo.json()["assets"]
    assert demo.code == 1
    assert good["transcode_status"] == "COMPLETED", good
    assert good["thumbnail_url"].endswith("/thumbnail.webp")
    assert good["hls_url"] is None
    assert [variant["name"] for variant in good["variants"]] == ["thumbnail", "medium", "large"]
    assert all(set(v) == {"name", "key", "width", "height", "bytes"} for v in good["variants"])
    assert 0 < good["seconds"] < SECONDS
    assert bad["transcode_status"] == "FAILED"
    assert bad["asset_id"]
    assert bad["message"]
    assert bad["variants"] == []
    assert missing["asset_id"] is None
    assert missing["transcode_status"] == "FAILED"
    assert missing["message"] == "There is no such file."

    assert photo.name in read(f"{folder}/demo/index.html")
    sizes = {v["name"]: v["bytes"] for v in good["variants"]}
    assert {p.stem: p.stat().st_size for p in (folder / "demo" / "media" / "001").glob("*.webp")} == sizes
    assert left_in(folder) == []


async def test_up_upload_status_down(folder: Path, photo: Path) -> None:
    up = await media_dev(folder, "up", "--json")
    try:
        where = up.json()
        assert up.code == 0, up.err
        assert where["cluster"] == "embedded"
        assert set(where["pids"]) == {"postgres", "s3", "cluster", "operator", "api"}
        assert "server: " in read(where["kubeconfig"])

        again = await media_dev(folder, "up", "--json")
        assert again.json()["pids"] == where["pids"]

        upload = await media_dev(folder, "upload", "--wait", "--json", photo)
        assert upload.code == 0, upload.out
        assert upload.json()["assets"][0]["transcode_status"] == "COMPLETED"

        status = await media_dev(folder, "status", "--json")
        assert status.code == 0
        assert status.json()["assets"] == [{"state": "settled", "transcode_status": "COMPLETED", "assets": 1}]
        assert status.json()["pool"]["spec"]["replicas"] == 1
    finally:
        down = await media_dev(folder, "down")
    assert down.code == 0
    assert left_in(folder) == []
    assert (await media_dev(folder, "status", "--json")).json() == {"running": False}
    assert "operator_started" in (await media_dev(folder, "logs", "-n", "500", "operator")).out


@pytest.mark.parametrize("command", ["up", "demo"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_in_the_middle_of_the_start_leaves_nothing(
    folder: Path, photo: Path, command: str, number: signal.Signals
) -> None:
    process = await started(folder, [command, *([photo] if command == "demo" else [])])
    try:
        await eventually(lambda: len(processes_in(folder, but=process.pid)) >= 2, seconds=30)
        process.send_signal(number)
    finally:
        gone = await ended(process)
    assert gone.code == 128 + number
    assert "stopping what was started" in gone.err
    assert left_in(folder) == []


async def test_a_start_that_fails_says_which_part_and_why(folder: Path) -> None:
    (folder / ".media-dev").mkdir()
    (folder / ".media-dev" / "logs").write_text("a file where a folder has to be")
    up = await media_dev(folder, "up", "--json")
    assert up.code == 1
    assert up.out == ""
    assert "Nothing was left running." in up.err

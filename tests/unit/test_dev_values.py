"""Small values of the local stack: sizes, tokens, state.json, rows of --json, interrupts."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
from pathlib import Path

import jwt
import pytest

from media_core.asset import TranscodeStatus
from media_devcluster import token
from media_devcluster.carrying import Carried
from media_devcluster.client import _said
from media_devcluster.running import run
from media_devcluster.sizes import bytes_text, seconds_text
from media_devcluster.state import ClusterKind, Part, Running, State

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (23_910, "23.9 kB"), (3_200_000, "3.2 MB")]
)
def test_sizes(count: int, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0852, "85 ms"), (1.236, "1.24 s"), (75.4, "75 s")])
def test_durations(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


def test_a_token_names_its_user_and_ends() -> None:
    claims = jwt.decode(token.mint(SECRET, "ada"), SECRET, algorithms=["HS256"], audience=token.AUDIENCE)
    assert claims["sub"] == "ada"
    assert claims["exp"] - claims["iat"] == 12 * 3600


def test_the_state_is_read_as_it_was_written_and_by_its_owner_only(tmp_path: Path) -> None:
    running = Running(pid=1, started=2.5, log=tmp_path / "api.log", stop_signal=signal.SIGTERM, stop_seconds=10)
    state = State(cluster=ClusterKind.EMBEDDED, namespace="media", token_secret=SECRET, parts={Part.API: running})
    state.write(tmp_path)
    assert State.read(tmp_path) == state
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600


def test_a_folder_without_a_state_has_none(tmp_path: Path) -> None:
    assert State.read(tmp_path) is None


def test_a_part_whose_pid_is_somebody_elses_now_counts_as_dead(tmp_path: Path) -> None:
    running = Running(pid=os.getpid(), started=1.0, log=tmp_path / "api.log", stop_signal=15, stop_seconds=1)
    state = State(cluster=ClusterKind.EMBEDDED, namespace="media", token_secret=SECRET, parts={Part.API: running})
    assert state.dead == [Part.API]


def test_a_row_of_a_file_that_was_refused_has_no_asset_id() -> None:
    row = Carried(Path("x.jpg"), TranscodeStatus.FAILED, "There is no such file.").to_json()
    assert row == {
        "file": "x.jpg",
        "asset_id": None,
        "transcode_status": "FAILED",
        "message": "There is no such file.",
        "thumbnail_url": None,
        "hls_url": None,
        "variants": [],
        "seconds": None,
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param('{"title": "No", "detail": "It is too large."}', "It is too large.", id="a problem's detail"),
        pytest.param("<Error><Message>Denied</Message></Error>", "Denied", id="S3's message"),
        pytest.param("gone", "gone", id="anything else as it is"),
    ],
)
def test_a_refusal_is_told_in_a_sentence(text: str, sentence: str) -> None:
    assert _said(text) == sentence


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_lets_the_command_clean_up_once_and_whole(number: signal.Signals) -> None:
    told: list[str] = []
    cleaned: list[str] = []

    async def work() -> int:
        try:
            os.kill(os.getpid(), number)
            await asyncio.sleep(10)
        finally:
            os.kill(os.getpid(), number)
            await asyncio.sleep(0.05)
            cleaned.append("whole")
        return 0

    assert run(work(), told.append) == 128 + number
    assert cleaned == ["whole"]
    assert len(told) == 2

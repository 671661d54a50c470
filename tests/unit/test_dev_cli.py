"""How media-dev is called, and what it says to a wrong call. Nothing is started here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from media_devcluster.cli import main


def call(*arguments: str | Path, env: dict[str, str] | None = None) -> Result:
    clean = {"MEDIA_API_URL": "", "MEDIA_TOKEN": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env={**clean, **(env or {})})


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_has_help_with_an_example(command: str) -> None:
    shown = call(command, "--help")
    assert shown.exit_code == 0
    assert f"media-dev {command}" in shown.output


def test_the_help_tells_how_to_get_completion() -> None:
    assert "_MEDIA_DEV_COMPLETE=bash_source" in call("--help").output


def test_existing_wants_a_cluster_that_was_named(tmp_path: Path) -> None:
    refused = call("up", "--cluster", "existing", "--data-dir", tmp_path, env={"KUBECONFIG": "/somewhere/config"})
    assert refused.exit_code == 2
    assert (
        "--cluster existing needs --kubeconfig and --context and --database-url and --s3-endpoint." in refused.output
    )


def test_existing_wants_the_keys_of_its_s3(tmp_path: Path) -> None:
    given = ("--kubeconfig", "x", "--context", "x", "--database-url", "postgresql://x", "--s3-endpoint", "http://x")
    refused = call("up", "--cluster", "existing", "--data-dir", tmp_path, *given)
    assert refused.exit_code == 2
    assert "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment" in refused.output


def test_an_option_that_would_be_ignored_is_refused(tmp_path: Path) -> None:
    refused = call("up", "--data-dir", tmp_path, "--kubeconfig", "x")
    assert refused.exit_code == 2
    assert "--kubeconfig: only with --cluster existing." in refused.output


def test_clusters_that_are_not_there_are_not_offered() -> None:
    assert call("up", "--cluster", "minikube").exit_code == 2


def test_upload_without_a_stack_says_how_to_start_one(tmp_path: Path) -> None:
    refused = call("upload", "x.jpg", "--data-dir", tmp_path)
    assert refused.exit_code == 1
    assert "Start one: media-dev up" in refused.output


def test_half_of_an_address_is_refused(tmp_path: Path) -> None:
    refused = call("upload", "x.jpg", "--data-dir", tmp_path, env={"MEDIA_API_URL": "http://127.0.0.1:9"})
    assert refused.exit_code == 2
    assert "belong together" in refused.output


def test_an_api_that_is_away_is_reported_in_the_files_row(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    away = {"MEDIA_API_URL": "http://127.0.0.1:9", "MEDIA_TOKEN": "x"}
    refused = call("upload", tmp_path / "x.jpg", "--json", env=away)
    assert refused.exit_code == 1
    (row,) = json.loads(refused.stdout)["assets"]
    assert row["asset_id"] is None
    assert "The API at http://127.0.0.1:9 does not answer" in row["message"]


def test_status_of_nothing_is_not_running(tmp_path: Path) -> None:
    shown = call("status", "--data-dir", tmp_path, "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout) == {"running": False}


def test_down_where_nothing_runs_is_no_error(tmp_path: Path) -> None:
    assert call("down", "--data-dir", tmp_path).exit_code == 0

"""How `media-metrics` says that it was started wrongly."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from media_core.names import CONFIGURATION_EXIT_CODE
from media_core.settings import documented
from media_operator.external_metrics.settings import ExternalMetricsSettings


async def started(*arguments: str, **environment: str) -> tuple[int, str]:
    """Exit code and everything it wrote."""
    kept = {key: value for key, value in os.environ.items() if key.startswith(("PATH", "COVERAGE_", "LANG"))}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "media_operator.external_metrics.main",
        *arguments,
        env={**kept, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(30):
        out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEDIA_METRICS_PORT", "0"),
        ("MEDIA_METRICS_PROBE_PORT", "http"),
        ("MEDIA_METRICS_SERVICE", "media.metrics"),
        ("MEDIA_METRICS_SECRET", "../other"),
        ("MEDIA_METRICS_APISERVICE", "V1"),
    ],
)
async def test_a_wrong_setting_is_named_with_a_right_value(name: str, value: str) -> None:
    code, told = await started(**{name: value})
    assert code == CONFIGURATION_EXIT_CODE
    assert f"Setting {name} is wrong" in told
    assert f"Example: {name}=" in told


async def test_without_a_way_to_the_api_server_it_says_so_and_ends(tmp_path: Path) -> None:
    code, told = await started(KUBECONFIG=str(tmp_path / "none"), HOME=str(tmp_path))
    assert code == CONFIGURATION_EXIT_CODE
    assert "no way to the API server" in told
    assert "Traceback" not in told


async def test_help_says_what_it_is_for() -> None:
    code, told = await started("--help")
    assert code == 0
    assert "HorizontalPodAutoscaler" in told


def test_nothing_has_to_be_set_and_everything_is_explained() -> None:
    rows = documented(ExternalMetricsSettings)
    assert [row.name for row in rows if row.default is None or not row.description] == []

"""Every program of the distribution can be asked what it is for, with no settings and nothing running."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest

from media_devcluster import checkout

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize("program", sorted(PROJECT["scripts"]))
def test_a_program_says_what_it_is_for(program: str) -> None:
    asked = [checkout.program(program), "--help"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60, env={"PATH": ""}, check=False)
    assert told.returncode == 0, told.stderr
    assert program in told.stdout
    assert len(told.stdout) > 100

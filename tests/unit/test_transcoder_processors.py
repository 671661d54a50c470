"""How many threads ffmpeg gets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media_worker.transcoder.processors import of_quota, threads

MUCH = 1 << 40
HERE = min(len(os.sched_getaffinity(0)), 16)


@pytest.mark.parametrize(
    ("told", "processors"),
    [
        ("max 100000", None),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("-1 100000", None),
        ("", None),
    ],
)
def test_a_quota_is_so_many_processors(told: str, processors: int | None) -> None:
    assert of_quota(told) == processors


def test_without_a_quota_every_processor_counts(tmp_path: Path) -> None:
    assert threads(MUCH, tmp_path) == HERE


@pytest.mark.parametrize(
    "files", [{"cpu.max": "100000 100000\n"}, {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}]
)
def test_a_quota_bounds_them_in_both_versions_of_control_groups(tmp_path: Path, files: dict[str, str]) -> None:
    for name, told in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(told)
    assert threads(MUCH, tmp_path) == 1


def test_where_memory_is_short_there_are_fewer_and_always_one(tmp_path: Path) -> None:
    assert threads(512 << 20, tmp_path) == 1
    assert threads((1280 + 320) << 20, tmp_path) == 1

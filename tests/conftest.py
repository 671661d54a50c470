"""What every folder of tests may use: options, and an embedded cluster of the session."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest

from media_devcluster.embedded.cluster import EmbeddedCluster

hypothesis.settings.register_profile("gate", derandomize=True)
hypothesis.settings.register_profile("wide", max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))
"""The gate tries the same examples every time; HYPOTHESIS_PROFILE=wide looks for new ones."""

CRDS = sorted((Path(__file__).parents[1] / "crds").glob("*.yaml"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--api-server-kubeconfig",
        type=Path,
        default=None,
        help="run tests/protocol against this cluster instead of an embedded one",
    )


@pytest.fixture(scope="session")
async def embedded_cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedCluster]:
    """One embedded cluster for all tests that do not disturb it."""
    async with EmbeddedCluster(CRDS, tmp_path_factory.mktemp("embedded")) as cluster:
        yield cluster

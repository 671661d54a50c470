"""Tests against a real API server with a controller manager; a kubelet is not needed.

    pytest tests/realcluster --realcluster-kubeconfig KUBECONFIG

The programs under test run on this machine, behind Services whose endpoints are this machine's address; the API
server has to reach it. It is the account of an administrator, and the cluster must not have another owner of
external.metrics.k8s.io.
"""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--realcluster-kubeconfig", type=Path, default=None, help="the cluster of tests/realcluster, as administrator"
    )


@pytest.fixture(scope="session")
def realcluster_kubeconfig(request: pytest.FixtureRequest) -> Path:
    """Named by hand, never picked up."""
    given: Path | None = request.config.getoption("--realcluster-kubeconfig", default=None)
    if given is None:
        pytest.fail("tests/realcluster needs a cluster: --realcluster-kubeconfig KUBECONFIG")
    return given

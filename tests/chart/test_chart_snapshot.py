"""What the defaults install, as a file: a change of it is seen in review. `pytest tests/chart --update` writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.chart import OWN, Helm, merged

SNAPSHOT = Path(__file__).with_name("snapshots") / "defaults.yaml"


def test_the_defaults_install_what_the_snapshot_says(helm: Helm, request: pytest.FixtureRequest) -> None:
    text = helm.text(merged(OWN, {"crds": {"enabled": False}}))
    if request.config.getoption("--update"):
        SNAPSHOT.write_text(text, encoding="utf-8")
    assert text == SNAPSHOT.read_text(encoding="utf-8"), "`pytest tests/chart --update` writes it anew"

"""What the tests on a real cluster share: a test that failed prints what the cluster knew of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.site import Site

FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Remember for the fixtures whether the test failed."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call":
        item.stash[FAILED] = report.failed


@pytest.fixture(autouse=True)
async def explained(request: pytest.FixtureRequest, site: Site) -> AsyncIterator[None]:
    """Objects, events and logs of the namespace, where the test failed."""
    yield
    if request.node.stash.get(FAILED, False):
        print(await site.diagnosis())

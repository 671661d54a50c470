"""A node whose kubelet falls silent while its containers run on: a real stale writer (F6).

There is one node, so nobody else can do the work meanwhile: what is proved is that it is taken from the lost worker,
that this one can report nothing any more, and that it is done once, under a later binding, when the node is back.
"""

from __future__ import annotations

import json
import signal
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from media_core.containers import TOKEN_FOLDER
from media_core.names import ASSETS, GROUP, VERSION
from media_devcluster.local.layout import API_PORT, NODE_ADDRESS
from support.deadlines import eventually
from support.held_work import (
    Object,
    Work,
    completed_once,
    held,
    isolated,
    job_status,
    one_at_a_time,
    ready_again,
    slow_picture,
    status_when,
)
from support.site import Site

SILENT_SECONDS = 90.0
RELEASED_SECONDS = 180.0
"""The node is given up after the controller manager's grace period of 50 s, the worker 60 s later."""


@pytest.fixture(scope="module", autouse=True)
async def one_worker(site: Site) -> AsyncIterator[None]:
    async with one_at_a_time(site):
        yield


@pytest.mark.failure("F6")
@pytest.mark.timeout(420)
async def test_a_node_that_falls_silent_loses_its_work_and_its_worker_can_report_nothing_more(
    site: Site, tmp_path: Path
) -> None:
    await ready_again(site)
    assert site.node is not None
    async with held(site, slow_picture(tmp_path)) as work:
        await eventually(lambda: _ready(site, work.job), 30, pause=0.2)
        name = work.pod["metadata"]["name"]
        token = await site.kubectl("exec", name, "--container=worker", "--", "cat", f"{TOKEN_FOLDER}/token")
        log = _log_of(site, work)
        site.node.signal("kubelet", signal.SIGSTOP)
        fell_silent = time.monotonic()
        try:
            released = await status_when(
                site, work.asset_id, lambda status: status["binding"] > work.binding, RELEASED_SECONDS
            )
            assert time.monotonic() - fell_silent > SILENT_SECONDS
            assert (released["attempts"], isolated(released)) == (0, False)
            assert work.worker.is_running(), "its container runs on"
            before = await site.asset(work.asset_id)

            assert await _reports(site, work, token, fenced=True) == 422
            assert await _reports(site, work, token, fenced=False) == 422, "the admission policy refuses it as well"

            after = await site.asset(work.asset_id)
            assert before is not None
            assert after is not None
            assert after["status"].get("result") is None
            assert after["status"]["phase"] in ("Pending", "Scheduled")
            await eventually(lambda: _logged(log, "asset_dropped", work.asset_id), 30, pause=0.2)
        finally:
            site.node.signal("kubelet", signal.SIGCONT)
            work.go_on()
    await completed_once(site, work.asset_id)
    status = await site.status(work.asset_id)
    assert status["assignedJob"] != work.job
    assert status["binding"] > released["binding"]
    assert not isolated(status)
    await eventually(lambda: not work.worker.is_running(), 90, pause=0.2)
    await ready_again(site)


async def _ready(site: Site, job: str) -> bool:
    return bool((await job_status(site, job)).get("ready"))


async def _reports(site: Site, work: Work, token: str, fenced: bool) -> int:
    """The answer to a report of the lost worker, in its own name, with the tests of its fence or without them."""
    assert site.node is not None
    fence = [
        {"op": "test", "path": "/status/assignedJob", "value": work.job},
        {"op": "test", "path": "/status/binding", "value": work.binding},
    ]
    change = [*(fence if fenced else ()), {"op": "add", "path": "/status/phase", "value": "Completed"}]
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{site.namespace}/{ASSETS}/{work.asset_id}/status"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json-patch+json"}
    trusted = ssl.create_default_context(cafile=str(site.node.layout.pki / "ca.crt"))
    url = f"https://{NODE_ADDRESS}:{API_PORT}{path}"
    async with (
        aiohttp.ClientSession() as http,
        http.patch(url, data=json.dumps(change), headers=headers, ssl=trusted) as answer,
    ):
        return answer.status


def _log_of(site: Site, work: Work) -> Path:
    """Where the runtime writes the worker's log: it does so without the kubelet."""
    assert site.node is not None
    metadata: Object = work.pod["metadata"]
    pod = f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"
    return site.node.layout.data / "pod-logs" / pod / "worker" / "0.log"


def _logged(log: Path, event: str, asset_id: str) -> bool:
    lines = log.read_text(encoding="utf-8").splitlines()
    return any(f'"{event}"' in line and asset_id in line for line in lines)

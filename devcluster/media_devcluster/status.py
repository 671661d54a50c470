"""What runs, what the pool does, how many assets are in which state: asked where each is known first hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import ValidationError

from media_core.names import DEFAULT_POOL, GROUP, POOLS, VERSION
from media_core.pool import MediaWorkerPool
from media_devcluster import view
from media_devcluster.kube import Kube, Refused
from media_devcluster.sizes import bytes_text
from media_devcluster.state import Part, State

QUERY_SECONDS = 5.0
COUNTS = """
    SELECT state, transcode_status, count(*) AS assets
    FROM media.assets WHERE state <> 'deleted' GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True)
class PartStatus:
    """One process: its pid and memory, None where it is gone."""

    part: Part
    pid: int | None
    rss_bytes: int


@dataclass(frozen=True)
class Count:
    """So many assets are in this state."""

    state: str
    transcode_status: str
    assets: int


@dataclass(frozen=True)
class Status:
    """The stack at a glance. What could not be asked is None, and `unknown` says why."""

    parts: tuple[PartStatus, ...]
    pool: MediaWorkerPool | None
    counts: tuple[Count, ...] | None
    api_url: str
    unknown: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The object of `--json`."""
        pool = {"spec": self.pool.spec.to_json(), "status": self.pool.status.to_json()} if self.pool else None
        return {
            "running": all(part.pid for part in self.parts),
            "api_url": self.api_url,
            "parts": {p.part.value: {"pid": p.pid, "rss_bytes": p.rss_bytes} for p in self.parts},
            "pool": pool,
            "assets": [vars(count) for count in self.counts] if self.counts is not None else None,
            "unknown": list(self.unknown),
        }


async def look(state: State) -> Status:
    """Ask the processes, the cluster and the database."""
    unknown: list[str] = []
    children = state.children()
    parts = tuple(
        PartStatus(part, children[part].pid, children[part].rss_bytes())
        if part in children
        else PartStatus(part, None, 0)
        for part in state.parts
    )
    pool = counts = None
    try:
        pool = await _pool(state)
    except (Refused, ValidationError) as error:
        unknown.append(f"pool: {error}")
    try:
        counts = await _counts(state.database_url)
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        unknown.append(f"assets: {error or type(error).__name__}")
    return Status(parts, pool, counts, state.api_url, tuple(unknown))


def show(seen: Status, stop: str) -> None:
    """For people."""
    rows = [
        (
            "cluster+workers" if p.part is Part.CLUSTER else p.part.value,
            f"pid {p.pid:<8} {bytes_text(p.rss_bytes):>8}" if p.pid else "not running",
        )
        for p in seen.parts
    ]
    if seen.pool:
        spec, now = seen.pool.spec, seen.pool.status
        rows.append(("pool", f"{spec.replicas} slots · {now.jobs} workers · {now.busy} busy · {now.queued} queued"))
    if seen.counts is not None:
        each = " · ".join(f"{c.assets} {c.transcode_status.lower()} ({c.state})" for c in seen.counts)
        rows.append(("assets", each or "none yet"))
    view.pairs(f"API {seen.api_url}", rows, [("Stop", stop)])
    for line in seen.unknown:
        view.note(line)


async def _pool(state: State) -> MediaWorkerPool:
    path = f"/apis/{GROUP}/{VERSION}/namespaces/{state.namespace}/{POOLS}/{DEFAULT_POOL}"
    async with Kube.connect(Path(state.kubeconfig)) as kube:
        return MediaWorkerPool.read(await kube.get(path))


async def _counts(url: str) -> tuple[Count, ...]:
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg://", "postgresql://"), timeout=QUERY_SECONDS)
    try:
        found = await connection.fetch(COUNTS, timeout=QUERY_SECONDS)
    finally:
        await connection.close()
    return tuple(Count(row["state"], row["transcode_status"], row["assets"]) for row in found)

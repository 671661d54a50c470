"""kopf, in a thread and loop of its own: it watches, and hands every sight over. It decides nothing.

Low-level `on.event` handlers only: they write nothing into the objects, add no finalizer, and never hold a slot
while something waits. kopf cancels every task of its loop when it ends, so that loop is nobody else's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from typing import Any

import kopf
import structlog
import uvloop

from media_core.names import ASSETS, GROUP, MANAGED_BY, MANAGED_BY_LABEL, OPERATOR_MANAGER, POOLS, VERSION
from media_operator.adapters.cluster import PAGE, Kind

log = structlog.get_logger()

Handover = Callable[[Kind, str | None, Mapping[str, Any]], None]
"""Takes (kind, event type or None for a listed object, body). Called in kopf's thread."""


def registry(handover: Handover) -> kopf.OperatorRegistry:
    """Handlers for the three kinds; each is one line."""
    handlers = kopf.OperatorRegistry()

    def watch(kind: Kind, *selector: str) -> None:
        # It awaits nothing, but kopf would call a plain function in a thread of a pool, for every event.
        @kopf.on.event(*selector, registry=handlers)
        async def seen(event: kopf.RawEvent, **_: Any) -> None:
            handover(kind, event["type"], event["object"])

    watch(Kind.ASSET, GROUP, VERSION, ASSETS)
    watch(Kind.POOL, GROUP, VERSION, POOLS)
    watch(Kind.JOB, "batch", "v1", "jobs")

    @kopf.on.login(registry=handlers)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_kubeconfig(**kwargs) or kopf.login_with_service_account(**kwargs)

    return handlers


def settings() -> kopf.OperatorSettings:
    """What differs from kopf's defaults: least rights, bounded lists, no writes of its own, and no slot held idle."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.posting.enabled = False
    chosen.watching.chunk_size = PAGE
    chosen.watching.server_timeout = 300
    chosen.watching.client_timeout = 360
    chosen.watching.label_selectors["batch", "v1", "jobs"] = f"{MANAGED_BY_LABEL}={MANAGED_BY}"
    chosen.networking.request_timeout = 30
    chosen.networking.connect_timeout = 5
    chosen.queueing.idle_timeout = 0.05
    return chosen


class Watching:
    """kopf's thread. `failed` is set when it ended without being asked to."""

    def __init__(self, namespace: str, handover: Handover) -> None:
        self._namespace = namespace
        self._registry = registry(handover)
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[BaseException | None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    async def ended(self) -> None:
        """Wait for its end. Raises RuntimeError where nobody asked for it."""
        error = await asyncio.shield(self._ended)
        if not self._stop.is_set():
            raise RuntimeError("watching ended by itself") from error

    async def stop(self, seconds: float = 5.0) -> None:
        """Ask it to end and wait for it."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join, seconds)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                kopf.run(
                    loop=runner.get_loop(),
                    registry=self._registry,
                    settings=settings(),
                    namespaces=[self._namespace],
                    standalone=True,
                    # By default it is made of the account's name, and in a container the account may have none.
                    identity=OPERATOR_MANAGER,  # type: ignore[arg-type] # a NewType of str that kopf does not export
                    stop_flag=self._stop,
                )
        except BaseException as failure:  # the thread's boundary: whatever it was, the main loop must hear of it
            error = failure
            log.exception("watching_failed")
        finally:
            self._loop.call_soon_threadsafe(self._told, error)

    def _told(self, error: BaseException | None) -> None:
        if not self._ended.done():
            self._ended.set_result(error)

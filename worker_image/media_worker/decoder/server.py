"""`media-decoder`: the program of the container that makes renditions and has nothing to hide."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import structlog

from media_core import logs
from media_core.names import CONFIGURATION_EXIT_CODE
from media_worker.decoder.children import Children
from media_worker.decoder.confinement import Confinement, hide
from media_worker.decoder.frames import WireBroken
from media_worker.decoder.listener import Listener, Offer
from media_worker.decoder.nursery import Nursery

log = structlog.get_logger()

LEAST = {
    "children": 1,
    "child_memory_bytes": 128 << 20,  # the libraries alone take 80 MiB
    "child_cpu_seconds": 1,
    "images_per_child": 1,
    "max_payload_bytes": 1,
}


async def run(path: Path, bounds: Confinement, count: int, images_per_child: int, offer: Offer) -> int:
    """Serve until SIGTERM. The exit code."""
    told = asyncio.Event()
    for order in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(order, told.set)
    listener = Listener(path, Children(Nursery(bounds), bounds, count, images_per_child), offer)
    try:
        await listener.start()
    except (WireBroken, OSError, TimeoutError) as error:
        log.error("decoder did not start", error=f"{type(error).__name__}: {error}")
        await listener.stop()
        return 1
    log.info("decoder began", socket=str(path), children=count, child_memory_bytes=bounds.memory_bytes)
    await told.wait()
    await listener.stop()
    log.info("decoder ended")
    return 0


def main() -> None:
    """Entry point of `media-decoder`."""
    parser = argparse.ArgumentParser(
        prog="media-decoder", description="Makes renditions of images, in confined child processes."
    )
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    parser.add_argument("--children", type=int, default=2, help="images decoded at once (default: %(default)s)")
    parser.add_argument(
        "--child-memory-bytes", type=int, default=1 << 30, help="address space of a child (default: %(default)s)"
    )
    parser.add_argument(
        "--child-cpu-seconds", type=int, default=120, help="processor time for one image (default: %(default)s)"
    )
    parser.add_argument(
        "--images-per-child", type=int, default=300, help="images until a child is replaced (default: %(default)s)"
    )
    parser.add_argument("--max-payload-bytes", type=int, default=200 << 20, help="largest file (default: %(default)s)")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    options = parser.parse_args()
    for name, least in LEAST.items():
        if getattr(options, name) < least:
            wrong = f"media-decoder: --{name.replace('_', '-')} must be at least {least}\n"
            parser.exit(CONFIGURATION_EXIT_CODE, wrong)
    logs.configure(options.log_level, component="decoder")
    hide()
    bounds = Confinement(options.child_memory_bytes, options.child_cpu_seconds)
    offer = Offer(max_payload_bytes=options.max_payload_bytes)
    sys.exit(asyncio.run(run(options.socket, bounds, options.children, options.images_per_child, offer)))


if __name__ == "__main__":
    main()

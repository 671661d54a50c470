"""Runs an embedded cluster as a process of its own, until SIGTERM or SIGINT.

One line of JSON on stdout tells where it is as soon as it answers; everything else goes to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

import structlog

from media_devcluster.embedded.cluster import EmbeddedCluster

CRDS = sorted((Path(__file__).resolve().parents[3] / "crds").glob("*.yaml"))


async def serve(crds: list[Path], data_dir: Path, port: int) -> None:
    """Serves until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with EmbeddedCluster(crds, data_dir, port) as cluster:
        print(json.dumps({"url": cluster.url, "kubeconfig": str(cluster.kubeconfig)}), flush=True)
        await stop.wait()


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(prog="python -m media_devcluster.embedded", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="where kubeconfig and logs are written")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument(
        "--crds", type=Path, nargs="*", default=CRDS, help="CRDs to start with; those of this repository"
    )
    arguments = parser.parse_args()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    asyncio.run(serve(arguments.crds, arguments.data_dir, arguments.port))


if __name__ == "__main__":
    main()

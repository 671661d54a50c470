"""Runs the double as a process of its own, until SIGTERM or SIGINT.

One line of JSON on stdout tells where it is as soon as it answers; everything else goes to stderr. The keys of the
S3 server are those of the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import structlog

from media_devcluster.mediaconvert.service import MediaConvertDouble
from media_devcluster.objectstore import REGION, S3


async def serve(store: S3, folder: Path, port: int) -> None:
    """Serves until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with MediaConvertDouble(store, folder, port) as double:
        print(json.dumps({"url": double.url}), flush=True)
        await stop.wait()


def main() -> None:
    """Reads the arguments."""
    parser = argparse.ArgumentParser(prog="python -m media_devcluster.mediaconvert", description=__doc__)
    parser.add_argument("--s3-endpoint", required=True, help="S3 with the inputs, and for the outputs")
    parser.add_argument("--folder", type=Path, required=True, help="where jobs are worked on")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    arguments = parser.parse_args()
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    missing = [name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if not os.environ.get(name)]
    if missing:
        parser.error(f"{' and '.join(missing)} must be in the environment")
    store = S3(
        arguments.s3_endpoint,
        "",
        os.environ["AWS_ACCESS_KEY_ID"],
        os.environ["AWS_SECRET_ACCESS_KEY"],
        os.environ.get("AWS_REGION", REGION),
    )
    asyncio.run(serve(store, arguments.folder, arguments.port))


if __name__ == "__main__":
    main()

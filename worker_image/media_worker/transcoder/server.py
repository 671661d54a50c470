"""`media-transcoder`: the program of the container that transcodes films and has nothing to hide."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import signal
import sys
from pathlib import Path

import structlog

from media_core import logs
from media_core.names import CONFIGURATION_EXIT_CODE
from media_worker.decoder.confinement import hide
from media_worker.transcoder.launch import SEARCHED
from media_worker.transcoder.listener import Listener
from media_worker.transcoder.processors import threads
from media_worker.transcoder.transcoding import Transcoder

log = structlog.get_logger()

LEAST_MEMORY_BYTES = 512 << 20
"""The libraries alone take 300 MiB of address space."""
PROGRAMS = ("ffmpeg", "ffprobe")


async def run(path: Path, transcoder: Transcoder) -> int:
    """Serve until SIGTERM. The exit code."""
    told = asyncio.Event()
    for order in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(order, told.set)
    listener = Listener(path, transcoder)
    try:
        await listener.start()
    except OSError as error:
        log.error("transcoder did not start", error=f"{type(error).__name__}: {error}")
        return 1
    log.info("transcoder began", socket=str(path), threads=transcoder.threads, memory_bytes=transcoder.memory_bytes)
    await told.wait()
    await listener.stop()
    log.info("transcoder ended")
    return 0


def main() -> None:
    """Entry point of `media-transcoder`."""
    parser = argparse.ArgumentParser(
        prog="media-transcoder", description="Makes films for streaming with ffmpeg, in a confined child process."
    )
    parser.add_argument("--socket", type=Path, required=True, help="unix socket to listen on")
    parser.add_argument("--folder", type=Path, required=True, help="where the films' folders are")
    parser.add_argument(
        "--memory-bytes", type=int, default=3 << 30, help="address space of ffmpeg (default: %(default)s)"
    )
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    options = parser.parse_args()
    for holds, wrong in (
        (options.memory_bytes >= LEAST_MEMORY_BYTES, f"--memory-bytes must be at least {LEAST_MEMORY_BYTES}"),
        (options.folder.is_dir(), "--folder must be a folder"),
        (all(shutil.which(name, path=SEARCHED) for name in PROGRAMS), f"there must be {' and '.join(PROGRAMS)}"),
    ):
        if not holds:
            parser.exit(CONFIGURATION_EXIT_CODE, f"media-transcoder: {wrong}\n")
    logs.configure(options.log_level, component="transcoder")
    hide()
    os.umask(0o007)  # the worker, of the same group, clears a film's folder away
    transcoder = Transcoder(options.folder.resolve(), options.memory_bytes, threads(options.memory_bytes))
    sys.exit(asyncio.run(run(options.socket, transcoder)))


if __name__ == "__main__":
    main()

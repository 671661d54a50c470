"""Start-up of `media-api`: settings, the server, and a graceful stop.

On SIGTERM it stops accepting, lets running requests end for at most ten seconds, and goes. Code 78 says that a
setting is wrong, so that starting again cannot help.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import signal
import sys

import structlog
import uvloop
from aiohttp import web

from media_api.app import build_app, connect
from media_api.routes.operations import STOPPING
from media_api.settings import ApiSettings
from media_core import logs
from media_core.names import CONFIGURATION_EXIT_CODE
from media_core.settings import SettingsInvalid, load

log = structlog.get_logger()

DRAIN_SECONDS = 10.0


def main() -> None:
    """Entry point of `media-api`."""
    parser = argparse.ArgumentParser(
        prog="media-api",
        description="The REST API of the media service. Configured by environment variables; see the README.",
    )
    parser.parse_args()
    try:
        settings = load(ApiSettings)
        logs.configure(settings.log_level, component="api")
        uvloop.run(serve(settings))
    except SettingsInvalid as error:
        print(error, file=sys.stderr)
        raise SystemExit(CONFIGURATION_EXIT_CODE) from None
    except OSError as error:
        print(f"Cannot listen on {settings.host}, port {settings.port}: {error}", file=sys.stderr)
        raise SystemExit(1) from None


async def serve(settings: ApiSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises SettingsInvalid, or OSError where the port is taken."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with connect(settings) as ports:
        app = build_app(ports)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=DRAIN_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
            gc.freeze()  # what start-up made: a collection that walks it takes 50 ms, and all requests wait
            log.info("api_started", host=settings.host, port=runner.addresses[0][1])
            await stop.wait()
            app[STOPPING].set()
            log.info("api_stopping")
        finally:
            await runner.cleanup()
    log.info("api_stopped")


if __name__ == "__main__":
    main()

"""`media-worker`: the program of a worker Job's container. Builds the parts from the settings and runs them.

Exit codes: 0 when the work is done or given back, 78 when the settings or permissions are wrong, 1 when the worker
broke or never reached the API server.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
import uvloop
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from media_core import logs
from media_core.names import CONFIGURATION_EXIT_CODE
from media_core.settings import SettingsInvalid, load
from media_worker.assets_api import AssetsApi, connect
from media_worker.carrying import Carrier
from media_worker.decoder.client import DecoderClient
from media_worker.delivery import Delivery
from media_worker.film_client import TranscoderClient
from media_worker.film_transfer import FilmStorage
from media_worker.filming import Filming
from media_worker.rendering import Rendering
from media_worker.settings import WorkerSettings
from media_worker.sightings import NeverSynced, follow
from media_worker.transfer import Storage, s3_client
from media_worker.worker import Worker

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

log = structlog.get_logger()


def main() -> None:
    """Run the worker until its work is done."""
    parser = argparse.ArgumentParser(
        prog="media-worker",
        description="Processes the assets that are bound to its Job. Configured by environment variables, which the "
        "operator writes into the Job; see the table in the README.",
    )
    parser.parse_args()
    sys.exit(uvloop.run(run()))


async def run() -> int:
    """The exit code of one worker's life."""
    try:
        settings = load(WorkerSettings)
        api = await connect(os.environ)
        s3 = s3_client(settings.aws_region, settings.aws_endpoint_url_s3, settings.storage_threads)
    except (SettingsInvalid, ConfigException) as error:
        print(f"media-worker: {error}", file=sys.stderr)
        return CONFIGURATION_EXIT_CODE
    logs.configure(settings.log_level, component="worker")
    structlog.contextvars.bind_contextvars(job=settings.job_name, pod=settings.pod_name)
    try:
        return await _work(settings, api, s3)
    except NeverSynced as error:
        log.error("assets_never_listed", error=str(error), forbidden=error.forbidden)
        return CONFIGURATION_EXIT_CODE if error.forbidden else 1
    except Exception:
        log.exception("worker_broke")
        return 1
    finally:
        await api.close()  # type: ignore[no-untyped-call]


async def _work(settings: WorkerSettings, api: ApiClient, s3: S3Client) -> int:
    storage, carrier = (
        _of_films(settings, s3, settings.film_folder) if settings.film_folder else _of_images(settings, s3)
    )
    assets = AssetsApi(api, settings.namespace, settings.job_name)
    worker = Worker(
        settings.job_name,
        settings.room,
        settings.lifetime,
        carrier,
        Delivery(assets, settings.job_name, lambda: datetime.now(UTC)),
    )
    loop = asyncio.get_running_loop()
    for order in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(order, worker.drain)
    gc.freeze()  # what start-up made: a collection that walks it takes 50 ms, and decoders wait
    log.info("worker_began", concurrency=settings.concurrency, prefetch=settings.prefetch)
    try:
        why = await worker.run(follow(assets))
    finally:
        storage.close()
    log.info("worker_ended", why=why)
    return 0


def _of_images(settings: WorkerSettings, s3: S3Client) -> tuple[Storage, Carrier]:
    storage = Storage(
        s3,
        settings.s3_bucket_media,
        settings.storage_threads,
        patience_seconds=settings.storage_patience_seconds,
        fetch_seconds=settings.asset_timeout_seconds,
    )
    return storage, Rendering(settings.recipe, storage, DecoderClient(settings.decoder_socket))


def _of_films(settings: WorkerSettings, s3: S3Client, folder: Path) -> tuple[FilmStorage, Carrier]:
    storage = FilmStorage(
        s3, settings.s3_bucket_media, settings.storage_threads, patience_seconds=settings.storage_patience_seconds
    )
    return storage, Filming(settings.film_recipe(folder), storage, TranscoderClient(settings.decoder_socket))


if __name__ == "__main__":
    main()

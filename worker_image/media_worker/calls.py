"""Calls of object storage by boto3, in a bounded thread pool.

Two promises that the rest relies on. A call that is cancelled returns only when its thread has ended, so that after
a give-back no PUT runs or starts. And every failure is one of two: `SourceRefused` says something about the original
and is final, `StorageUnavailable` says nothing about it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from enum import Enum, auto
from typing import TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError

from media_core.reasons import Reason, Refusal
from media_worker.patience import patiently

THROTTLED = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests"})
T = TypeVar("T")


class SourceRefused(Refusal):
    """The original is not what the asset says it is."""


class StorageUnavailable(Exception):
    """Object storage does not work at present, or not with this configuration."""


class Transient(Exception):
    """It may work at the next try."""


class Trouble(Enum):
    """What an error of boto3 says."""

    TRANSIENT = auto()
    CHANGED = auto()
    MISSING = auto()
    CONFIGURATION = auto()


def trouble(error: BotoCoreError | ClientError) -> Trouble:
    """Classify an error; whatever is not known to pass or to be the original's fault is taken for configuration."""
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if status >= 500 or status == 429 or code in THROTTLED:
            return Trouble.TRANSIENT
        if status == 412:
            return Trouble.CHANGED
        return Trouble.MISSING if status == 404 and code != "NoSuchBucket" else Trouble.CONFIGURATION
    passing = BotoConnectionError | HTTPClientError | IncompleteReadError
    return Trouble.TRANSIENT if isinstance(error, passing) else Trouble.CONFIGURATION


class Calls:
    """So many calls at once, each tried again for so long."""

    def __init__(self, threads: int, patience_seconds: float) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="s3")
        self._patience = patience_seconds

    def close(self) -> None:
        """Start nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def patiently(
        self,
        call: Callable[[], T],
        given_up: threading.Event | None = None,
        discard: Callable[[T], object] = lambda result: None,
    ) -> T:
        """The call's result. When nobody waits for it any more, `given_up` is set, and `discard` gets what comes."""

        async def once() -> T:
            return await self._in_thread(lambda: _translated(call), given_up, discard)

        try:
            return await patiently(once, Transient, self._patience)
        except Transient as error:
            raise StorageUnavailable(
                f"Object storage did not answer well for {self._patience:.0f} s: {error}"
            ) from error

    async def _in_thread(
        self, call: Callable[[], T], given_up: threading.Event | None, discard: Callable[[T], object]
    ) -> T:
        future: Future[T] = self._threads.submit(call)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if given_up is not None:
                given_up.set()
            if not future.cancel():
                future.add_done_callback(lambda ended: _discarded(ended, discard))
                await _ended(future)
            raise


async def _ended(future: Future[T]) -> None:
    """Until the thread is through with it, whatever came of it."""
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(over.set))
    await over.wait()


def _discarded(ended: Future[T], discard: Callable[[T], object]) -> None:
    if ended.exception() is None:
        discard(ended.result())


def _translated(call: Callable[[], T]) -> T:
    try:
        return call()
    except (ClientError, BotoCoreError) as error:
        match trouble(error):
            case Trouble.TRANSIENT:
                raise Transient(str(error)) from error
            case Trouble.CHANGED:
                raise changed("its ETag is another") from error
            case Trouble.MISSING:
                message = "The original is not in object storage any more."
                raise SourceRefused(Reason.SOURCE_MISSING, message) from error
            case Trouble.CONFIGURATION:
                raise StorageUnavailable(f"Object storage refuses this worker: {error}") from error


def changed(how: str) -> SourceRefused:
    """The original is another than the one that was confirmed."""
    return SourceRefused(Reason.SOURCE_CHANGED, f"The original was changed after its upload was confirmed: {how}.")

"""Originals in memory: what is in one, that nobody can change it, and that none is left open."""

from __future__ import annotations

import asyncio
import mmap
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from media_worker.calls import Calls
from media_worker.original import Original
from support.deadlines import eventually
from support.originals import content, still_open


@pytest.mark.parametrize("parts", [[], [b""], [b"one"], [b"one", b"two"], [b"x" * 3_000_000, b"y"]])
def test_an_original_is_what_its_parts_are_together(parts: list[bytes]) -> None:
    with Original(parts) as original:
        assert original.size == len(b"".join(parts)) == os.fstat(original.file).st_size
        assert content(original) == b"".join(parts)
    assert still_open() == []


CHANGES: list[tuple[str, Callable[[int], object]]] = [
    ("written over", lambda file: os.pwrite(file, b"other", 0)),
    ("written on", lambda file: os.pwrite(file, b"more", 8)),
    ("cut off", lambda file: os.ftruncate(file, 1)),
    ("made longer", lambda file: os.ftruncate(file, 100)),
    ("written to by a mapping", lambda file: mmap.mmap(file, 8)),
]


@pytest.mark.parametrize("change", [row[1] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_an_original_cannot_be_changed_by_whoever_is_given_its_file(change: Callable[[int], object]) -> None:
    with Original.of(b"original") as original:
        with pytest.raises(PermissionError):
            change(original.file)
        assert content(original) == b"original"


def test_closing_an_original_twice_closes_nothing_else() -> None:
    original = Original.of(b"original")
    original.close()
    with Original.of(b"another") as another:
        original.close()
        assert content(another) == b"another"


def test_an_original_whose_parts_break_off_is_closed() -> None:
    def parts() -> Iterator[bytes]:
        yield b"half of"
        raise ConnectionError("no more")

    with pytest.raises(ConnectionError):
        Original(parts())
    assert still_open() == []


@dataclass
class Fetching:
    """A call in a thread that makes an original when it is let go on."""

    given_up: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    made: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> Original:
        self.begun.set()
        self.go_on.wait()
        original = Original.of(b"late")
        self.made.set()
        return original


@pytest.fixture
def calls() -> Iterator[Calls]:
    running = Calls(1, patience_seconds=1)
    yield running
    running.close()


async def begun(calls: Calls) -> tuple[Fetching, asyncio.Task[Original]]:
    fetching = Fetching()
    task = asyncio.create_task(calls.patiently(fetching, fetching.given_up, discard=Original.close))
    await asyncio.to_thread(fetching.begun.wait)
    return fetching, task


async def test_an_original_that_comes_after_its_call_was_cancelled_is_closed(calls: Calls) -> None:
    fetching, task = await begun(calls)
    task.cancel()
    await asyncio.to_thread(fetching.given_up.wait)
    fetching.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert still_open() == []


async def test_an_original_that_is_there_when_its_call_is_cancelled_is_closed(calls: Calls) -> None:
    fetching, task = await begun(calls)
    fetching.go_on.set()
    fetching.made.wait()  # in the loop's own thread, so that the call cannot see it
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert still_open() == []


async def test_an_original_is_closed_even_where_nobody_waits_for_the_end_of_its_call(calls: Calls) -> None:
    fetching, task = await begun(calls)
    for _ in range(2):
        task.cancel()
        await asyncio.to_thread(fetching.given_up.wait)
    with pytest.raises(asyncio.CancelledError):
        await task
    fetching.go_on.set()
    await asyncio.to_thread(fetching.made.wait)
    await eventually(lambda: not still_open())

from __future__ import annotations

import asyncio

from media_worker.progress import Telling
from media_worker.report import Progress
from support.deadlines import eventually


async def test_the_newest_progress_is_told_and_what_came_before_it_is_not() -> None:
    told: list[Progress] = []
    going = asyncio.Event()

    async def say(progress: Progress) -> None:
        told.append(progress)
        await going.wait()

    telling = Telling(say, seconds=0.01)
    running = asyncio.create_task(telling.run())
    telling.tell(Progress(1))
    await eventually(lambda: told == [Progress(1)])
    for percent in (2, 3, 4):
        telling.tell(Progress(percent))
    going.set()
    await eventually(lambda: told == [Progress(1), Progress(4)])
    running.cancel()


async def test_there_is_time_between_two_tellings() -> None:
    loop = asyncio.get_running_loop()
    told: list[float] = []

    async def say(progress: Progress) -> None:
        told.append(loop.time())

    telling = Telling(say, seconds=0.2)
    running = asyncio.create_task(telling.run())
    telling.tell(Progress(1))
    await eventually(lambda: len(told) == 1)
    telling.tell(Progress(2))
    await eventually(lambda: len(told) == 2)
    running.cancel()
    assert told[1] - told[0] >= 0.19

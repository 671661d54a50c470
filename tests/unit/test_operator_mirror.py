"""The mirror's task: it waits out an outage, and one row that is refused does not hold up the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from media_core.asset import MediaAsset
from media_operator.ledger import LedgerRefused, LedgerUnavailable
from media_operator.mirror import Mirror
from support.build import a_status, an_asset, an_id, completed


class Rows:
    """The ledger as the mirror knows it: takes rows, refuses some, is away for so many calls."""

    def __init__(self, *, away: int = 0, refuses: frozenset[str] = frozenset()) -> None:
        self.written: dict[str, MediaAsset] = {}
        self._away, self._refuses = away, refuses

    async def mirror(self, assets: Sequence[MediaAsset]) -> None:
        if self._away:
            self._away -= 1
            raise LedgerUnavailable("away")
        if bad := self._refuses.intersection(asset.name for asset in assets):
            raise LedgerRefused(f"unfit: {bad}")
        self.written |= {asset.name: asset for asset in assets}


async def settle(mirror: Mirror, until: asyncio.Event) -> None:
    running = asyncio.create_task(mirror.run())
    try:
        async with asyncio.timeout(10):
            await until.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_an_outage_is_waited_out_and_the_newest_sight_is_written() -> None:
    rows, done = Rows(away=2), asyncio.Event()
    mirror = Mirror(rows, written=lambda _name: done.set())
    asset = an_asset(status=completed())
    mirror.seen(an_asset(status=a_status()))
    mirror.seen(asset)
    assert not mirror.archived(asset)

    await settle(mirror, done)

    assert rows.written == {asset.name: asset}
    assert mirror.archived(asset)
    mirror.gone(asset.name)
    assert not mirror.archived(asset)


async def test_of_what_is_gone_the_last_sight_is_written_and_nothing_remembered() -> None:
    rows, done = Rows(), asyncio.Event()
    mirror = Mirror(rows, written=lambda _name: done.set())
    gone, other = an_asset(an_id(1), status=completed()), an_asset(an_id(2), status=completed())
    mirror.seen(gone)
    mirror.gone(gone.name)
    mirror.seen(other)

    await settle(mirror, done)

    assert set(rows.written) == {gone.name, other.name}
    assert (mirror.archived(gone), mirror.archived(other)) == (False, True)


async def test_what_comes_again_after_it_was_gone_is_remembered() -> None:
    rows, done = Rows(), asyncio.Event()
    mirror = Mirror(rows, written=lambda _name: done.set())
    asset = an_asset(status=completed())
    mirror.seen(asset)
    mirror.gone(asset.name)
    mirror.seen(asset)

    await settle(mirror, done)

    assert mirror.archived(asset)


async def test_a_row_that_is_refused_does_not_hold_up_the_others() -> None:
    good, bad = an_asset(an_id(1), status=completed()), an_asset(an_id(2), status=completed())
    rows, done = Rows(refuses=frozenset({bad.name})), asyncio.Event()
    mirror = Mirror(rows, written=lambda _name: done.set())
    mirror.seen(bad)
    mirror.seen(good)

    await settle(mirror, done)

    assert set(rows.written) == {good.name}
    assert not mirror.archived(bad)


async def test_an_object_without_status_has_nothing_to_mirror() -> None:
    rows, done = Rows(), asyncio.Event()
    mirror = Mirror(rows, written=lambda _name: done.set())
    mirror.seen(an_asset())
    settled = an_asset(an_id(3), status=completed())
    mirror.seen(settled)

    await settle(mirror, done)

    assert set(rows.written) == {settled.name}

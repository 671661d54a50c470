"""What the operator asks the ledger: which confirmed uploads have no object, in whose turn, and how much they are."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from media_core.asset import AssetType
from media_core.backlog import Volume
from media_operator.ledger import Ledger

SETTLE = 2.0
CONFIRMED = """
INSERT INTO media.assets (id, owner, asset_type, state, bucket, s3_key, content_type, etag, size_bytes, confirmed_at)
VALUES ($1, $2, $3, $4, 'media', gen_random_uuid()::text, 'image/jpeg', $5, $6, now() - make_interval(secs => $7))
"""


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    connected = await Ledger.connect(database_url)
    yield connected
    await connected.close()


async def confirmed(
    database: asyncpg.Connection,
    owner: str,
    age: float,
    *,
    asset_type: AssetType = AssetType.IMAGE,
    state: str = "confirmed",
    etag: str | None = "e",
    size_bytes: int = 100,
) -> str:
    """Id of an upload that was confirmed so many seconds ago."""
    asset_id = uuid4()
    await database.execute(CONFIRMED, asset_id, owner, asset_type.value, state, etag, size_bytes, age)
    return str(asset_id)


async def test_owners_take_turns_and_each_oldest_first(ledger: Ledger, database: asyncpg.Connection) -> None:
    many = [await confirmed(database, "many", age) for age in (50, 40, 30)]
    few = [await confirmed(database, "few", age) for age in (20, 10)]
    found = await ledger.creatable([], 10, SETTLE)
    assert [row.id for row in found] == [many[0], few[0], many[1], few[1], many[2]]
    assert [row.spec.owner for row in found] == ["many", "few", "many", "few", "many"]
    assert [row.id for row in await ledger.creatable([], 2, SETTLE)] == [many[0], few[0]], "no more than is asked for"


async def test_what_has_an_object_takes_no_turn(ledger: Ledger, database: asyncpg.Connection) -> None:
    first, second = [await confirmed(database, "many", age) for age in (50, 40)]
    other = await confirmed(database, "few", 20)
    assert [row.id for row in await ledger.creatable([first], 10, SETTLE)] == [second, other]


@pytest.mark.parametrize(
    ("age", "state", "etag"),
    [
        pytest.param(1.0, "confirmed", "e", id="confirmed a moment ago: the API makes it"),
        pytest.param(60.0, "settled", "e", id="settled"),
        pytest.param(60.0, "deleting", "e", id="being deleted"),
        pytest.param(60.0, "confirmed", None, id="taken over from the service before, never looked at"),
    ],
)
async def test_no_object_is_made_of(
    ledger: Ledger, database: asyncpg.Connection, age: float, state: str, etag: str | None
) -> None:
    await confirmed(database, "owner", age, state=state, etag=etag)
    assert await ledger.creatable([], 10, SETTLE) == []


async def test_what_waits_for_an_object_is_counted_by_type(ledger: Ledger, database: asyncpg.Connection) -> None:
    live = await confirmed(database, "owner", 50)
    for _ in range(2):
        await confirmed(database, "owner", 1, size_bytes=300)
    await confirmed(database, "owner", 30, asset_type=AssetType.VIDEO, size_bytes=7000)
    await confirmed(database, "owner", 30, state="settled")
    found = await ledger.confirmed_without_object([live])
    assert sorted(found, key=lambda volume: volume.assets) == [
        Volume(AssetType.VIDEO, 1, 7000),
        Volume(AssetType.IMAGE, 2, 600),
    ]

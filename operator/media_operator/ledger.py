"""The ledger: every upload's row in PostgreSQL, which was there before the object and stays after it.

All SQL of the operator. Row states: pending → confirmed → settled, deleting → deleted (a tombstone).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from media_core.asset import TRANSCODE_STATUS, AssetSpec, AssetStatus, AssetType, MediaAsset, Source
from media_core.backlog import Volume
from media_core.observed import RowSight
from media_core.pool import pool_for
from media_core.reasons import Reason

COMMAND_SECONDS = 10.0
CONNECT_SECONDS = 5.0
TOMBSTONE_DAYS = 30
ABANDONED_HOURS = 24


class LedgerRefused(Exception):
    """PostgreSQL refuses what was written, and would again: a text with a NUL in it, say."""


class LedgerUnavailable(Exception):
    """PostgreSQL does not answer; it can pass."""


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row whose object is to be made, or whose media are to be purged."""

    id: str
    spec: AssetSpec
    status: AssetStatus | None


_MIRROR = """
WITH seen AS (
    SELECT * FROM unnest(
        $1::uuid[], $2::uuid[], $3::numeric[], $4::text[], $5::text[], $6::jsonb[], $7::text[], $8::text[],
        $9::int[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::text[], $15::text[],
        $16::text[], $17::text[], $18::bigint[], $19::text[]
    ) AS s(id, cr_uid, resource_version, state, transcode_status, status, reason, message, attempts, started_at,
           settled_at, owner, asset_type, bucket, s3_key, etag, version_id, size_bytes, content_type)
)
INSERT INTO media.assets AS a (
    id, cr_uid, resource_version, state, transcode_status, status, reason, message, attempts, started_at, settled_at,
    owner, asset_type, bucket, s3_key, etag, version_id, size_bytes, content_type, confirmed_at
)
SELECT id, cr_uid, resource_version, state, transcode_status, status, reason, message, attempts, started_at,
       settled_at, owner, asset_type, bucket, s3_key, etag, version_id, size_bytes, content_type, now()
FROM seen
ON CONFLICT (id) DO UPDATE SET
    cr_uid = excluded.cr_uid, resource_version = excluded.resource_version, state = excluded.state,
    transcode_status = excluded.transcode_status, status = excluded.status, reason = excluded.reason,
    message = excluded.message, attempts = excluded.attempts, started_at = excluded.started_at,
    settled_at = excluded.settled_at, updated_at = now()
WHERE a.state IN ('confirmed', 'settled')
  AND (a.cr_uid IS NULL
       OR (a.cr_uid = excluded.cr_uid AND a.resource_version < excluded.resource_version)
       OR (a.cr_uid <> excluded.cr_uid AND a.state <> 'settled'))
"""
"""One statement for a batch: a row refuses an older sight (by number); a new object only wins over unsettled work."""

_COLUMNS = "id, owner, asset_type, bucket, s3_key, etag, version_id, size_bytes, content_type, status"

_WITHOUT_OBJECT = "NOT EXISTS (SELECT FROM unnest($1::uuid[]) AS live WHERE live = id)"
"""$1 are the live objects; with `ANY` PostgreSQL would compare each of thousands of rows with each of them."""

_CREATABLE = f"""
WITH first AS (
    SELECT id, turn FROM (
        SELECT id, confirmed_at, row_number() OVER (PARTITION BY owner ORDER BY confirmed_at, id) AS turn
        FROM media.assets
        WHERE state = 'confirmed' AND etag IS NOT NULL AND {_WITHOUT_OBJECT}
          AND confirmed_at < now() - make_interval(secs => $3)
    ) AS waiting
    ORDER BY turn, confirmed_at, id LIMIT $2
)
SELECT {_COLUMNS} FROM first JOIN media.assets USING (id) ORDER BY turn, confirmed_at, id
"""  # noqa: S608 - only our own column names are put in
"""What lies there may be very long, so that only what says the order is sorted."""

_UNBORN = f"""
SELECT asset_type, count(*), coalesce(sum(size_bytes), 0)::bigint FROM media.assets
WHERE state = 'confirmed' AND {_WITHOUT_OBJECT}
GROUP BY asset_type
"""  # noqa: S608 - only our own condition is put in

_DELETING = f"SELECT {_COLUMNS} FROM media.assets WHERE state = 'deleting' ORDER BY updated_at LIMIT $1"  # noqa: S608

_UNPURGED = f"""
SELECT {_COLUMNS} FROM media.assets
WHERE state = 'deleted' AND purged_at IS NULL AND deleted_at < now() - make_interval(secs => $1)
ORDER BY deleted_at LIMIT $2
"""  # noqa: S608

_TOMBSTONE = """
INSERT INTO media.assets AS a (
    id, owner, asset_type, state, bucket, s3_key, etag, version_id, size_bytes, content_type, status, deleted_at,
    purged_at, confirmed_at
) VALUES ($1, $2, $3, 'deleted', $4, $5, $6, $7, $8, $9, $10, now(), CASE WHEN $11 THEN now() END, now())
ON CONFLICT (id) DO UPDATE SET
    state = 'deleted', deleted_at = now(), purged_at = CASE WHEN $11 THEN now() END,
    status = coalesce(excluded.status, a.status), updated_at = now()
"""


class Ledger:
    """The operator's statements on `media.assets`. Every method raises LedgerUnavailable where PostgreSQL is away."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, url: str) -> Ledger:
        """A pool that connects when it is first used, so that the operator starts without PostgreSQL."""
        pool = await asyncpg.create_pool(
            url.replace("postgresql+asyncpg://", "postgresql://"),
            min_size=0,
            max_size=4,
            command_timeout=COMMAND_SECONDS,
            timeout=CONNECT_SECONDS,
            init=_speak_json,
            reset=_as_it_is,
            server_settings={"application_name": "media-operator"},
        )
        return cls(pool)

    async def close(self) -> None:
        """Close the connections, by force after a moment."""
        try:
            async with asyncio.timeout(3):
                await self._pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()

    async def row(self, asset_id: str) -> RowSight | None:
        """What the ledger knows of an asset whose object has no status."""
        async with self._connection() as connection:
            found = await connection.fetchrow(
                "SELECT state, etag, status FROM media.assets WHERE id = $1", UUID(asset_id)
            )
        if found is None:
            return None
        return RowSight(found["state"], found["etag"], _status(found["status"]))

    async def adopt(self, asset_id: str, uid: str) -> None:
        """A settled row belongs to a restored object from now on."""
        async with self._connection() as connection:
            await connection.execute(
                "UPDATE media.assets SET cr_uid = $2, resource_version = 0 WHERE id = $1 AND state = 'settled'",
                UUID(asset_id),
                UUID(uid),
            )

    async def mirror(self, assets: Sequence[MediaAsset]) -> None:
        """Write what was seen of these objects, in one statement. Raises LedgerRefused where one of them is unfit."""
        columns = list(zip(*(_mirrored(asset) for asset in assets), strict=True))
        async with self._connection() as connection:
            try:
                await connection.execute(_MIRROR, *columns)
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, UnicodeError) as error:
                raise LedgerRefused(f"{type(error).__name__}: {error}") from error

    async def creatable(self, live: Iterable[str], limit: int, settle_seconds: float) -> list[LedgerRow]:
        """Confirmed rows without an object, one of each owner in turn.

        Rows confirmed in the last `settle_seconds` are left to the API, which creates most objects itself.
        """
        async with self._connection() as connection:
            rows = await connection.fetch(_CREATABLE, [UUID(name) for name in live], limit, settle_seconds)
        return [_row(found) for found in rows]

    async def confirmed_without_object(self, live: Iterable[str]) -> list[Volume]:
        """How much of each type is confirmed and waits for an object: part of the backlog."""
        async with self._connection() as connection:
            rows = await connection.fetch(_UNBORN, [UUID(name) for name in live])
        return [Volume(AssetType(kind), assets, size_bytes) for kind, assets, size_bytes in rows]

    async def deleting(self, limit: int = 200) -> list[LedgerRow]:
        """Rows whose deletion was asked for and is not finished."""
        async with self._connection() as connection:
            rows = await connection.fetch(_DELETING, limit)
        return [_row(found) for found in rows]

    async def unpurged(self, older_than_seconds: float, limit: int = 200) -> list[LedgerRow]:
        """Tombstones of that age whose keys have not been purged for the second and last time."""
        async with self._connection() as connection:
            rows = await connection.fetch(_UNPURGED, older_than_seconds, limit)
        return [_row(found) for found in rows]

    async def purged(self, asset_id: str) -> None:
        """The media of a tombstone are gone for certain."""
        async with self._connection() as connection:
            await connection.execute("UPDATE media.assets SET purged_at = now() WHERE id = $1", UUID(asset_id))

    async def tombstone(self, asset_id: str, spec: AssetSpec, status: AssetStatus | None, *, media_kept: bool) -> None:
        """The asset is deleted. Its keys are purged once more later, unless its media are kept."""
        source = spec.source
        async with self._connection() as connection:
            await connection.execute(
                _TOMBSTONE,
                UUID(asset_id),
                spec.owner,
                spec.asset_type,
                source.bucket,
                source.key,
                source.etag,
                source.version_id,
                source.size_bytes,
                source.content_type,
                status.to_json() if status else None,
                media_kept,
            )

    async def sweep(self) -> tuple[int, int]:
        """Give up uploads never confirmed within a day; forget tombstones after 30 days. Returns both counts."""
        async with self._connection() as connection:
            abandoned = await connection.execute(
                "UPDATE media.assets SET state = 'deleting', updated_at = now() "
                "WHERE state = 'pending' AND created_at < now() - make_interval(hours => $1)",
                ABANDONED_HOURS,
            )
            forgotten = await connection.execute(
                "DELETE FROM media.assets WHERE state = 'deleted' AND purged_at IS NOT NULL "
                "AND deleted_at < now() - make_interval(days => $1)",
                TOMBSTONE_DAYS,
            )
        return int(abandoned.split()[-1]), int(forgotten.split()[-1])

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        try:
            async with self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
                yield connection
        except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
            raise LedgerUnavailable(f"{type(error).__name__}: {error}") from error
        except asyncpg.PostgresError as error:
            if _passes(error):
                raise LedgerUnavailable(f"{type(error).__name__}: {error}") from error
            raise


def _passes(error: asyncpg.PostgresError) -> bool:
    """Classes 08 (connection), 53 (resources), 57 (shutdown), 40 (rollback); 3D, 42P01: not migrated yet."""
    state = str(error.sqlstate or "")
    return state[:2] in ("08", "53", "57", "40", "3D") or state in ("42P01", "3F000")


async def _speak_json(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _as_it_is(_connection: asyncpg.Connection) -> None:
    """No statement here leaves anything in its session, so giving a connection back costs no way to the server."""


def _status(found: Mapping[str, Any] | None) -> AssetStatus | None:
    return AssetStatus.model_validate(found) if found else None


def _row(found: asyncpg.Record) -> LedgerRow:
    asset_type = AssetType(found["asset_type"])
    spec = AssetSpec(
        asset_type=asset_type,
        owner=found["owner"],
        pool=pool_for(asset_type),
        source=Source(
            bucket=found["bucket"] or "",
            key=found["s3_key"],
            etag=found["etag"] or "",
            version_id=found["version_id"],
            size_bytes=found["size_bytes"] or 0,
            content_type=found["content_type"],
        ),
    )
    return LedgerRow(str(found["id"]), spec, _status(found["status"]))


def _mirrored(asset: MediaAsset) -> tuple[Any, ...]:
    """One object as the columns of `_MIRROR`, in their order."""
    status = asset.status or AssetStatus()
    source = asset.spec.source
    started: datetime | None = status.start_time
    return (
        UUID(asset.name),
        UUID(asset.uid),
        asset.version,
        "settled" if status.phase.settled else "confirmed",
        TRANSCODE_STATUS[status.phase].value,
        status.to_json(),
        status.reason or Reason.QUEUED.value,
        status.message,
        status.attempts,
        started,
        status.completion_time,
        asset.spec.owner,
        asset.spec.asset_type.value,
        source.bucket,
        source.key,
        source.etag,
        source.version_id,
        source.size_bytes,
        source.content_type,
    )

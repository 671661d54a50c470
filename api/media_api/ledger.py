"""The ledger: every upload's row in PostgreSQL. All SQL of the API is here.

Row states: pending → confirmed → settled, deleting → deleted. The API takes a row from pending to confirmed and to
deleting; the rest is the operator's. Nothing here waits longer than `DEADLINE_SECONDS`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import structlog
from pydantic import ValidationError

from media_api.paging import Cursor
from media_api.uploads import Announced, Found
from media_core.asset import AssetSpec, AssetStatus, AssetType, Source, TranscodeStatus
from media_core.pool import pool_for
from media_core.reasons import Reason

log = structlog.get_logger()

DEADLINE_SECONDS = 3.0
CONNECT_SECONDS = 2.0
COMMAND_SECONDS = 2.0
VISIBLE = ("confirmed", "settled")


class LedgerUnavailable(Exception):
    """PostgreSQL does not answer; it can pass."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An upload that was asked for."""

    asset_id: UUID
    owner: str
    announced: Announced
    sha256: str | None
    bucket: str
    s3_key: str
    original_filename: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `media.assets` as the API reads it."""

    id: UUID
    owner: str
    asset_type: AssetType
    state: str
    bucket: str
    s3_key: str
    original_filename: str | None
    content_type: str
    declared_size: int | None
    etag: str | None
    version_id: str | None
    size_bytes: int | None
    transcode_status: TranscodeStatus
    status: AssetStatus | None
    legacy: Mapping[str, str]
    """URLs of an asset that was taken over from the service before this one."""
    reason: str | None
    message: str | None
    attempts: int
    created_at: datetime
    confirmed_at: datetime | None
    started_at: datetime | None
    settled_at: datetime | None

    @property
    def announced(self) -> Announced:
        """What the client said of the file."""
        return Announced(self.asset_type, self.content_type, self.declared_size)

    @property
    def spec(self) -> AssetSpec:
        """The spec of its object: made of the row alone, nothing of it comes from the request that confirms."""
        source = Source(
            bucket=self.bucket,
            key=self.s3_key,
            etag=self.etag or "",
            version_id=self.version_id,
            size_bytes=self.size_bytes or 0,
            content_type=self.content_type,
        )
        return AssetSpec(asset_type=self.asset_type, owner=self.owner, source=source, pool=pool_for(self.asset_type))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of an owner's assets are listed."""

    owner: str
    limit: int
    after: Cursor | None = None
    asset_type: AssetType | None = None
    transcode_status: TranscodeStatus | None = None


_COLUMNS = (
    "id, owner, asset_type, state, bucket, s3_key, original_filename, content_type, declared_size, etag, version_id, "
    "size_bytes, transcode_status, status, reason, message, attempts, created_at, confirmed_at, started_at, settled_at"
)

_DRAFT = """
INSERT INTO media.assets (id, owner, asset_type, state, bucket, s3_key, original_filename, content_type,
                          declared_size, declared_sha256)
VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8, $9)
"""

_CONFIRM = f"""
UPDATE media.assets
SET state = 'confirmed', bucket = $2, etag = $3, version_id = $4, size_bytes = $5, content_type = $6,
    transcode_status = 'PENDING', reason = $7, message = $8, confirmed_at = now(), updated_at = now()
WHERE id = $1 AND state = 'pending'
RETURNING {_COLUMNS}
"""  # noqa: S608 - only our own column names are put in

_PAGE = f"""
SELECT {_COLUMNS} FROM media.assets
WHERE owner = $1 AND state IN ('confirmed', 'settled')
  AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
  AND ($4::text IS NULL OR asset_type = $4)
  AND ($5::text IS NULL OR transcode_status = $5)
ORDER BY created_at DESC, id DESC LIMIT $6
"""  # noqa: S608

_DELETE = """
UPDATE media.assets SET state = 'deleting', updated_at = now()
WHERE id = $1 AND owner = $2 AND state IN ('confirmed', 'settled', 'deleting')
RETURNING id
"""

_UNCHECKED = f"SELECT {_COLUMNS} FROM media.assets WHERE state = 'confirmed' AND etag IS NULL LIMIT $1"  # noqa: S608

_CHECKED = """
UPDATE media.assets
SET bucket = $2, etag = $3, version_id = $4, size_bytes = $5, content_type = $6, updated_at = now()
WHERE id = $1 AND state = 'confirmed' AND etag IS NULL
"""

_FAILED = """
UPDATE media.assets
SET state = 'settled', transcode_status = 'FAILED', reason = $2, message = $3, settled_at = now(), updated_at = now()
WHERE id = $1 AND state = 'confirmed' AND etag IS NULL
"""

_REQUEUE = """
UPDATE media.assets
SET state = 'confirmed', transcode_status = 'PENDING', status = NULL, reason = $2, message = $3, attempts = 0,
    cr_uid = NULL, resource_version = NULL, started_at = NULL, settled_at = NULL, updated_at = now()
WHERE id = $1 AND state = 'settled' AND transcode_status = 'FAILED'
RETURNING id
"""


class Ledger:
    """The API's statements on `media.assets`. Every method raises LedgerUnavailable where PostgreSQL is away."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, url: str, connections: int) -> Ledger:
        """A pool that connects when it is first used, so that the API starts without PostgreSQL."""
        pool = await asyncpg.create_pool(
            url.replace("postgresql+asyncpg://", "postgresql://"),
            min_size=0,
            max_size=connections,
            command_timeout=COMMAND_SECONDS,
            timeout=CONNECT_SECONDS,
            init=_speak_json,
            reset=_as_it_is,
            server_settings={"application_name": "media-api"},
        )
        return cls(pool)

    async def close(self) -> None:
        """Close the connections, by force after a moment."""
        try:
            async with asyncio.timeout(3):
                await self._pool.close()
        except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self._pool.terminate()

    async def ping(self) -> None:
        """Whether PostgreSQL answers and the schema is there."""
        async with self._connection() as connection:
            await connection.fetchval("SELECT 1 FROM media.assets LIMIT 1")

    async def draft(self, draft: Draft) -> None:
        """Write down an upload that was asked for."""
        async with self._connection() as connection:
            await connection.execute(
                _DRAFT,
                draft.asset_id,
                draft.owner,
                draft.announced.asset_type.value,
                draft.bucket,
                draft.s3_key,
                draft.original_filename,
                draft.announced.content_type,
                draft.announced.size_bytes,
                draft.sha256,
            )

    async def own(self, asset_id: UUID, owner: str) -> Row | None:
        """An owner's row in whatever state."""
        return await self._one("id = $1 AND owner = $2", asset_id, owner)

    async def visible(self, asset_id: UUID) -> Row | None:
        """A row that anybody may see: confirmed, and not being deleted."""
        return await self._one("id = $1 AND state IN ('confirmed', 'settled')", asset_id)

    async def visible_by_key(self, key: str) -> Row | None:
        """The same, by the key of its original."""
        return await self._one("s3_key = $1 AND state IN ('confirmed', 'settled')", key)

    async def confirm(self, asset_id: UUID, bucket: str, found: Found, content_type: str) -> Row | None:
        """Take a row from pending to confirmed; None where somebody else already did. This one statement decides."""
        async with self._connection() as connection:
            confirmed = await connection.fetchrow(
                _CONFIRM,
                asset_id,
                bucket,
                found.etag,
                found.version_id,
                found.size_bytes,
                content_type,
                Reason.QUEUED.value,
                "The upload is confirmed.",
            )
        return _row(confirmed) if confirmed else None

    async def page(self, wanted: Wanted) -> Sequence[Row]:
        """An owner's visible rows, newest first, one more than asked for where there are more."""
        after = wanted.after
        async with self._connection() as connection:
            found = await connection.fetch(
                _PAGE,
                wanted.owner,
                after.created_at if after else None,
                after.asset_id if after else None,
                wanted.asset_type.value if wanted.asset_type else None,
                wanted.transcode_status.value if wanted.transcode_status else None,
                wanted.limit + 1,
            )
        return [_row(row) for row in found]

    async def delete(self, asset_id: UUID, owner: str) -> bool:
        """Ask for the deletion of an owner's asset; False where there is none. Asking again is harmless."""
        async with self._connection() as connection:
            return await connection.fetchval(_DELETE, asset_id, owner) is not None

    async def requeue(self, asset_id: UUID) -> bool:
        """Let a failed row whose object is gone be run anew; False where it is not that any more."""
        async with self._connection() as connection:
            message = "It is tried again."
            return await connection.fetchval(_REQUEUE, asset_id, Reason.RETRIED.value, message) is not None

    async def unchecked(self, limit: int) -> Sequence[Row]:
        """Rows to be processed whose file was never looked at: they are of the service before this one."""
        async with self._connection() as connection:
            found = await connection.fetch(_UNCHECKED, limit)
        return [_row(row) for row in found]

    async def checked(self, asset_id: UUID, bucket: str, found: Found, content_type: str) -> None:
        """What was found of such a file."""
        async with self._connection() as connection:
            await connection.execute(
                _CHECKED, asset_id, bucket, found.etag, found.version_id, found.size_bytes, content_type
            )

    async def failed(self, asset_id: UUID, reason: Reason, message: str) -> None:
        """Such a file cannot be processed."""
        async with self._connection() as connection:
            await connection.execute(_FAILED, asset_id, reason.value, message)

    async def unsettled(self, at_most: int) -> int:
        """Confirmed rows that are not settled, counted no further than `at_most`."""
        async with self._connection() as connection:
            count: int = await connection.fetchval(
                "SELECT count(*) FROM (SELECT 1 FROM media.assets WHERE state = 'confirmed' LIMIT $1) AS counted",
                at_most,
            )
        return count

    async def _one(self, where: str, *arguments: Any) -> Row | None:
        async with self._connection() as connection:
            found = await connection.fetchrow(
                f"SELECT {_COLUMNS} FROM media.assets WHERE {where}",  # noqa: S608 - only our own text is put in
                *arguments,
            )
        return _row(found) if found else None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS), self._pool.acquire(timeout=CONNECT_SECONDS) as connection:
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


def _row(found: asyncpg.Record) -> Row:
    plain = dict(found)
    status = plain["status"] or {}
    return Row(
        **{
            **plain,
            "asset_type": AssetType(plain["asset_type"]),
            "transcode_status": TranscodeStatus(plain["transcode_status"]),
            "status": _status(plain["id"], status),
            "legacy": status.get("legacy") or {},
            "bucket": plain["bucket"] or "",
        }
    )


def _status(asset_id: UUID, found: Mapping[str, Any]) -> AssetStatus | None:
    """The mirrored status; one that cannot be read must not take the whole list with it."""
    if not found:
        return None
    try:
        return AssetStatus.model_validate(found)
    except ValidationError as error:
        log.error("status_unreadable", asset_id=str(asset_id), error=str(error))
        return None

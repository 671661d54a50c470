"""Unfinished uploads of the service before this one, taken over by a migration: their files are looked at here.

Their rows are confirmed, but nobody knows the ETag that workers read by, nor whether the file is what the old row
says. What passes the check of every confirm is processed; the rest fails with the reason. Several API processes may
do this at once: a row is only written while it has no ETag.
"""

from __future__ import annotations

import asyncio

import structlog

from media_api.ledger import Ledger, LedgerUnavailable, Row
from media_api.sniffing import sniff
from media_api.storage import Storage, StorageUnavailable
from media_api.uploads import Limits, refuse_found
from media_core.keys import OriginalKey, parse
from media_core.reasons import Reason

log = structlog.get_logger()

EVERY_SECONDS = 30.0
BATCH = 100


async def run(ledger: Ledger, storage: Storage, limits: Limits, every: float = EVERY_SECONDS) -> None:
    """Look again and again, for a retry of an old asset brings one more; an outage is waited out."""
    while True:
        try:
            full = await take_over(ledger, storage, limits) == BATCH
        except (LedgerUnavailable, StorageUnavailable) as error:
            log.warning("takeover_waits", error=str(error))
            full = False
        await asyncio.sleep(0 if full else every)


async def take_over(ledger: Ledger, storage: Storage, limits: Limits) -> int:
    """One batch; how many rows it had. Raises LedgerUnavailable, StorageUnavailable."""
    rows = await ledger.unchecked(BATCH)
    for row in rows:
        await _check(row, ledger, storage, limits)
    return len(rows)


async def _check(row: Row, ledger: Ledger, storage: Storage, limits: Limits) -> None:
    if not isinstance(parse(row.s3_key), OriginalKey):
        return await _fail(row, ledger, Reason.FOREIGN_SOURCE, "Its key is not of the form this service uses.")
    found = await storage.look(row.s3_key)
    if found is None:
        return await _fail(row, ledger, Reason.SOURCE_MISSING, "The original is not in object storage.")
    if problem := refuse_found(row.announced, found, limits):
        return await _fail(row, ledger, Reason.UNSUPPORTED_FORMAT, problem.detail)
    await ledger.checked(row.id, storage.bucket, found, sniff(found.head) or row.content_type)
    log.info("asset_taken_over", asset_id=str(row.id))
    return None


async def _fail(row: Row, ledger: Ledger, reason: Reason, message: str) -> None:
    await ledger.failed(row.id, reason, message)
    log.warning("takeover_failed", asset_id=str(row.id), reason=reason.value)

"""Rows of the service before this one are taken over from `public.media_assets`, if there is such a table.

Finished ones (COMPLETED, FAILED) are settled and stay as they are, with their URLs; the others are confirmed and so
are processed anew, as soon as the API has looked at their files (`media_api.takeover`). Columns differ between
installations: id, owner, type and key have to be there, what else is missing is filled in. The old table is left
untouched.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

OLD = "media_assets"
NAMES: dict[str, tuple[str, ...]] = {
    "id": ("asset_id", "id"),
    "owner": ("user_id", "owner_id", "owner"),
    "asset_type": ("asset_type",),
    "s3_key": ("s3_key", "original_key"),
}
"""What has to be there, and what it may be called."""

OPTIONAL: dict[str, tuple[tuple[str, ...], str]] = {
    "transcode_status": (("transcode_status", "status"), "text"),
    "original_filename": (("original_filename", "filename"), "text"),
    "content_type": (("content_type", "mime_type"), "text"),
    "size_bytes": (("file_size_bytes", "size_bytes", "file_size"), "bigint"),
    "bucket": (("s3_bucket", "bucket"), "text"),
    "hls_url": (("hls_url",), "text"),
    "thumbnail_url": (("thumbnail_url",), "text"),
    "error": (("error_message", "failure_reason"), "text"),
    "created_at": (("created_at",), "timestamptz"),
    "updated_at": (("updated_at", "completed_at"), "timestamptz"),
}

TYPE_BY_EXTENSION = """
CASE lower(substring(s3_key from '[.]([A-Za-z0-9]+)$'))
    WHEN 'jpg' THEN 'image/jpeg' WHEN 'jpeg' THEN 'image/jpeg' WHEN 'png' THEN 'image/png'
    WHEN 'webp' THEN 'image/webp' WHEN 'gif' THEN 'image/gif' WHEN 'avif' THEN 'image/avif'
    WHEN 'heic' THEN 'image/heic' WHEN 'heif' THEN 'image/heif' WHEN 'mp4' THEN 'video/mp4'
    WHEN 'mov' THEN 'video/quicktime' WHEN 'webm' THEN 'video/webm' WHEN 'mkv' THEN 'video/x-matroska'
    WHEN 'pdf' THEN 'application/pdf' WHEN 'zip' THEN 'application/zip'
    ELSE 'application/octet-stream'
END
"""


def upgrade() -> None:
    """Copy what is there."""
    connection = op.get_bind()
    columns = {
        name
        for (name,) in connection.execute(
            sa.text(
                "SELECT column_name FROM information_schema.columns "
                "WHERE table_schema = 'public' AND table_name = :name"
            ),
            {"name": OLD},
        )
    }
    required = {to: _first(names, columns) for to, names in NAMES.items()}
    if not all(required.values()):
        return
    casts = {"id": "uuid", "owner": "text", "asset_type": "text", "s3_key": "text"}
    chosen = [f'"{found}"::{casts[to]} AS {to}' for to, found in required.items()]
    for to, (names, kind) in OPTIONAL.items():
        found = _first(names, columns)
        chosen.append(f'"{found}"::{kind} AS {to}' if found else f"NULL::{kind} AS {to}")
    # Nothing but the names in the tables above gets into this text.
    connection.execute(sa.text(_COPY.format(columns=", ".join(chosen), old=OLD, guess=TYPE_BY_EXTENSION)))


def downgrade() -> None:
    """Drop what was taken over and has not been touched since."""
    op.execute("DELETE FROM media.assets WHERE status -> 'legacy' ->> 'takenOver' = 'true'")


def _first(names: tuple[str, ...], columns: set[str]) -> str | None:
    return next((name for name in names if name in columns), None)


_COPY = """
WITH old AS (SELECT {columns} FROM public.{old}),
read AS (
    SELECT *, coalesce(upper(transcode_status), 'PENDING') AS known,
           coalesce(created_at, now()) AS created, coalesce(updated_at, created_at, now()) AS ended
    FROM old
)
INSERT INTO media.assets (
    id, owner, asset_type, state, bucket, s3_key, original_filename, content_type, size_bytes, transcode_status,
    status, reason, message, created_at, confirmed_at, settled_at, updated_at
)
SELECT
    id, owner, upper(asset_type),
    CASE WHEN known IN ('COMPLETED', 'FAILED') THEN 'settled' ELSE 'confirmed' END,
    bucket, s3_key, original_filename, coalesce(lower(content_type), {guess}), size_bytes,
    CASE WHEN known IN ('COMPLETED', 'FAILED') THEN known ELSE 'PENDING' END,
    CASE WHEN known IN ('COMPLETED', 'FAILED') THEN jsonb_strip_nulls(jsonb_build_object(
        'phase', initcap(known),
        'legacy', jsonb_build_object('takenOver', 'true', 'hlsUrl', hls_url, 'thumbnailUrl', thumbnail_url)
    )) END,
    CASE known WHEN 'COMPLETED' THEN 'Completed' WHEN 'FAILED' THEN 'TakenOver' ELSE 'Queued' END,
    coalesce(error, 'Taken over from the service before this one.'),
    created, created, CASE WHEN known IN ('COMPLETED', 'FAILED') THEN ended END, now()
FROM read
WHERE upper(asset_type) IN ('IMAGE', 'VIDEO', 'PDF', 'SCORM') AND s3_key IS NOT NULL AND owner IS NOT NULL
ON CONFLICT DO NOTHING
"""

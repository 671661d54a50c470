"""The ledger: schema `media` with its one table."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

TABLE = """
CREATE TABLE media.assets (
    id uuid PRIMARY KEY,
    owner text NOT NULL,
    asset_type text NOT NULL CHECK (asset_type IN ('IMAGE', 'VIDEO', 'PDF', 'SCORM')),
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'confirmed', 'settled', 'deleting', 'deleted')),
    bucket text,
    s3_key text NOT NULL UNIQUE,
    original_filename text,
    content_type text NOT NULL,
    declared_size bigint,
    declared_sha256 text,
    etag text,
    version_id text,
    size_bytes bigint,
    transcode_status text NOT NULL DEFAULT 'PENDING'
        CHECK (transcode_status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'FAILED')),
    status jsonb,
    reason text,
    message text,
    attempts integer NOT NULL DEFAULT 0,
    cr_uid uuid,
    resource_version numeric,
    created_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    started_at timestamptz,
    settled_at timestamptz,
    deleted_at timestamptz,
    purged_at timestamptz,
    updated_at timestamptz NOT NULL DEFAULT now()
)
"""

INDEXES = (
    # An owner's list, newest first.
    "CREATE INDEX assets_of_owner ON media.assets (owner, created_at DESC, id DESC) "
    "WHERE state IN ('confirmed', 'settled')",
    # What waits for an object, or is at work; the backlog is counted on it.
    "CREATE INDEX assets_confirmed ON media.assets (confirmed_at, id) WHERE state = 'confirmed'",
    "CREATE INDEX assets_deleting ON media.assets (updated_at) WHERE state = 'deleting'",
    # What the sweep looks for: uploads never confirmed, and old tombstones.
    "CREATE INDEX assets_pending ON media.assets (created_at) WHERE state = 'pending'",
    "CREATE INDEX assets_deleted ON media.assets (deleted_at) WHERE state = 'deleted'",
)


def upgrade() -> None:
    """Make table and indexes."""
    op.execute(TABLE)
    for index in INDEXES:
        op.execute(index)


def downgrade() -> None:
    """Drop them, with every row."""
    op.execute("DROP TABLE media.assets")

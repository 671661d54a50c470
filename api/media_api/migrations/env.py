"""Alembic's entry: runs the scripts on the connection that `media-migrate` opened."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="alembic_version",
    version_table_schema="media",
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()

"""The operator: binds assets to worker Jobs, mirrors their status to PostgreSQL, and cleans up after them."""

"""Run by Alembic to migrate, on the connection from `database.migrate`."""

from __future__ import annotations

from alembic import context

from elastic_images.database.tables import import_all

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=import_all() if context.config.attributes.get("compare") else None,
    render_as_batch=connection.dialect.name == "sqlite",
    # SQLite can undo its DDL; Alembic assumes that the driver cannot.
    transactional_ddl=True if connection.dialect.name == "sqlite" else None,
)
with context.begin_transaction():
    context.run_migrations()

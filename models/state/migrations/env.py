"""Run by Alembic; ``models.state.migrate`` hands it a connection with an open transaction."""

from alembic import context

from huntonce.models.state.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
context.run_migrations()

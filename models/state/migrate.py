"""Bring a database to the tables that this version of the code needs."""

import threading
from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from huntonce.models.errors import StateError
from huntonce.models.state.engine import begin_write, is_sqlite

SCRIPTS = Path(__file__).parent / "migrations"
HEAD = "0005"
"""The newest revision; a test holds it to the scripts."""
_ONE_AT_A_TIME = threading.Lock()
"""Alembic keeps the migration that is under way in module globals."""
_MIGRATION_LOCK = 0x68756E74
"""Key of the PostgreSQL advisory lock: two processes migrate one after the other."""


def version(engine: Engine) -> str | None:
    """The revision a database is at; None for an empty one."""
    with engine.connect() as connection:
        return _version(connection)


def migrate(engine: Engine) -> None:
    """Create or upgrade the tables; nothing where they are as needed.

    Raises:
        StateError: The database is from a newer version of Huntonce, or cannot be reached.
    """
    if version(engine) == HEAD:
        return
    # Alembic is slow to import and seldom needed.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util.exc import CommandError  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    with _ONE_AT_A_TIME, engine.connect() as connection:
        begin_write(connection)
        if not is_sqlite(connection):
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StateError(
                f"the store's revision {_version(connection)} is not known here",
                hint="use the version of Huntonce that wrote it, or a newer one",
            ) from error
        connection.commit()


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(
        text("SELECT version_num FROM alembic_version")
    ).scalar_one_or_none()
    return found

"""How a PostgreSQL table of Windows events is reached, and what a search there may cost."""

from typing import Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator


class PostgresSettings(BaseModel):
    """One table that holds Windows events, a row an event."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["postgresql"] = Field("postgresql", description="Always this.")
    url: SecretStr = Field(
        description="postgresql://user:password@host:port/database?sslmode=verify-full"
    )
    table: str = Field(
        "events", pattern=r"^[^.\x00]+(\.[^.\x00]+)?$", description="[schema.]table or view."
    )
    time_column: str = Field("time", min_length=1, description="timestamptz: when it happened.")
    computer_column: str = Field("computer", min_length=1, description="text: as recorded.")
    channel_column: str = Field("channel", min_length=1, description="text.")
    event_id_column: str = Field("event_id", min_length=1, description="An integer.")
    event_column: str = Field(
        "event",
        min_length=1,
        description="jsonb: the whole event, in any shape that the lake loads.",
    )
    page_size: int = Field(2_000, ge=1, le=100_000, description="Events fetched at a time.")
    timeout: float = Field(
        60, gt=0, le=3600, description="Seconds the server may work on one statement."
    )
    max_examined: int = Field(
        2_000_000,
        ge=1,
        description="Most events read for one search; a search that needs more is refused.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if not text.startswith(("postgresql://", "postgres://")):
            raise ValueError("an address begins with postgresql://")
        try:
            conninfo_to_dict(text)
        except psycopg.ProgrammingError:
            raise ValueError("not an address that PostgreSQL takes") from None
        return url

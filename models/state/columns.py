"""Column types that mean the same on SQLite and PostgreSQL."""

import re
from datetime import datetime

from sqlalchemy import DateTime, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine
from typing_extensions import override

from huntonce.models.windows import utc

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
ISO_LENGTH = 32


def clean(text: str) -> str:
    """The text without NUL and lone surrogates, which the databases refuse; U+FFFD stands there.

    Both occur in hostile event data, and surrogates in names of files that are not UTF-8.
    """
    return _UNSTORABLE.sub("\ufffd", text)


class CleanText(TypeDecorator[str]):
    """Text from outside, cleaned on its way in."""

    impl = Text
    cache_ok = True

    @override
    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean(value)


class UtcTime(TypeDecorator[datetime]):
    """A moment: ``timestamptz`` on PostgreSQL, ISO 8601 text of one width on SQLite."""

    impl = DateTime
    cache_ok = True

    @override
    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[datetime] | TypeEngine[str]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(ISO_LENGTH))
        return dialect.type_descriptor(DateTime(timezone=True))

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | str | None:
        if value is None:
            return None
        moment = utc(value)
        return moment.isoformat(timespec="microseconds") if dialect.name == "sqlite" else moment

    @override
    def process_result_value(
        self, value: datetime | str | None, dialect: Dialect
    ) -> datetime | None:
        if value is None:
            return None
        return utc(datetime.fromisoformat(value) if isinstance(value, str) else value)

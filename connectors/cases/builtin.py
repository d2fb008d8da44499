"""The built-in case desk: another system behind the port, in the same database."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select, update

from huntonce.connectors.cases.record import CaseRecord
from huntonce.models.case import CaseState, Determination
from huntonce.models.errors import StateError, TerminalError, TransientError
from huntonce.models.state.codec import dumps, stored_key
from huntonce.models.state.engine import insert_once
from huntonce.models.state.store import Store
from huntonce.models.state.tables import DESK_CASE

PREFIX = "IR-"


class BuiltinCases:
    """Cases in the store's database."""

    def __init__(self, store: Store, name: str = "builtin") -> None:
        self._store = store
        self._name = name

    @property
    def name(self) -> str:
        """Registered name of the desk."""
        return self._name

    def find(self, key: str) -> str | None:
        """Remote id of the case that carries an idempotency key."""
        with self._asked(), self._store.reading() as connection:
            return _find(connection, key)

    def create(self, key: str, case: Mapping[str, object]) -> str:
        """Open a case that carries the key, or find it; returns its remote id."""
        try:
            doc = dumps({"key": key, "case": case})
        except StateError as error:
            raise TerminalError(str(error), connector=self._name, hint=error.hint) from error
        with self._asked(), self._store.transaction() as connection:
            known = _find(connection, key)
            if known is not None:
                return known
            insert_once(
                connection,
                DESK_CASE,
                key=stored_key(key),
                state=CaseState.OPEN.value,
                doc=doc,
                determination="",
                note="",
                created_at=self._store.clock(),
            )
            remote_id = _find(connection, key)
        if remote_id is None:
            raise TerminalError("the case was not stored", connector=self._name)
        return remote_id

    def closed(self) -> Mapping[str, tuple[Determination, str, datetime]]:
        """Remote id to determination, note and time of the closed cases, oldest case first."""
        return {
            record.remote_id: (record.determination, record.note, record.closed_at)
            for record in self.list()
            if record.determination is not None and record.closed_at is not None
        }

    def close(self, remote_id: str, determination: Determination, note: str) -> None:
        """Close it; closing it again with the same determination changes nothing.

        Raises:
            TerminalError: There is no such case, or it was determined to be something else.
        """
        its = DESK_CASE.c.number == _number(remote_id)
        with self._asked(), self._store.transaction() as connection:
            closed = connection.execute(
                update(DESK_CASE)
                .where(its, DESK_CASE.c.state == CaseState.OPEN.value)
                .values(
                    state=CaseState.CLOSED.value,
                    determination=determination.value,
                    note=note,
                    closed_at=self._store.clock(),
                )
            )
            if closed.rowcount:
                return
            stands = connection.execute(select(DESK_CASE.c.determination).where(its)).scalar()
        if stands is None:
            raise TerminalError(
                f"no case {remote_id!r}",
                connector=self._name,
                hint="it was opened at another desk, or its store was replaced",
            )
        if stands != determination.value:
            raise TerminalError(f"{remote_id} was closed as {stands} already", connector=self._name)

    def list(self) -> tuple[CaseRecord, ...]:
        """Every case, oldest first."""
        with self._asked(), self._store.reading() as connection:
            rows = connection.execute(select(DESK_CASE).order_by(DESK_CASE.c.number)).all()
        return tuple(_record(row) for row in rows)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            raise TransientError(str(error), connector=self._name, hint=error.hint) from error


def _find(connection: Connection, key: str) -> str | None:
    query = select(DESK_CASE.c.number).where(DESK_CASE.c.key == stored_key(key))
    number = connection.execute(query).scalar_one_or_none()
    return None if number is None else f"{PREFIX}{number}"


def _number(remote_id: str) -> int:
    digits = remote_id.removeprefix(PREFIX)
    # 0 is nobody's number; what is not one of ours is simply not found.
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else 0  # noqa: PLR2004 - an INTEGER column holds 9 digits


def _record(row: Row[Any]) -> CaseRecord:
    doc = json.loads(row.doc)
    return CaseRecord(
        remote_id=f"{PREFIX}{row.number}",
        key=doc["key"],
        case=doc["case"],
        determination=Determination(row.determination) if row.determination else None,
        note=row.note,
        closed_at=row.closed_at,
    )

"""Which fields events in a table have: by the names that stand in their text, then by reading."""

import string
from collections.abc import Sequence

from psycopg import sql

from huntonce.connectors.siem.fieldnames import FieldNames
from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.sigma.logsource import Variant

_SEPARATORS = (string.punctuation + string.whitespace).replace('"', "")


def held(rows: Sequence[Row], place: Variant, named: Sequence[str]) -> set[str]:
    """Those of some fields that one of the events has a value for."""
    found: set[str] = set()
    for row in rows:
        names = FieldNames(place, row.event.fields)
        for field in named:
            column = names.find(field)
            missing = column == "@record_id" and row.event.record_id is None
            if column is not None and not missing:
                found.add(field)
        if len(found) == len(named):
            break
    return found


def bare(text: sql.Composable) -> sql.Composed:
    """A folded text without what is neither letter, digit nor quotation mark."""
    return sql.SQL("translate({}, {}, '')").format(text, sql.Literal(_SEPARATORS))


def may_have(place: Variant, field: str, bare_text: sql.Composable) -> sql.Composed:
    """What holds for every event that has a field, however it is spelled there."""
    renamed = {name.lower(): to for name, to in place.renames.items()}.get(field.lower(), field)
    letters = "".join(filter(str.isalnum, renamed)).lower()
    like = f'%"{letters}"%'
    if field.lower() in TASK_FIELDS:
        like = "%taskcontent%"
    elif not letters.isascii() or not letters:
        like = "%"
    return sql.SQL("{} LIKE {}").format(bare_text, sql.Literal(like))

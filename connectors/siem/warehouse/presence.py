"""Which fields events in a table have: by the names that stand in their text, then by reading."""

import re
from collections.abc import Sequence

from psycopg import sql

from huntonce.connectors.siem.fieldnames import FieldNames
from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.sigma.logsource import Variant

_WORD = re.compile(r"[A-Z]*[a-z0-9]+|[A-Z]+")


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


def may_have(place: Variant, field: str, folded_text: sql.Composable) -> sql.Composed:
    """What holds for the events that have a field, in any case, its words apart or together.

    Any character may stand between two words (``Parent User``, ``Parent_User``).
    """
    renamed = {name.lower(): to for name, to in place.renames.items()}.get(field.lower(), field)
    words = [word.lower() for word in _WORD.findall(renamed)]
    likes = [f'%"{"".join(words)}"%', f'%"{"_".join(words)}"%']
    if field.lower() in TASK_FIELDS:
        likes = ["%taskcontent%"]
    elif not words or not renamed.isascii():
        likes = ["%"]
    return sql.SQL("{} LIKE ANY({})").format(folded_text, sql.Literal(likes))

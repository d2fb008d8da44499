"""Which fields events in a table have: by the names that stand in their text, then by reading."""

import re
from collections.abc import Sequence

from huntonce.connectors.siem.fieldnames import FieldNames
from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.sigma.logsource import Variant


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


def name_pattern(place: Variant, field: str) -> str:
    """A regular expression for the text of every event that has a field, however it is spelled."""
    if field.lower() in TASK_FIELDS:
        return "taskcontent"
    renamed = {name.lower(): to for name, to in place.renames.items()}.get(field.lower(), field)
    letters = [letter for letter in renamed if letter.isalnum()]
    if not letters or not renamed.isascii():
        return ""  # found in any event
    between = '[^"[:alnum:]]*'
    return f'"{between}{between.join(map(re.escape, letters))}{between}"'

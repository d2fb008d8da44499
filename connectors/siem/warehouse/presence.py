"""Which events in a table may have a field: by the names that stand in their text."""

from psycopg import sql

from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.siem.textual import spellings
from huntonce.connectors.sigma.logsource import Variant


def may_have(place: Variant, field: str, folded_text: sql.Composable) -> sql.Composed:
    """What holds for the events that have a field, in any case, its words apart or together.

    Any character may stand between two words (``Parent User``, ``Parent_User``).
    """
    likes = [f'%"{name}"%' for name in spellings(place, field)] or ["%"]
    if field.lower() in TASK_FIELDS:
        likes = ["%taskcontent%"]
    return sql.SQL("{} LIKE ANY({})").format(folded_text, sql.Literal(likes))

"""The effective TLP of objects whose marking is defined on another page, in another file or feed.

A definition may come before or after what uses it, and from another pull that runs meanwhile: the
store alone has seen all of them, so what it keeps as an object's level is decided here.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, LargeBinary, bindparam, func, or_, select, update

from huntonce.models.intel import IntelObject
from huntonce.models.state.codec import stix_content
from huntonce.models.state.columns import clean
from huntonce.models.state.tables import INTEL_OBJECT
from huntonce.models.tlp import MARKINGS, Levels, Tlp, marked_anew, marking_levels, marks

_ROWS = INTEL_OBJECT.c
_MARKING = "marking-definition"
_TOGETHER = 500
"""Marking ids that are looked for at once."""


def level_of(item: IntelObject, levels: Levels) -> Tlp:
    """The level to keep of an object that is about to be written."""
    if all(mark in MARKINGS for mark in marks(item.content)):
        return item.tlp  # known at intake already
    return marked_anew(item.content, item.tlp, levels)


def known_levels(connection: Connection, objects: Sequence[IntelObject]) -> Levels:
    """Levels of the markings that the objects use, as far as they are known.

    Known are the standard's, those that the store holds, and those among the objects themselves.
    """
    used = {mark for item in objects for mark in marks(item.content)}
    return _defined(connection, used, [o.content for o in objects if o.type == _MARKING])


def mark_held(connection: Connection, fresh: Iterable[IntelObject]) -> int:
    """Give what is held the level that freshly stored definitions say; returns how many changed."""
    ids = sorted({item.id for item in fresh if item.type == _MARKING} - MARKINGS.keys())
    changed = 0
    for start in range(0, len(ids), _TOGETHER):
        part = ids[start : start + _TOGETHER]
        query = select(_ROWS.number, _ROWS.object_id, _ROWS.tlp, _ROWS.body)
        users = []
        for row in connection.execute(query.where(_names(connection, part))):
            content = stix_content(row.object_id, bytes(row.body))
            if not set(part).isdisjoint(marks(content)):
                users.append((row.number, Tlp(row.tlp), content))
        levels = _defined(connection, {mark for *_, content in users for mark in marks(content)})
        changes = [
            {"held": number, "level": level.value}
            for number, tlp, content in users
            if (level := marked_anew(content, tlp, levels)) is not tlp
        ]
        changed += len(changes)
        if changes:
            statement = update(INTEL_OBJECT).where(_ROWS.number == bindparam("held"))
            connection.execute(statement.values(tlp=bindparam("level")), changes)
    return changed


def _defined(connection: Connection, used: set[str], known: Iterable[object] = ()) -> Levels:
    contents = list(known)
    wanted = sorted({clean(mark) for mark in used} - MARKINGS.keys())
    for start in range(0, len(wanted), _TOGETHER):
        part = wanted[start : start + _TOGETHER]
        query = select(_ROWS.object_id, _ROWS.body).where(
            _ROWS.type == _MARKING, _ROWS.object_id.in_(part)
        )
        rows = connection.execute(query)
        contents += [stix_content(row.object_id, bytes(row.body)) for row in rows]
    return marking_levels(contents)


def _names(connection: Connection, ids: Sequence[str]) -> ColumnElement[bool]:
    """Whether an object's bytes name one of the ids at all; the object itself tells how."""
    values = [bindparam(None, one.encode(), LargeBinary) for one in ids]
    if connection.dialect.name == "sqlite":
        return or_(*(func.instr(_ROWS.body, value) > 0 for value in values))
    return or_(*(func.position(value.op("IN")(_ROWS.body)) > 0 for value in values))

"""Writing intel: what a chunk of objects would change, and the change itself."""

import re
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlalchemy import Connection, and_, func, select

from huntonce.models.intel import AddCounts, IntelObject, claim_key
from huntonce.models.state.codec import sha256
from huntonce.models.state.columns import clean
from huntonce.models.state.engine import insert
from huntonce.models.state.marking import known_levels, level_of, mark_held
from huntonce.models.state.tables import (
    INTEL_CLAIM,
    INTEL_CONFLICT,
    INTEL_FEED_OBJECT,
    INTEL_OBJECT,
    INTEL_ORIGINAL,
)
from huntonce.models.tlp import Levels

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?Z")
_FORM_LIMIT = 80

OBJECTS = INTEL_OBJECT.c
"""Columns of the table of objects."""


@dataclass(slots=True)
class _Held:
    number: int
    content_sha256: str


@dataclass(slots=True)
class Plan:
    """What a chunk would change."""

    counts: AddCounts
    fresh: list[tuple[IntelObject, _Held, str, str]]
    links: list[int]
    conflicts: dict[int, bytes]

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        return bool(self.fresh or self.links or self.conflicts)


def plan_chunk(connection: Connection, chunk: list[IntelObject], *, feed: str) -> Plan:
    """What the objects of a feed would change in the store as it is."""
    held, linked = _held(connection, {clean(item.id) for item in chunk}, feed)
    ids = {object_id for object_id, _ in held}
    number = connection.execute(select(func.max(OBJECTS.number))).scalar() or 0
    plan = Plan(AddCounts(), [], [], {})
    new = updated = 0
    for item in chunk:
        object_id, content = clean(item.id), content_sha256(item)
        moment = normal_time(item.version)
        revision = moment or f"sha256:{content}"
        known = held.get((object_id, revision))
        if known is None:
            number += 1
            held[object_id, revision] = known = _Held(number, content)
            new += object_id not in ids
            updated += object_id in ids
            ids.add(object_id)
            plan.fresh.append((item, known, revision, moment))
        elif known.content_sha256 != content:
            plan.conflicts.setdefault(known.number, item.body)
        if known.number not in linked:
            linked.add(known.number)
            plan.links.append(known.number)
    if plan.conflicts:
        kept = INTEL_CONFLICT.c
        query = select(kept.object_number).where(
            kept.feed == feed, kept.object_number.in_(sorted(plan.conflicts))
        )
        for known_number in connection.execute(query).scalars():
            del plan.conflicts[known_number]
    plan.counts = AddCounts(new=new, updated=updated, duplicate=len(chunk) - new - updated)
    return plan


def _held(
    connection: Connection, wanted: set[str], feed: str
) -> tuple[dict[tuple[str, str], _Held], set[int]]:
    """The versions held of the given objects, and the numbers of those that the feed delivered."""
    link = INTEL_FEED_OBJECT.c
    query = (
        select(
            OBJECTS.number,
            OBJECTS.object_id,
            OBJECTS.revision,
            OBJECTS.content_sha256,
            link.object_number,
        )
        .join_from(
            INTEL_OBJECT,
            INTEL_FEED_OBJECT,
            and_(link.object_number == OBJECTS.number, link.feed == feed),
            isouter=True,
        )
        .where(OBJECTS.object_id.in_(sorted(wanted)))
    )
    held: dict[tuple[str, str], _Held] = {}
    linked: set[int] = set()
    for number, object_id, revision, content, delivered in connection.execute(query):
        held[object_id, revision] = _Held(number, content)
        if delivered is not None:
            linked.add(number)
    return held, linked


def _row(
    item: IntelObject, held: _Held, *, revision: str, moment: str, at: datetime, levels: Levels
) -> dict[str, object]:
    return {
        "number": held.number,
        "object_id": item.id,
        "revision": revision,
        "moment": moment,
        "version": item.version,
        "type": item.type,
        "spec_version": item.spec_version,
        "created_by": item.created_by,
        "revoked": item.revoked,
        "tlp": level_of(item, levels).value,
        "content_sha256": held.content_sha256,
        "added_at": at,
        "body": item.body,
    }


def write_chunk(connection: Connection, plan: Plan, *, feed: str, at: datetime) -> None:
    """Write what a plan says, and mark anew what uses a marking that it defines."""
    fresh = [item for item, *_ in plan.fresh]
    levels = known_levels(connection, fresh)
    rows = [
        _row(item, held, revision=revision, moment=moment, at=at, levels=levels)
        for item, held, revision, moment in plan.fresh
    ]
    originals = [
        {"object_number": held.number, "body": item.original}
        for item, held, _, _ in plan.fresh
        if item.original
    ]
    claims = [
        {"object_number": held.number, "claim": claim}
        for item, held, _, _ in plan.fresh
        if item.type == "indicator" and (claim := claim_key(item.content))
    ]
    provenance = {"feed": feed, "first_at": at}
    links = [{"object_number": number, **provenance} for number in plan.links]
    others = [
        {"object_number": number, "body": body, **provenance}
        for number, body in plan.conflicts.items()
    ]
    for table, values in (
        (INTEL_OBJECT, rows),
        (INTEL_ORIGINAL, originals),
        (INTEL_CLAIM, claims),
        (INTEL_FEED_OBJECT, links),
        (INTEL_CONFLICT, others),
    ):
        if values:
            connection.execute(insert(connection, table).on_conflict_do_nothing(), values)
    mark_held(connection, fresh)


def normal_time(version: str) -> str:
    """A STIX timestamp in a form that sorts by time at any precision; "" for no version.

    "…:00Z", "…:00.0Z" and "…:00.000Z" are one instant and become one text; another text stays as
    it is.
    """
    match = _TIME.fullmatch(version)
    if match is None:
        return clean(version) if len(version) <= _FORM_LIMIT else f"text:{sha256(clean(version))}"
    seconds, fraction = match[1], (match[2] or "").rstrip("0")
    form = f"{seconds}.{fraction}" if fraction else seconds
    return form[:_FORM_LIMIT]


def content_sha256(item: IntelObject) -> str:
    """Hash of what an object says, whatever the order of its keys or its white space."""
    try:
        return sha256(orjson.dumps(item.content, option=orjson.OPT_SORT_KEYS))
    except orjson.JSONEncodeError:  # integers beyond 64 bits
        return sha256(item.body)

"""Versions of what we publish: the same content is the same version, other content a newer one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from huntonce.models.feedback.stixtext import SCO_TYPES, Stix, read_object, write_object
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.windows import utc

_UNVERSIONED = SCO_TYPES | {"marking-definition"}


def stix_time(moment: datetime) -> str:
    """A moment as STIX writes it, in milliseconds."""
    return f"{utc(moment).isoformat(timespec='milliseconds')[:23]}Z"


def moved_on(modified: object) -> str:
    """The first time after a version's."""
    return stix_time(_moment(modified) + timedelta(milliseconds=1))


def versioned(
    planned: Sequence[Publication], before: Mapping[str, Publication], now: datetime
) -> tuple[Publication, ...]:
    """The planned objects as versions that may follow what the destination has, or may have.

    ``before``: The newest version of each object that may be there. One whose content is the same
    is that version again; other content gets a newer ``modified``. What was withdrawn stays
    withdrawn.
    """
    return tuple(
        _after(one, before[one.object_id], now) if one.object_id in before else one
        for one in planned
    )


def _after(fresh: Publication, held: Publication, now: datetime) -> Publication:
    if fresh.object_type in _UNVERSIONED:
        return replace(fresh, body=held.body, version=held.version)
    new, old = read_object(fresh.body), read_object(held.body)
    withdrawn = old.get("revoked") is True or held.state is PublicationState.RETRACTED
    if withdrawn and new.get("revoked") is not True:
        why = f"it was retracted at {held.destination}, which is final"
        return replace(fresh, state=PublicationState.REJECTED_FIELD, why=why)
    if _timeless(new) == _timeless(old):
        return replace(fresh, body=held.body, version=held.version)
    if "modified" not in new:
        return fresh
    content = {**new, "created": old.get("created"), "modified": _later(new, old, now)}
    return replace(fresh, body=write_object(content), version=str(content["modified"]))


def revoked(held: Publication, now: datetime) -> Publication:
    """The version that withdraws a published object."""
    old = read_object(held.body)
    content = {**old, "modified": _later(old, old, now), "revoked": True}
    return replace(
        held,
        id="",
        body=write_object(content),
        version=str(content["modified"]),
        state=PublicationState.PLANNED,
        why="",
    )


def _timeless(content: Stix) -> Stix:
    return {k: v for k, v in content.items() if k not in {"created", "modified"}}


def _later(new: Stix, old: Stix, now: datetime) -> str:
    """A time after the old version, the new one's own or now where they are."""
    least = _moment(old.get("modified")) + timedelta(milliseconds=1)
    own = _moment(new.get("modified"))
    return stix_time(own if own >= least else max(now, least))


def _moment(value: object) -> datetime:
    try:
        return utc(datetime.fromisoformat(str(value)))
    except ValueError:
        return datetime(1970, 1, 1, tzinfo=UTC)

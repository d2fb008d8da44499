"""The one shape that Windows events leave the readers of their shapes in."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from huntonce.connectors.siem.lake.fields import NotAnEventError, as_text, integer, microseconds
from huntonce.connectors.siem.lake.taskfields import add_task_fields, unescape_content
from huntonce.connectors.sigma.channels import SECURITY, SYSMON, TASK_SCHEDULER, canonical_channel

SYSTEM_FIELDS = ("Level", "Task", "Opcode", "Keywords", "Version")

_MAX_QUALIFIED_ID = 0xFFFF_FFFF
_EVENT_ID_MASK = 0xFFFF
_MAX_RECORD_ID = 2**63 - 1
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_PROVIDER_CHANNELS = {
    "Microsoft-Windows-Security-Auditing": SECURITY,
    "Microsoft-Windows-Sysmon": SYSMON,
    "Microsoft-Windows-TaskScheduler": TASK_SCHEDULER,
}


@dataclass(slots=True)
class Event:
    """One event in the lake's own shape.

    Attributes:
        uid: 32 hex digits: the same event from another file has the same.
        host: Short name, upper case.
        computer: As recorded.
        recorded: The recorder's time as if it were UTC, microseconds since 1970.
        local: The recorder may have written another zone than UTC.
        hint: Offset of the recorder's zone by the collector's own two clocks, microseconds.
        ingested: When the collector took it, microseconds since 1970 UTC.
        fields: The event's own fields, values as text.
        problem: Why a part of it could not be read; the event itself stands.
        lacking: What this shape leaves out of every event; empty where it is whole.
    """

    uid: str
    host: str
    computer: str
    channel: str
    provider: str
    event_id: int
    record_id: int | None
    recorded: int
    local: bool
    hint: int | None
    ingested: int | None
    fields: dict[str, str]
    problem: str
    lacking: str = ""


def make_event(  # noqa: PLR0913 - one argument a column
    fields: dict[str, str],
    system: Mapping[str, Any],
    *,
    computer: object,
    channel: object,
    provider: object,
    event_id: object,
    record_id: object,
    recorded: int,
    local: bool = False,
    hint: int | None = None,
    ingested: object = None,
    user_id: object = None,
) -> Event:
    """An event of what a shape says of it; ``system`` holds the header's ``SYSTEM_FIELDS``.

    Raises:
        NotAnEventError: Something that every event has is missing.
    """
    number = integer(event_id)
    if number is None or not 0 <= number <= _MAX_QUALIFIED_ID:
        raise NotAnEventError("its event id is not a number of 32 bits")
    number &= _EVENT_ID_MASK  # some converters leave a classic event's qualifiers in the high half
    source = provider if isinstance(provider, str) else ""
    if not isinstance(channel, str) or not channel.strip():
        channel = _PROVIDER_CHANNELS.get(source, source)
    if not channel.strip():
        raise NotAnEventError("not a Windows event: it names no channel or provider")
    if not isinstance(computer, str) or not computer.strip():
        raise NotAnEventError("it names no computer")
    record = integer(record_id)
    if record is not None and not 0 <= record <= _MAX_RECORD_ID:
        record = None
    host, name = short_host(computer), canonical_channel(channel.strip())
    unescape_content(fields)
    uid = _uid(host, name, number, record, recorded, fields)
    problem = add_task_fields(number, name, fields)
    _add_system_fields(fields, system, user_id)
    return Event(
        uid=uid,
        host=host,
        computer=computer,
        channel=name,
        provider=source,
        event_id=number,
        record_id=record,
        recorded=recorded,
        local=local,
        hint=hint,
        ingested=_stamp(ingested),
        fields=fields,
        problem=problem,
    )


@lru_cache(maxsize=65_536)
def short_host(computer: str) -> str:
    """The name up to its first dot, upper case; an address stays whole."""
    name = computer.strip().upper()
    head, dot, _ = name.partition(".")
    if not dot or not head or ":" in name or name.replace(".", "").isdigit():
        return name
    return head


def inner(document: Mapping[str, Any], outer: str, name: str) -> object:
    """The value at ``outer.name``; None where there is none."""
    found = document.get(outer)
    return found.get(name) if isinstance(found, dict) else None


def _uid(
    host: str, channel: str, event_id: int, record: int | None, recorded: int, own: dict[str, str]
) -> str:
    identity = [host, channel.lower(), event_id, record, recorded, own]
    try:
        content = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise NotAnEventError(f"a value is not text: {error}") from None
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _add_system_fields(fields: dict[str, str], system: Mapping[str, Any], user_id: object) -> None:
    for name in SYSTEM_FIELDS:
        value = system.get(name)
        if value is None or name in fields:
            continue
        if type(value) is int:
            # Windows shows the mask in hex; nxlog writes it as a signed number.
            fields[name] = f"0x{value & _MASK:x}" if name == "Keywords" else str(value)
        elif (text := as_text(value)) is not None:
            fields[name] = text
    if isinstance(user_id, str) and user_id:
        fields.setdefault("UserID", user_id)


def _stamp(value: object) -> int | None:
    if value is None:
        return None
    try:
        return microseconds(value)[0]
    except NotAnEventError:
        return None

"""The tables that hold Windows events, and how each says what an event is.

Columns: https://learn.microsoft.com/azure/azure-monitor/reference/tables/securityevent,
.../windowsevent and .../event.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from huntonce.connectors.siem.fieldnames import FieldNames
from huntonce.connectors.siem.sentinel.kql import TIME, either, name, text
from huntonce.connectors.sigma.logsource import Variant

_JSON_FILLED = '(?:" *(?:- *[^ "]|[^- "])|[^"n ])'
_XML_FILLED = " *>[ ]*(?:- *[^ <]|[^- <])"
_FILLED = "^ *(?:- *[^ ]|[^- ])"
_QUOTES = "[\"']"


@dataclass(frozen=True, slots=True)
class Shape:
    """One table.

    Attributes:
        channel, provider, record: Columns; record is empty where there is none.
        system: Name in the event's System part to the column.
        xml: Columns that hold the event's data as XML.
        json: The column that holds it as JSON; empty where none does.
        own: Columns that hold single values of the event's data are there, too.
        noise: Columns that are not read: the service's own, or made of others.
    """

    table: str
    channel: str
    provider: str
    record: str
    system: Mapping[str, str]
    xml: tuple[str, ...] = ()
    json: str = ""
    own: bool = False
    noise: frozenset[str] = field(default_factory=frozenset)


_SERVICE = frozenset(
    {
        *("TenantId", "SourceSystem", "MG", "ManagementGroupName", "SourceComputerId", "Type"),
        *("EventOriginId", "TimeCollected", "_ResourceId", "_SubscriptionId", "_BilledSize"),
        *("_IsBillable", "_ItemId", "AzureDeploymentID", "Role", "PartitionKey", "RowKey"),
        *("StorageAccount", "AzureTableName", "AzureTableNameId", "Correlation", "EventLevelName"),
        *("SystemProcessId", "SystemThreadId", "_TimeReceived"),
    }
)

SHAPES: Mapping[str, Shape] = {
    shape.table: shape
    for shape in (
        Shape(
            table="SecurityEvent",
            channel="Channel",
            provider="EventSourceName",
            record="EventRecordId",
            system={
                **{one: one for one in ("Level", "Task", "Opcode", "Keywords", "Version")},
                "UserID": "SystemUserId",
            },
            xml=("EventData",),
            own=True,
            noise=_SERVICE | {"Account", "AccountType", "Activity", "Process"},
        ),
        Shape(
            table="WindowsEvent",
            channel="Channel",
            provider="Provider",
            record="EventRecordId",
            system={
                "Level": "EventLevel",
                **{one: one for one in ("Task", "Opcode", "Keywords", "Version")},
                "UserID": "SystemUserId",
            },
            xml=("RawEventData",),
            json="EventData",
            noise=_SERVICE,
        ),
        Shape(
            table="Event",
            channel="EventLog",
            provider="Source",
            record="",
            system={"Level": "EventLevel"},
            xml=("EventData",),
            noise=_SERVICE | {"Message", "ParameterXml", "EventCategory", "UserName"},
        ),
    )
}


class Table:
    """A table as it is there: its shape and the columns that the workspace says it has."""

    def __init__(self, shape: Shape, columns: Sequence[str]) -> None:
        self.shape = shape
        self.columns = frozenset(columns)
        own = {
            *(TIME, "Computer", "EventID", shape.channel, shape.provider, shape.record),
            *(*shape.system.values(), *shape.xml, shape.json),
        }
        self.data = tuple(
            column
            for column in columns
            if shape.own and column not in own and column not in shape.noise
        )
        self._names = FieldNames(Variant(), self.data)

    @property
    def missing(self) -> tuple[str, ...]:
        """Columns without which its events cannot be read."""
        needed = (TIME, "Computer", "EventID", self.shape.channel, self.shape.provider)
        return tuple(column for column in needed if column not in self.columns)

    @property
    def projection(self) -> str:
        """The columns that are read of an event."""
        kept = [column for column in sorted(self.columns) if column not in self.shape.noise]
        return ", ".join(name(column) for column in kept)

    def scope(self, place: Variant) -> list[str]:
        """What the events of one place of a log source are told by."""
        parts = []
        if place.channel:
            parts.append(f"{name(self.shape.channel)} =~ {text(place.channel)}")
        if place.event_ids:
            parts.append(either("EventID", place.event_ids))
        return parts

    def text(self, place: Variant, fields: Sequence[str]) -> str:
        """The event's data as text, of its own columns those that hold some fields."""
        found = [*self._texts(self.shape.xml), *self._texts((self.shape.json,))]
        columns = (self._column(place, one) for one in fields)
        found += [f"tostring({name(one)})" for one in dict.fromkeys(columns) if one]
        return found[0] if len(found) == 1 else f"strcat({', '.join(_spread(found))})"

    def has(self, place: Variant, wanted: str) -> str:
        """What holds for the events that have a field."""
        if place.renames:
            wanted = _renamed(place, wanted)
        tests = [f"isnotempty({one})" for one in self._values(wanted)]
        loose = _loose(wanted)
        tests += self._matches(
            f"(?i)Name={_QUOTES}{loose}{_QUOTES}|<{loose}[ >/]", f'(?i)[{{,]"{loose}":'
        )
        return f"({' or '.join(tests)})"

    def filled(self, wanted: str) -> str:
        """What holds for the events in which a field's value is more than blanks and a dash."""
        tests = [f"{one} matches regex {text(_FILLED)}" for one in self._values(wanted)]
        loose = _loose(wanted)
        tests += self._matches(
            f"(?i)Name={_QUOTES}{loose}{_QUOTES}{_XML_FILLED}", f'(?i)[{{,]"{loose}":{_JSON_FILLED}'
        )
        return f"({' or '.join(tests)})"

    def unreadable(self) -> str:
        """What holds for the events whose data is there, but not in the form it should have."""
        found = [f'({one} matches regex "^ *[^ <]")' for one in self._texts(self.shape.xml)]
        found += [f'({one} matches regex "^ *[^ {{]")' for one in self._texts((self.shape.json,))]
        return f"({' or '.join(found)})"

    def value(self, place: Variant, wanted: str) -> str:
        """A field's value as text; empty where an event does not have it."""
        wanted = _renamed(place, wanted)
        found = [f"tostring({name(self.shape.json)}[{text(wanted)}])"] if self.shape.json else []
        pattern = f"(?i)Name={_QUOTES}{_loose(wanted)}{_QUOTES} *>([^<]*)<"
        found += [
            _unescaped(f"extract({text(pattern)}, 1, {one})") for one in self._texts(self.shape.xml)
        ]
        column = self._column(Variant(), wanted)
        if column:  # what has a column stands there
            found = [f"tostring({name(column)})"]
        system = {key.lower(): column for key, column in self.shape.system.items()}
        record = {"eventid": "EventID", "computer": "Computer", "computername": "Computer",
                  "channel": self.shape.channel, "provider_name": self.shape.provider}  # fmt: skip
        known = record.get(wanted.lower()) or system.get(wanted.lower())
        if known:
            return f"tostring({name(known)})" if known in self.columns else '""'
        return found[0] if len(found) == 1 else f"coalesce({', '.join(found)})"

    # ------------------------------------------------------------ inside

    def _texts(self, columns: Sequence[str]) -> list[str]:
        return [f"tostring({name(one)})" for one in columns if one and one in self.columns]

    def _matches(self, xml: str, json: str) -> list[str]:
        tests = [f"{one} matches regex {text(xml)}" for one in self._texts(self.shape.xml)]
        return tests + [
            f"{one} matches regex {text(json)}" for one in self._texts((self.shape.json,))
        ]

    def _values(self, wanted: str) -> list[str]:
        system = {key.lower(): column for key, column in self.shape.system.items()}
        columns = (self._column(Variant(), wanted), system.get(wanted.lower()))
        return self._texts([one for one in columns if one])

    def _column(self, place: Variant, wanted: str) -> str:
        found = self._names.find(_renamed(place, wanted))
        return found if found is not None and not found.startswith("@") else ""


def _renamed(place: Variant, wanted: str) -> str:
    return {key.lower(): to for key, to in place.renames.items()}.get(wanted.lower(), wanted)


def _loose(wanted: str) -> str:
    """A field's letters and digits as a pattern, with at most two other characters between."""
    letters = [one for one in wanted if one.isalnum()]
    parts = [one if one.isascii() else f"\\x{{{ord(one):x}}}" for one in letters]
    return "[ ._-]{0,2}".join(parts) or "[^\"'<>]*"


def _spread(found: Sequence[str]) -> list[str]:
    """The texts with something between them that is part of none of their pieces."""
    return [part for one in found for part in (one, '"\\n"')][:-1]


def _unescaped(value: str) -> str:
    """A text in XML without its entities."""
    marks = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&"))
    for mark, meant in marks:
        value = f"replace_string({value}, {text(mark)}, {text(meant)})"
    return value


_RE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def usable(columns: Sequence[str]) -> list[str]:
    """The columns whose names can be asked for."""
    return [column for column in columns if _RE_NAME.fullmatch(column)]

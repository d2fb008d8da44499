"""Tables of events (CSV, Parquet, flat JSON of other tools): which column means what.

A mapping may be given; what it leaves open is known from the column names of the common exports:
``Get-WinEvent | Export-Csv`` (or ConvertTo-Json), EvtxECmd, Kibana, Splunk, Azure Monitor, and
whatever names its columns EventID, TimeCreated, Computer, Channel or alike.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from huntonce.connectors.sigma.rules import load_documents
from huntonce.models.errors import ConfigError, DomainError

TARGETS = ("time", "host", "channel", "provider", "event_id", "record_id")
"""What every event needs, but for the record id, and either of channel and provider."""

_HINT = (
    "write  columns: {time: Date, host: PC, event_id: Id}  and, where needed,"
    "  constants: {channel: Security}, zone, time_format, delimiter, encoding"
)
_KEYS = frozenset({"columns", "constants", "zone", "time_format", "delimiter", "encoding"})
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "time": ("timecreated", "eventtime", "systemtime", "timegenerated", "timegeneratedutc",
             "timestamp", "dateandtime", "winlogtimecreated", "time"),
    "host": ("computer", "machinename", "computername", "winlogcomputername", "hostname", "host"),
    "channel": ("channel", "logname", "winlogchannel", "eventlog"),
    "provider": ("providername", "provider", "winlogprovidername", "sourcename",
                 "eventsourcename", "source"),
    "event_id": ("eventid", "winlogeventid", "eventcode", "id"),
    "record_id": ("eventrecordid", "winlogrecordid", "recordid", "recordnumber"),
}  # fmt: skip
_NEEDED = {
    "time": "the time",
    "host": "the host",
    "event_id": "the event id",
    "channel": "the channel (or the provider)",
}
_PREFIXES = ("winlog.event_data.", "winlog.user_data.", "event_data.", "user_data.")
_DOTNET = frozenset({"machinename", "logname", "providername"})
_DOTNET_NOISE = frozenset(
    {
        *("processid", "threadid", "userid", "bookmark", "properties", "matchedqueryids"),
        *("containerlog", "providerid", "qualifiers", "activityid", "relatedactivityid"),
        *("leveldisplayname", "opcodedisplayname", "taskdisplayname", "keywordsdisplaynames"),
        *("pscomputername", "runspaceid", "psshowcomputername", "psobject"),
    }
)
"""What Get-WinEvent says of the record and its writer; its ProcessId is not the event's own."""

_EVTXECMD = frozenset({"payload", "mapdescription", "chunknumber"})
_EVTXECMD_KEPT = frozenset({"level", "keywords"})
_UTC_NAMES = frozenset({"timegeneratedutc"})


class MappingNeededError(ValueError):
    """A table of which it is not known what its columns mean; the message says what is missing."""

    hint = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableMapping:
    """What a user says of a table.

    Attributes:
        columns: (target, column): one of ``TARGETS``, or a field's name as Sigma rules use it.
        constants: (target, value) for what no column holds.
        zone: Of times that name none: ``UTC``, ``+02:00`` or a name such as Europe/Vienna. Empty:
            not known, so that a recording's own Sysmon events may tell.
        time_format: As ``datetime.strptime`` has it; empty for the usual ones.
        delimiter: Of a CSV file; empty to find it out.
        encoding: Of a CSV file without a byte order mark; empty for UTF-8.
    """

    columns: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, str], ...] = ()
    zone: str = ""
    time_format: str = ""
    delimiter: str = ""
    encoding: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What the columns of one table mean.

    Attributes:
        targets: Target to column.
        fields: (column, field's name) of the events' own fields.
        payload: Column with the event data as JSON (EvtxECmd); empty for none.
        message: Column with the rendered message; empty for none.
        zone: As of the mapping; "UTC" where the export is known to write that.
        explicit: A user gave the mapping: a zone that a time names is believed.
        day_first: How 05/01/2026 is meant; None where that is not known.
    """

    targets: Mapping[str, str]
    constants: Mapping[str, str]
    fields: tuple[tuple[str, str], ...]
    payload: str = ""
    message: str = ""
    zone: str = ""
    time_format: str = ""
    explicit: bool = False
    day_first: bool | None = None


def read_mapping(path: Path) -> TableMapping:
    """The mapping in a YAML file.

    Raises:
        ConfigError: It cannot be read, or says something that is not known.
    """
    try:
        documents = load_documents(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, DomainError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint=_HINT) from error
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise ConfigError(f"{path} holds no mapping", hint=_HINT)
    found = documents[0]
    unknown = sorted(str(key) for key in found.keys() - _KEYS)
    if unknown:
        raise ConfigError(f"{path}: {', '.join(unknown)} is not known here", hint=_HINT)
    texts = {key: str(found.get(key) or "") for key in _KEYS - {"columns", "constants"}}
    return checked(
        TableMapping(
            columns=_pairs(path, found.get("columns")),
            constants=_pairs(path, found.get("constants")),
            **texts,
        )
    )


def _pairs(path: Path, value: object) -> tuple[tuple[str, str], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: columns and constants are mappings", hint=_HINT)
    return tuple((str(target), str(column)) for target, column in value.items())


def checked(mapping: TableMapping) -> TableMapping:
    """The mapping, if its parts can be used.

    Raises:
        ConfigError: One cannot; says which.
    """
    from huntonce.connectors.siem.lake.tabletime import zone_named  # noqa: PLC0415 - no circle

    try:
        if mapping.zone:
            zone_named(mapping.zone)
        if mapping.encoding:
            "".encode(mapping.encoding)
    except (ValueError, LookupError) as error:
        raise ConfigError(f"the mapping: {error}", hint=_HINT) from error
    if len(mapping.delimiter) > 1:
        raise ConfigError("the mapping: a delimiter is one character", hint=_HINT)
    return mapping


@lru_cache(maxsize=1_024)
def layout_of(names: tuple[str, ...], mapping: TableMapping | None = None) -> Layout:
    """What the columns of these names mean.

    Raises:
        MappingNeededError: Something that every event needs is not among them.
    """
    mapping = mapping or TableMapping()
    targets, constants = _targets(names, mapping), dict(mapping.constants)
    missing = [
        what
        for target, what in _NEEDED.items()
        if not ({target, "provider"} if target == "channel" else {target})
        & (targets.keys() | constants.keys())
    ]
    if missing:
        raise _needed(f"no column is known to hold {' and '.join(missing)}", names, missing)
    lower = {_letters(name): name for name in reversed(names)}
    own = {column: field for field, column in mapping.columns if field not in TARGETS}
    known = lower.keys()
    noise = _DOTNET_NOISE if known >= _DOTNET else frozenset()
    taken = set(targets.values())
    fields = [
        (name, own.get(name) or _field(name))
        for name in names
        if name in own or (name not in taken and _letters(name) not in noise)
    ]
    layout = Layout(
        targets=targets,
        constants={**constants},
        fields=tuple(fields),
        message=lower.get("message", ""),
        zone=mapping.zone or ("UTC" if _letters(targets.get("time", "")) in _UTC_NAMES else ""),
        time_format=mapping.time_format,
        explicit=bool(mapping.columns or mapping.constants or mapping.zone),
    )
    if known >= _EVTXECMD:
        kept = tuple(
            pair for pair in fields if pair[0] in own or _letters(pair[0]) in _EVTXECMD_KEPT
        )
        layout = replace(
            layout, payload=lower["payload"], fields=kept, zone=mapping.zone or "UTC", message=""
        )
    return layout


def _targets(names: Sequence[str], mapping: TableMapping) -> dict[str, str]:
    found: dict[str, str] = {}
    for target, column in mapping.columns:
        if column not in names:
            raise _needed(f"the mapping names a column {column!r} that is not there", names, ())
        if target in TARGETS:
            found[target] = column
    by_letters = {_letters(name): name for name in reversed(names)}
    constants = {target for target, _ in mapping.constants}
    for target, synonyms in _SYNONYMS.items():
        if target in found or target in constants:
            continue
        named = [by_letters[name] for name in synonyms if name in by_letters]
        if named and named[0] not in found.values():
            found[target] = named[0]
    return found


def _needed(reason: str, names: Iterable[str], missing: Sequence[str]) -> MappingNeededError:
    error = MappingNeededError(f"it needs a mapping: {reason}")
    shown = [name[:60] for name in names]
    listed = ", ".join(shown[:40]) + (" ..." if len(shown) > 40 else "")  # noqa: PLR2004 - a line
    ways = {
        "the time": "--map time=COLUMN",
        "the host": "--map host=COLUMN or --constant host=NAME",
        "the event id": "--map event_id=COLUMN",
        "the channel (or the provider)": "--map channel=COLUMN or --constant channel=NAME",
    }
    said = "; ".join(ways[what] for what in missing) or "correct the mapping"
    error.hint = f"{said} (or a file with --mapping); its columns are: {listed}"
    return error


def _field(name: str) -> str:
    for prefix in _PREFIXES:
        if name.lower().startswith(prefix):
            return name[len(prefix) :]
    return name


def _letters(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())

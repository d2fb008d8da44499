"""The SPL that is sent, and how what goes into it is quoted.

What a rule says reaches a search in two ways only: as the pieces of its values, which are letters,
digits, spaces, dots, dashes and underscores (``LIKE`` takes one for any character), and as numbers.
Field names reach it as lower-case words. What else varies (indexes, channels) is quoted. A value
can therefore not end a literal, begin a command, a subsearch or a macro.
"""

import re
from collections.abc import Sequence

from huntonce.connectors.siem import textual
from huntonce.connectors.siem.fieldnames import RECORD_FIELDS
from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.siem.textual import AllOf, AnyOf, Contains, HasId, NoneOf, Question
from huntonce.connectors.sigma.ir import Condition
from huntonce.connectors.sigma.logsource import Variant
from huntonce.models.errors import DomainError

ID, CHANNEL, COMPUTER, TEXT = (
    "huntonce_id",
    "huntonce_channel",
    "huntonce_computer",
    "huntonce_text",
)
"""Fields that our searches make: of the record, and its text in lower case."""

_PIECE = re.compile(r"[A-Za-z0-9 ._\-]+")
"""Characters that every writer of JSON and XML leaves as they are: some escape / and +."""

_SAFE = re.compile(r"[a-z0-9 ._\-]*")
_WILD = re.compile(r"[A-Za-z0-9_.:/*-]+")
_WORD = re.compile(r"[A-Za-z0-9_]{1,128}")
_LONGEST = 1_000
# What stands around a field's name; the underscore of LIKE is a quotation mark of either kind.
_XML_NAMES = (("name=_", "_"), ("<", ">"), (" ", "=_"))
_JSON_NAMES = (('\\"', '\\"'),)
_FIRST_PRINTABLE, _DELETE = 32, 127

_PATHS = {
    ID: ("winlog.event_id", "Event.System.EventID", "EventID", "event_id", "event.code"),
    CHANNEL: ("winlog.channel", "Event.System.Channel", "Channel", "log_name"),
    COMPUTER: ("winlog.computer_name", "Event.System.Computer", "Hostname", "Computer"),
}
_DATA = ("winlog.event_data.", "winlog.user_data.", "Event.EventData.", "event_data.", "")
_XML = (
    f'rex field=_raw "<EventID[^>]*>(?<{ID}>[0-9]+)<"',
    f'rex field=_raw "<Channel>(?<{CHANNEL}>[^<]*)<"',
    f'rex field=_raw "<Computer>(?<{COMPUTER}>[^<]*)<"',
)


def quoted(value: str) -> str:
    """A text literal of eval and where.

    Raises:
        DomainError: It has control characters, or is longer than any name is.
    """
    bad = any(ord(one) < _FIRST_PRINTABLE or ord(one) == _DELETE for one in value)
    if bad or len(value) > _LONGEST:
        raise DomainError("a name has characters that no search can hold, or is too long")
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def pieces(value: str) -> Sequence[str]:
    """The parts of a text that stand in an event as they are."""
    return [found for found in _PIECE.findall(value) if found.strip(" _")]


def candidates(condition: Condition, place: Variant) -> str:
    """The test that every event of a place meets that the condition holds for."""
    return written(textual.candidates(condition, place, pieces))


def written(question: Question) -> str:
    """A question as a test of where; it is never null, so that NOT means what it says."""
    match question:
        case bool():
            return "true()" if question else "false()"
        case HasId(number):
            return f"{ID}={number}"
        case Contains(found):
            return like("%".join(found))
        case NoneOf(item):
            return f"NOT ({written(item)})"
        case AllOf(items):
            return "(" + " AND ".join(written(item) for item in items) + ")"
        case AnyOf(items):
            return "(" + " OR ".join(written(item) for item in items) + ")"


def like(pattern: str) -> str:
    """The test that the event's text has a pattern of pieces and ``%``.

    Raises:
        DomainError: It is made of more than those.
    """
    return f'like({TEXT}, "%{"%".join(_checked(piece) for piece in pattern.split("%"))}%")'


def _checked(piece: str) -> str:
    if not _SAFE.fullmatch(piece):
        raise DomainError("a piece of a value has characters that no search can hold")
    return piece


def may_have(settings: SplunkSettings, place: Variant, field: str) -> str:
    """The test that every event meets that has a field, in any case of its name."""
    if field.lower() in RECORD_FIELDS:
        return "true()"
    names: Sequence[str] = textual.spellings(place, field)
    if field.lower() in TASK_FIELDS:
        names = ("taskcontent", "taskcontentnew")
    if not names:
        return "true()"
    around = _XML_NAMES if settings.format == "xml" else _JSON_NAMES
    tests = [
        f'like({TEXT}, "%{before}{_checked(name)}{after}%")'
        for name in names
        for before, after in around
    ]
    return "(" + " OR ".join(tests) + ")"


def source(settings: SplunkSettings, *, command: str = "search") -> str:
    """The events of the settings."""
    indexes = " OR ".join(f"index={_named(name)}" for name in settings.indexes)
    types = " OR ".join(f"sourcetype={_named(name)}" for name in settings.sourcetypes)
    return f"{command} ({indexes}) ({types})"


def events(
    settings: SplunkSettings, event_ids: Sequence[int] = (), words: Sequence[int] = ()
) -> str:
    """The events of the settings whose text has some ids (and numbers), with ``ID`` and so on.

    An id that is not in the text as a word of its own is not found.
    """
    found = source(settings)
    for numbers in (event_ids, words):
        if numbers:
            found += " (" + " OR ".join(f'"{int(number)}"' for number in numbers) + ")"
    nothing = ", ".join(f"{name}=null()" for name in _PATHS)
    if settings.format == "xml":
        steps = [f"eval {nothing}", *_XML, f"eval {ID}=tonumber({ID})"]
    else:
        read = ", ".join(f"{name}={_first(paths)}" for name, paths in _PATHS.items())
        steps = [f"eval {read}", f"eval {ID}=tonumber({ID})"]
    return piped(found, *steps)


def in_place(place: Variant) -> str:
    """The test that an event is of one place of a log source.

    Raises:
        DomainError: The channel's name cannot be quoted.
    """
    tests = [f"isnotnull({ID})"]
    if place.channel:
        tests.append(f"lower({CHANNEL})={quoted(place.channel.lower())}")
    if place.event_ids:
        tests.append(f"{ID} IN ({', '.join(str(int(number)) for number in place.event_ids)})")
    return "(" + " AND ".join(tests) + ")"


def folding(form: str) -> str:
    """Makes ``TEXT``: letters in lower case, with the two others that are ASCII ones there.

    Some writers of JSON escape those two.
    """
    text = 'replace(replace(_raw, "\u212a", "k"), "\u0130", "i")'
    if form == "json":
        escape = quoted("(?<!\\\\)\\\\u")[:-1]
        text = f'replace(replace({text}, {escape}212[aA]", "k"), {escape}0130", "i")'
    return f"eval {TEXT}=lower({text})"


def value_of(settings: SplunkSettings, field: str, name: str) -> str | None:
    """The command that makes ``name`` of an event's own field; None where none can be written."""
    if not _WORD.fullmatch(field) or not _WORD.fullmatch(name):
        return None
    if settings.format == "xml":
        return f'rex field=_raw "<Data Name=.{field}.>(?<{name}>[^<]*)<"'
    return f"eval {name}={_first([f'{outer}{field}' for outer in _DATA])}"


def piped(*commands: str) -> str:
    """Commands one after the other."""
    return " | ".join(commands)


def _first(paths: Sequence[str]) -> str:
    read = ", ".join(f'json_extract(_raw, "{path}")' for path in paths)
    return f"coalesce({read})"


def _named(name: str) -> str:
    if not _WILD.fullmatch(name):
        raise DomainError(f"{name!r} is no name of an index or source type")
    return f'"{name}"'

"""Sigma rules as whole SPL searches, for saved searches that Splunk runs by itself.

pySigma's Splunk backend writes the condition; where it would say something else than the rule, the
rule is refused by name. Its Windows pipeline is not used: it asks for sources ``WinEventLog:...``,
which events rendered as XML do not have, and knows none of the categories, so that a rule on
process creation would look at everything. Places and renamed fields are ours, therefore. What the
backend gets wrong, or Splunk cannot be asked in its search command:

- ``?`` becomes ``*``; a literal ``*`` cannot be asked for, escaped or not;
- the search command minds no case, and finds words, not parts of words, without a field;
- regular expressions run as commands of their own, unanchored, with state kept between rules;
- ``fields`` of a rule end up in a command unquoted;
- a back quote begins a macro, and ``$name$`` is replaced when a saved search is called.
"""

import ipaddress
import re
from collections.abc import Iterator, Sequence

from sigma.backends.splunk.splunk import SplunkBackend
from sigma.exceptions import SigmaError
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import FieldMappingTransformation

from huntonce.connectors.siem.fieldnames import RECORD_FIELDS
from huntonce.connectors.siem.lake.taskfields import TASK_FIELDS
from huntonce.connectors.siem.session import terminal
from huntonce.connectors.siem.splunk import spl
from huntonce.connectors.siem.splunk.settings import SplunkSettings
from huntonce.connectors.sigma.compiling import compile_detections
from huntonce.connectors.sigma.ir import ANY_TEXT, And, Atom, Condition, Named, Not, Op, Or
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.connectors.sigma.rules import logsource_of, parse_rule
from huntonce.models.errors import DomainError

MAX_QUERY = 20_000
"""Longest search of a rule, in characters."""

_TEXTS = frozenset({Op.EQ, Op.CONTAINS, Op.STARTSWITH, Op.ENDSWITH})
_RECORD = {
    "@channel": "Channel",
    "@computer": "Computer",
    "@event_id": "EventCode",
    "@record_id": "EventRecordID",
}
_FIELD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_RESERVED = frozenset({"and", "or", "not", "in", "by", "as", "index", "sourcetype", "source",
                       "host", "search", "earliest", "latest"})  # fmt: skip
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
_OUTSIDE = re.compile(r"[A-Za-z0-9_=*(), @.-]*")
_PLACEHOLDER = re.compile(r"\$[^$\s\"]+\$")
_DELETE, _FIRST_PRINTABLE = 127, 32


class _Backend(SplunkBackend):
    """With its negated tests in brackets: it writes NOT NOT otherwise."""

    field_null_expression = "(NOT {field}=*)"
    field_not_exists_expression = "(NOT {field}=*)"


def translate(connector: str, rule: str, settings: SplunkSettings) -> str:
    """The search of a rule over what came in since its last run.

    Raises:
        UnsupportedError: It cannot be written so that it means the same, or is too long.
    """
    with terminal(connector, "the rule"):
        parsed = parse_rule(rule)
        condition = compile_detections(parsed.detection, {})
        places = [_place(rule, place, condition) for place in variants(logsource_of(parsed))]
        query = " ".join(
            (
                _named("index", settings.indexes),
                _named("sourcetype", settings.sourcetypes),
                # What comes in late is older than the last run: the arrival counts.
                f"_index_earliest=-{settings.rules_minutes}m@m _index_latest=@m",
                f"({' OR '.join(places)})",
            )
        )
        _check(query)
    return query


def _place(rule: str, place: Variant, condition: Condition) -> str:
    fields: dict[str, str] = {}
    for atom in _atoms(condition):
        fields[str(atom.field)] = _field(place, atom)
        _ask(atom)
    parts = [f"Channel={spl.quoted(place.channel)}"] if place.channel else []
    if place.event_ids:
        parts.append(f"EventCode IN ({', '.join(map(str, place.event_ids))})")
    return f"({' '.join([*parts, f'({_converted(rule, fields)})'])})"


def _converted(rule: str, fields: dict[str, str]) -> str:
    """The condition as the backend writes it; the rule is read anew, since it is changed by it."""
    parsed = parse_rule(rule)
    parsed.fields = []
    renamed = FieldMappingTransformation({name: to for name, to in fields.items() if name != to})
    pipeline = ProcessingPipeline(items=[ProcessingItem(transformation=renamed)])
    try:
        found = _Backend(pipeline).convert_rule(parsed)
    except (SigmaError, NotImplementedError) as error:
        raise DomainError(f"pySigma cannot write it for Splunk: {error}") from error
    if len(found) != 1 or not isinstance(found[0], str):
        raise DomainError("it has more than one condition")
    return found[0]


def _field(place: Variant, atom: Atom) -> str:
    """The field that Splunk extracts of an event in XML."""
    if atom.field is None:
        raise DomainError("a saved search cannot look for part of a word in every field")
    named = {name.lower(): to for name, to in place.renames.items()}
    found = named.get(atom.field.lower(), atom.field)
    if atom.field.lower() in {name.lower() for name in place.values}:
        raise DomainError(f"{atom.field} is recorded in {place.channel} under other values")
    if found.lower() in RECORD_FIELDS:
        record = _RECORD.get(RECORD_FIELDS[found.lower()])
        if record is None:
            raise DomainError(f"{atom.field} is not mapped to a field of Splunk")
        return record
    if found.lower() in TASK_FIELDS:
        raise DomainError(f"{atom.field} is not mapped: Splunk does not read a task's definition")
    if not _FIELD.fullmatch(found) or found.lower() in _RESERVED:
        raise DomainError(f"{found!r} cannot be written as a field of Splunk")
    return found


def _ask(atom: Atom) -> None:
    """Refuse what does not mean the same there."""
    value = atom.value
    if atom.op in _TEXTS and isinstance(value, str):
        return _check_text(atom, value)
    if atom.op is Op.GLOB and isinstance(value, tuple):
        for part in value:
            if isinstance(part, str):
                _check_text(atom, part)
            elif part != ANY_TEXT:
                raise DomainError(f"{atom.field}: ? stands for one character, there for any text")
        return None
    if atom.op in (Op.NUMBER, Op.NULL, Op.EXISTS) and not isinstance(value, float):
        return None
    if atom.op is Op.CIDR and _is_network4(str(value)):
        return None
    raise DomainError(f"{atom.op.name} of {atom.field} cannot be asked of a saved search")


def _check_text(atom: Atom, value: str) -> None:
    if not value:
        raise DomainError(f"{atom.field}: Splunk extracts no empty values")
    if any(ord(one) < _FIRST_PRINTABLE or ord(one) == _DELETE for one in value):
        raise DomainError(f"{atom.field}: a value has control characters")
    for sign, why in (("*", "a literal * cannot be asked for"), ("`", "a back quote is a macro's")):
        if sign in value:
            raise DomainError(f"{atom.field}: {why}")
    if not value.isascii():
        raise DomainError(f"{atom.field}: in what case Splunk finds {value[:40]!r} is not known")


def _check(query: str) -> None:
    """Read it back: nothing of the rule may stand outside quotes but names and numbers."""
    if len(query) > MAX_QUERY:
        raise DomainError(f"its search is longer than the {MAX_QUERY} characters that fit")
    if not _OUTSIDE.fullmatch(_LITERAL.sub("", query)):
        raise DomainError("its search would hold more than tests of fields")
    if _PLACEHOLDER.search(query):
        raise DomainError("a part of its search would be taken for a placeholder ($name$)")


def _atoms(condition: Condition) -> Iterator[Atom]:
    match condition:
        case Named(_, item) | Not(item):
            yield from _atoms(item)
        case And(items) | Or(items):
            for item in items:
                yield from _atoms(item)
        case Atom():
            yield condition


def _named(field: str, names: Sequence[str]) -> str:
    return f"({' OR '.join(f'{field}={spl.quoted(name)}' for name in names)})"


def _is_network4(text: str) -> bool:
    try:
        ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        return False
    return True

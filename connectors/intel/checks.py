"""Light STIX 2.1 validation for intake: some microseconds an object, and never an exception.

``stix2.parse`` is fifty times slower and refuses what the standard allows (TLP 2.0 under the old
ids, unknown types), so it stays out of the way in. Custom types, properties and extensions are
kept as they are.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from huntonce.connectors.intel.patterns import pattern_fault
from huntonce.connectors.intel.stix_types import COMMON, SHAPES, Family, Form, Shape
from huntonce.models.feedback import effective_tlp
from huntonce.models.intel import IntelObject
from huntonce.models.tlp import MARKINGS, TLP2_EXTENSION, Tlp, tightest

MAX_OBJECT_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
_ID = re.compile(
    r"([a-z0-9][a-z0-9-]{1,248}[a-z0-9])"
    r"--[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,18})?Z")
_OPINIONS = {"strongly-disagree", "disagree", "neutral", "agree", "strongly-agree"}
_RANGES = {
    "confidence": (0, 100),
    "count": (0, 999_999_999),
    "number_observed": (1, 999_999_999),
}
_CUSTOM = Shape(Family.VERSIONED, {}, {})
_NAMES = {
    Form.TEXT: "a text that is not empty",
    Form.TIME: "a timestamp like 2026-01-31T09:30:00.000Z",
    Form.REF: "an identifier like indicator--<UUID>",
    Form.REFS: "a list of identifiers that is not empty",
    Form.FLAG: "true or false",
    Form.NUMBER: "a whole number",
    Form.LIST: "a list that is not empty",
    Form.MAP: "an object",
}


def check_object(
    content: object, body: bytes, *, default_tlp: Tlp, markings: Mapping[str, Tlp] = MARKINGS
) -> IntelObject | str:
    """One parsed STIX object as intel, or what is wrong with it in one sentence.

    Args:
        content: What ``body`` parses to.
        body: The object's JSON as received.
        default_tlp: What an object without a TLP marking counts as.
        markings: Marking definition id to its level; see ``marking_levels``.
    """
    if not isinstance(content, dict):
        return "not a JSON object"
    if len(body) > MAX_OBJECT_BYTES:
        return f"larger than {MAX_OBJECT_BYTES // 1024 // 1024} MiB"
    fault = (
        _depth_fault(content, body)
        or _identity_fault(content)
        or _shape_fault(content)
        or _special_fault(content)
    )
    if fault:
        # Parts of it are the object's own words, and it is shown on terminals.
        return "".join(one if one.isprintable() else "?" for one in fault)
    observable = _family(content) is Family.OBSERVABLE
    return IntelObject(
        id=content["id"],
        type=content["type"],
        spec_version=content.get("spec_version", "2.1"),
        version="" if observable else content.get("modified") or content["created"],
        created_by=content.get("created_by_ref", ""),
        revoked=content.get("revoked", False),
        tlp=effective_tlp(content, default_tlp, markings),
        body=body,
        content=content,
    )


def marking_levels(contents: Iterable[object]) -> dict[str, Tlp]:
    """TLP levels by marking id: the standard's, and those that the given objects define.

    A definition under one of the standard's ids cannot redefine it.
    """
    found: dict[str, Tlp] = {}
    for content in contents:
        if isinstance(content, dict) and content.get("type") == "marking-definition":
            level, marking_id = _defined_level(content), content.get("id")
            if level is not None and isinstance(marking_id, str):
                found[marking_id] = tightest([level, found.get(marking_id, level)], level)
    return {**found, **MARKINGS}


def time_key(text: str) -> str:
    """A STIX timestamp in a form that sorts as text, whatever precision it was written with."""
    return f"{text[:19]}.{text[20:-1]:0<9}"


def is_time(value: object) -> bool:
    """Whether a value is a STIX timestamp of a day that exists."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value[:19])
    except ValueError:
        return False
    return True


def is_id(value: object) -> bool:
    """Whether a value has the syntax of a STIX identifier."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


_FORMS: dict[Form, Callable[[object], bool]] = {
    Form.TEXT: lambda value: isinstance(value, str) and value != "",
    Form.REF: is_id,
    Form.REFS: lambda value: isinstance(value, list) and value != [] and all(map(is_id, value)),
    Form.TIME: is_time,
    Form.FLAG: lambda value: isinstance(value, bool),
    Form.NUMBER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    Form.LIST: lambda value: isinstance(value, list) and value != [],
    Form.MAP: lambda value: isinstance(value, dict),
}


def _defined_level(content: Mapping[str, object]) -> Tlp | None:
    name: object = None
    extensions, definition = content.get("extensions"), content.get("definition")
    if isinstance(extensions, dict) and isinstance(extensions.get(TLP2_EXTENSION), dict):
        name = extensions[TLP2_EXTENSION].get("tlp_2_0")
    elif content.get("definition_type") == "tlp" and isinstance(definition, dict):
        name = {"white": "clear", "amber": "amber+strict"}.get(
            str(definition.get("tlp")).casefold(), definition.get("tlp")
        )
    try:
        return Tlp(str(name).casefold())
    except ValueError:
        return None


def _family(content: Mapping[str, object]) -> Family:
    shape = SHAPES.get(str(content["type"]))
    if shape is not None:
        return shape.family
    # A custom observable is told from a custom domain object by what only the latter must have.
    return Family.VERSIONED if "created" in content or "modified" in content else Family.OBSERVABLE


def _depth_fault(content: Mapping[str, object], body: bytes) -> str:
    """Deep nesting would end in a RecursionError wherever the object is written again."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return ""
    level: list[object] = [content]
    for _ in range(MAX_DEPTH):
        level = [
            below
            for value in level
            if isinstance(value, dict | list)
            for below in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return ""
    return f"nested more than {MAX_DEPTH} levels deep"


def _identity_fault(content: Mapping[str, object]) -> str:
    kind, name = content.get("type"), content.get("id")
    if not isinstance(kind, str) or not kind:
        return "has no type"
    if kind == "bundle":
        return "a bundle inside a bundle"
    match = _ID.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        return "has no id" if name is None else "id is not of the form type--UUID"
    if match[1] != kind:
        return f"id is of type {match[1]}, the object says {kind[:80]}"
    return _spec_fault(content)


def _spec_fault(content: Mapping[str, object]) -> str:
    spec = content.get("spec_version")
    if spec == "2.1" or (spec is None and _family(content) is Family.OBSERVABLE):
        return ""
    if spec is None and content["type"] in SHAPES:
        return "has no spec_version: STIX 2.0, or not valid STIX 2.1"
    if spec is None:
        return "has no spec_version"
    return f"is STIX {str(spec)[:20]}, not 2.1"


def _shape_fault(content: Mapping[str, object]) -> str:
    shape = SHAPES.get(str(content["type"]), _CUSTOM)
    for name in shape.required:
        if name not in content:
            return f"has no {name}"
    for forms in (shape.required, COMMON, shape.optional):
        for name, form in forms.items():
            if name in content and not _FORMS[form](content[name]):
                return f"{name} must be {_NAMES[form]}"
    for names in shape.any_of:
        if not any(name in content for name in names):
            return f"has none of {', '.join(names)}"
    family = _family(content)
    if family is Family.OBSERVABLE:
        return _order_fault(content, shape)
    return _version_fault(content, family) or _order_fault(content, shape)


def _version_fault(content: Mapping[str, object], family: Family) -> str:
    for name in ("created", "modified"):
        value = content.get(name)
        if value is None and not (name == "modified" and family is Family.MARKING):
            return f"has no {name}"
        if value is not None and not is_time(value):
            return f"{name} must be {_NAMES[Form.TIME]}"
    created, modified = str(content["created"]), content.get("modified")
    if modified is not None and time_key(created) > time_key(str(modified)):
        return "was modified before it was created"
    return ""


def _order_fault(content: Mapping[str, object], shape: Shape) -> str:
    for first, last in shape.order:
        start, end = content.get(first), content.get(last)
        if start and end and time_key(str(start)) > time_key(str(end)):
            return f"{last} is before {first}"
    if content["type"] in {"indicator", "relationship"}:
        first, last = (
            ("valid_from", "valid_until")
            if content["type"] == "indicator"
            else ("start_time", "stop_time")
        )
        start, end = content.get(first), content.get(last)
        if start and end and time_key(str(start)) >= time_key(str(end)):
            return f"{last} must be later than {first}"
    return ""


def _special_fault(content: Mapping[str, object]) -> str:
    revoked = content.get("revoked")
    if revoked is not None and not isinstance(revoked, bool):
        return "revoked must be true or false"
    for name, (low, high) in _RANGES.items():
        value = content.get(name)
        if value is not None and content["type"] in SHAPES and not _in_range(value, low, high):
            return f"{name} must be a whole number from {low} to {high}"
    match content["type"]:
        case "indicator" if content["pattern_type"] == "stix":
            return pattern_fault(str(content["pattern"]))
        case "opinion" if content["opinion"] not in _OPINIONS:
            return f"opinion must be one of {', '.join(sorted(_OPINIONS))}"
        case "malware" if content["is_family"] and not content.get("name"):
            return "a malware family has no name"
        case _:
            return ""


def _in_range(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

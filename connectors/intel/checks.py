"""Light STIX 2.1 validation for intake: some microseconds an object, and never an exception.

``stix2.parse`` is fifty times slower and refuses what the standard allows (TLP 2.0 under the old
ids, unknown types), so it stays out of the way in. Custom types, properties and extensions are
kept as they are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from huntonce.connectors.intel.forms import (
    FORMS,
    ID,
    NESTED,
    form_fault,
    is_time,
    time_key,
)
from huntonce.connectors.intel.patterns import pattern_fault
from huntonce.connectors.intel.soundness import CLOSELY, is_sound
from huntonce.connectors.intel.stix_types import COMMON, SHAPES, Family, Form, Shape
from huntonce.models.intel import IntelObject
from huntonce.models.tlp import MARKINGS, Levels, Tlp, effective_tlp

MAX_OBJECT_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 100
_OPINIONS = {"strongly-disagree", "disagree", "neutral", "agree", "strongly-agree"}
_RANGES = {
    "confidence": (0, 100),
    "count": (0, 999_999_999),
    "number_observed": (1, 999_999_999),
}
_CUSTOM = Shape(Family.VERSIONED, {}, {})


def check_object(
    content: object, body: bytes, *, default_tlp: Tlp, markings: Levels = MARKINGS
) -> IntelObject | str:
    """One parsed STIX object as intel, or what is wrong with it in one sentence.

    Args:
        content: What ``body`` parses to.
        body: The object's JSON as received.
        default_tlp: What an object without a TLP marking counts as.
        markings: Marking definition id to its level; see ``tlp.marking_levels``.
    """
    if not isinstance(content, dict):
        return "not a JSON object"
    if len(body) > MAX_OBJECT_BYTES:
        return f"larger than {MAX_OBJECT_BYTES // 1024 // 1024} MiB"
    fault = _fault(content, body)
    if fault:
        # Parts of it are the object's own words, and it is shown on terminals.
        return "".join(one if one.isprintable() else "?" for one in fault)
    kind = content["type"]
    observable = _family(content) is Family.OBSERVABLE
    return IntelObject(
        id=content["id"],
        type=kind,
        spec_version=content.get("spec_version") or "2.1",
        version="" if observable else content.get("modified") or content["created"],
        created_by=content.get("created_by_ref") or "",
        revoked=bool(content.get("revoked")),
        tlp=_tlp(content, default_tlp, markings),
        body=body,
        content=content,
    )


def _fault(content: Mapping[str, object], body: bytes) -> str:
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        deep = _depth_fault(content)
        if deep:
            return deep
    if is_sound(content):
        kind = content["type"]
        if kind not in CLOSELY:
            return ""
        shape = SHAPES[str(kind)]
        return _order_fault(content, shape) or _kind_fault(content)
    return _identity_fault(content) or _shape_fault(content) or _special_fault(content)


def _tlp(content: Mapping[str, object], default: Tlp, markings: Levels) -> Tlp:
    """``effective_tlp``, quicker for the usual one marking or none."""
    if "granular_markings" not in content:
        refs = content.get("object_marking_refs")
        if not refs:
            return default
        if isinstance(refs, list) and len(refs) == 1:
            return markings.get(refs[0]) or default
    return effective_tlp(content, default, markings)


def _family(content: Mapping[str, object]) -> Family:
    shape = SHAPES.get(str(content["type"]))
    if shape is not None:
        return shape.family
    # A custom observable is told from a custom domain object by what only the latter must have.
    return Family.VERSIONED if "created" in content or "modified" in content else Family.OBSERVABLE


def _depth_fault(content: Mapping[str, object]) -> str:
    """Deep nesting would end in a RecursionError wherever the object is written again."""
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
    match = ID.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        return "has no id" if _absent(name) else "id is not of the form type--UUID"
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


@dataclass(frozen=True, slots=True)
class _Demands:
    """A shape, compiled: what must be there, and the check of each property."""

    required: tuple[str, ...]
    checks: Mapping[str, Callable[[object], bool]]


def _demands(shape: Shape) -> _Demands:
    forms = {**shape.optional, **COMMON, **shape.required}
    checks: dict[str, Callable[[object], bool]] = {
        name: FORMS[form] for name, form in forms.items()
    }
    nested = {name: partial(_is_sound, fault) for name, fault in NESTED.items()}
    return _Demands(tuple(shape.required), nested | checks)


def _is_sound(fault: Callable[[object], str], value: object) -> bool:
    return not fault(value)


_COMPILED = {kind: _demands(shape) for kind, shape in SHAPES.items()}
_COMPILED_CUSTOM = _demands(_CUSTOM)


def _shape_fault(content: Mapping[str, object]) -> str:
    kind = str(content["type"])
    shape, demands = SHAPES.get(kind, _CUSTOM), _COMPILED.get(kind, _COMPILED_CUSTOM)
    for name in demands.required:
        if _absent(content.get(name)):
            return f"has no {name}"
    checks = demands.checks
    for name, value in content.items():
        check = checks.get(name)
        if check is not None and not check(value) and not _absent(value):
            return _first_fault(content, shape)
    for names in shape.any_of:
        if all(_absent(content.get(name)) for name in names):
            return f"has none of {', '.join(names)}"
    family = _family(content)
    if family is Family.OBSERVABLE:
        return _order_fault(content, shape)
    return _version_fault(content, family) or _order_fault(content, shape)


def _first_fault(content: Mapping[str, object], shape: Shape) -> str:
    """Of several faults the one that does not hang on the order of the properties."""
    for forms in (shape.required, COMMON, shape.optional):
        for name, form in forms.items():
            value = content.get(name)
            if not _absent(value) and not FORMS[form](value):
                return form_fault(name, form, value)
    faults = (
        fault(content[name]) for name, fault in NESTED.items() if not _absent(content.get(name))
    )
    return next((fault for fault in faults if fault), "is not valid STIX 2.1")


def _absent(value: object) -> bool:
    """Null and empty lists are not allowed in STIX; producers mean, and we read, "not there"."""
    return value is None or value == []


def _version_fault(content: Mapping[str, object], family: Family) -> str:
    for name in ("created", "modified"):
        value = content.get(name)
        absent = _absent(value)
        if absent and not (name == "modified" and family is Family.MARKING):
            return f"has no {name}"
        if not absent and not is_time(value):
            return form_fault(name, Form.TIME, value)
    created, modified = str(content["created"]), content.get("modified")
    if not _absent(modified) and time_key(created) > time_key(str(modified)):
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
    if not _absent(revoked) and not isinstance(revoked, bool):
        return "revoked must be true or false"
    for name, (low, high) in _RANGES.items():
        value = content.get(name)
        if not _absent(value) and content["type"] in SHAPES and not _in_range(value, low, high):
            return f"{name} must be a whole number from {low} to {high}"
    return _kind_fault(content)


def _kind_fault(content: Mapping[str, object]) -> str:
    """What single types demand beyond the forms of their properties."""
    fault = ""
    match content["type"]:
        case "indicator" if content["pattern_type"] == "stix":
            fault = pattern_fault(str(content["pattern"]))
        case "opinion" if content["opinion"] not in _OPINIONS:
            fault = f"opinion must be one of {', '.join(sorted(_OPINIONS))}"
        case "relationship" if not content["relationship_type"]:
            fault = "relationship_type is empty"
        case "marking-definition" if not content.get("extensions"):
            fault = _definition_fault(content)
        case "malware" if content["is_family"] and _absent(content.get("name")):
            fault = "a malware family has no name"
        case _:
            pass
    return fault


def _definition_fault(content: Mapping[str, object]) -> str:
    if not isinstance(content.get("definition_type"), str):
        return "definition_type must be a text"
    if not isinstance(content.get("definition"), dict) or not content["definition"]:
        return "has no definition"
    return ""


def _in_range(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high

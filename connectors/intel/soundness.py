"""A quick yes for sound objects, which nearly all are.

One look at each property and no message. "No" only means that ``checks`` has to look closely; a
test holds "yes" to what ``checks`` says.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from huntonce.connectors.intel.forms import FORMS, ID, NESTED, is_id, is_time
from huntonce.connectors.intel.stix_types import COMMON, SHAPES, Family, Form, Shape

_CACHED = 1 << 15
_UUID = 36
# The same references stand in many objects.
_known_id: Callable[[str], bool] = lru_cache(_CACHED)(is_id)
# All but whether the month has a 29th, 30th or 31st.
_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,18})?Z",
    re.ASCII,
)
CLOSELY = frozenset({"indicator", "malware", "relationship"}) | {
    kind for kind, shape in SHAPES.items() if shape.order
}
"""Types with demands beyond the forms of their properties: ``checks`` looks at those."""


def _text(value: object) -> bool:
    return type(value) is str


def _time(value: object) -> bool:
    if type(value) is not str or _TIME.fullmatch(value) is None:
        return False
    return value[8:10] < "29" or is_time(value)


def _ref(value: object) -> bool:
    return type(value) is str and _known_id(value)


def _refs(value: object) -> bool:
    if type(value) is not list or not value:
        return False
    return all(type(one) is str and _known_id(one) for one in value)


def _flag(value: object) -> bool:
    return value is True or value is False


def _references(value: object) -> bool:
    if type(value) is not list:
        return False
    for one in value:
        if type(one) is not dict or type(one.get("source_name")) is not str:
            return False
        if one.get("external_id") is one.get("url") is one.get("description") is None:
            return False
    return True


_QUICK: dict[Form, Callable[[object], bool]] = {
    **FORMS,
    Form.TEXT: _text,
    Form.TIME: _time,
    Form.REF: _ref,
    Form.REFS: _refs,
    Form.FLAG: _flag,
}
Looks = tuple[frozenset[str], Mapping[str, Callable[[Any], bool]]]


def _own_id(kind: str) -> Callable[[object], bool]:
    start = f"{kind}--"
    length = len(start) + _UUID

    def check(value: object) -> bool:
        return (
            type(value) is str
            and len(value) == length
            and value.startswith(start)
            and ID.fullmatch(value) is not None
        )

    return check


def _without(fault: Callable[[object], str]) -> Callable[[object], bool]:
    def check(value: object) -> bool:
        return not fault(value)

    return check


def _looks(kind: str, shape: Shape) -> Looks:
    forms = {**shape.optional, **COMMON, **shape.required}
    nested = {name: _without(fault) for name, fault in NESTED.items()}
    checks: dict[str, Callable[[Any], bool]] = nested | {
        name: _QUICK[form] for name, form in forms.items()
    }
    checks |= {
        "external_references": _references,
        "id": _own_id(kind),
        "spec_version": lambda value: value == "2.1",
        "revoked": _flag,
        "created": _time,
        "modified": _time,
        "confidence": lambda value: type(value) is int and 0 <= value <= 100,  # noqa: PLR2004 - section 3.2
    }
    required = {"id", *shape.required}
    if shape.family is not Family.OBSERVABLE:
        required |= {"spec_version", "created"}
    if shape.family is Family.VERSIONED:
        required.add("modified")
    return frozenset(required), checks


# Types that need one property of several, or numbers in a range, are left to the close look.
_LOOKS: dict[str, Looks] = {
    kind: _looks(kind, shape)
    for kind, shape in SHAPES.items()
    if not shape.any_of
    and kind not in {"sighting", "observed-data", "opinion", "marking-definition"}
}


@lru_cache(256)
def _custom(kind: str) -> Looks:
    return _looks(kind, Shape(Family.VERSIONED, {}, {}))


def is_sound(content: Mapping[str, Any]) -> bool:
    """Whether an object is certainly valid STIX 2.1, but for what ``CLOSELY`` names."""
    kind = content.get("type")
    if type(kind) is not str:
        return False
    looks = _LOOKS.get(kind)
    if looks is None:
        if kind in SHAPES or kind == "bundle":
            return False
        looks = _custom(kind)
    required, checks = looks
    if not content.keys() >= required:
        return False
    for name, value in content.items():
        check = checks.get(name)
        if check is not None and not check(value):
            return False
    modified = content.get("modified")
    if modified is None:
        return True
    created = content["created"]
    return bool(created[:19] < modified[:19] or created == modified)

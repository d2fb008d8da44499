"""The forms of single values in STIX 2.1, and what is said where a value has another."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from huntonce.connectors.intel.stix_types import Form

ID = re.compile(
    r"([a-z0-9][a-z0-9-]{1,248}[a-z0-9])"
    r"--[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,18})?Z")
_HASHES = {
    "MD5": 32,
    "SHA1": 40,
    "SHA256": 64,
    "SHA512": 128,
    "SHA3256": 64,
    "SHA3512": 128,
}
_HEX = re.compile(r"[0-9a-fA-F]+")
_NAMES = {
    Form.TEXT: "a text",
    Form.TIME: "a timestamp like 2026-01-31T09:30:00.000Z",
    Form.REF: "an identifier like indicator--<UUID>",
    Form.REFS: "a list of identifiers that is not empty",
    Form.FLAG: "true or false",
    Form.NUMBER: "a whole number",
    Form.LIST: "a list that is not empty",
    Form.MAP: "an object",
    Form.TEXTS: "a list of texts",
}


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


def form_fault(name: str, form: Form, value: object) -> str:
    """What is wrong with a property's value, with the value itself where that helps."""
    shown = f"{value}"[:60] if isinstance(value, str) else type(value).__name__
    if form is Form.TIME and isinstance(value, str) and _TIME.fullmatch(value):
        try:
            datetime.fromisoformat(value[:19])
        except ValueError as error:
            return f'{name} must be a time that exists, not "{shown}" ({error})'
    if form is Form.TIME and isinstance(value, str) and _TIME.fullmatch(f"{value}Z"):
        return f'{name} must be in UTC and end in Z, and "{shown}" does not'
    if form in {Form.TIME, Form.REF} and isinstance(value, str):
        return f'{name} must be {_NAMES[form]}, not "{shown}"'
    return f"{name} must be {_NAMES[form]}"


def is_id(value: object) -> bool:
    """Whether a value has the syntax of a STIX identifier."""
    return isinstance(value, str) and ID.fullmatch(value) is not None


FORMS: dict[Form, Callable[[object], bool]] = {
    Form.TEXT: lambda value: isinstance(value, str),
    Form.REF: is_id,
    Form.REFS: lambda value: isinstance(value, list) and value != [] and all(map(is_id, value)),
    Form.TIME: is_time,
    Form.FLAG: lambda value: isinstance(value, bool),
    Form.NUMBER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    Form.LIST: lambda value: isinstance(value, list) and value != [],
    Form.MAP: lambda value: isinstance(value, dict),
    Form.TEXTS: lambda value: isinstance(value, str | list),
}


def references_fault(values: object) -> str:
    """What is wrong with ``external_references`` (section 2.5)."""
    if not isinstance(values, list):
        return "external_references must be a list"
    for number, one in enumerate(values, start=1):
        if not isinstance(one, dict):
            return f"external reference {number} is not an object"
        if not isinstance(one.get("source_name"), str):
            return f"external reference {number} has no source_name"
        if all(one.get(name) is None for name in ("description", "external_id", "url")):
            return f"external reference {number} has none of description, external_id, url"
    return ""


def phases_fault(values: object) -> str:
    """What is wrong with ``kill_chain_phases`` (section 2.10)."""
    for one in values if isinstance(values, list) else (None,):
        if not isinstance(one, dict) or not all(
            isinstance(one.get(name), str) for name in ("kill_chain_name", "phase_name")
        ):
            return "kill_chain_phases must be a list of kill_chain_name and phase_name"
    return ""


def granular_fault(values: object) -> str:
    """What is wrong with ``granular_markings`` (section 7.2.3)."""
    for one in values if isinstance(values, list) else (None,):
        if not isinstance(one, dict) or not isinstance(one.get("selectors"), list):
            return "granular_markings must be a list of objects with selectors"
        ref, lang = one.get("marking_ref"), one.get("lang")
        if (ref is None) == (lang is None):
            return "a granular marking must have either marking_ref or lang"
        if ref is not None and not (is_id(ref) and str(ref).startswith("marking-definition--")):
            return "a granular marking's marking_ref must name a marking-definition"
    return ""


def hashes_fault(values: object) -> str:
    """What is wrong with ``hashes`` (section 2.7)."""
    if not isinstance(values, Mapping) or not values:
        return "hashes must be an object that is not empty"
    for name, value in values.items():
        if not isinstance(value, str):
            return f"hash {str(name)[:20]} must be a text"
        length = _HASHES.get(str(name).replace("-", "").upper())
        if length is not None and not (len(value) == length and _HEX.fullmatch(value)):
            return f'"{value[:70]}" is not a {name} hash: that has {length} hexadecimal digits'
    return ""


NESTED: dict[str, Callable[[object], str]] = {
    "external_references": references_fault,
    "kill_chain_phases": phases_fault,
    "granular_markings": granular_fault,
    "hashes": hashes_fault,
}
"""Properties that have parts of their own."""

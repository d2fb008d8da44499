"""Splitting a bundle or envelope into the bytes of its objects, exactly as they were written.

orjson is the faster parser but does not say where a value ends, so the standard library's scanner
finds the ends and the bytes between them are cut out unchanged. A document that breaks off keeps
what stood before the break.
"""

import json
import re
from dataclasses import dataclass, field

_DECODER = json.JSONDecoder(strict=True)
_SPACE = re.compile(r"[ \t\r\n]*")


@dataclass(slots=True)
class Document:
    """A JSON object that holds STIX objects.

    Attributes:
        fields: Its other top-level members, parsed.
        objects: The bytes of each member of ``objects``.
        has_objects: Whether there was an ``objects`` list at all.
        is_object: Whether it is a JSON object at all.
        fault: Why reading stopped early, with the place; "" where it did not.
    """

    fields: dict[str, object] = field(default_factory=dict)
    objects: list[bytes] = field(default_factory=list)
    has_objects: bool = False
    is_object: bool = False
    fault: str = ""


class _BrokenError(Exception):
    """The text is not JSON at some offset."""


def scan(data: bytes) -> Document:
    """The document's members with the objects cut out; never an exception."""
    document = Document()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        document.fault = f"not UTF-8 text at byte {error.start}"
        return document
    try:
        _object(text, document)
    except _BrokenError as error:
        document.fault = str(error)
    return document


def _object(text: str, document: Document) -> None:
    at = _skip(text, 0)
    if text[at : at + 1] in set('["-0123456789tfn'):
        _, at = _value(text, at)
        _end(text, at)
        return  # JSON, but not an object: a document without members
    at = _skip(text, _expect(text, at, "{"))
    document.is_object = True
    if text[at : at + 1] == "}":
        _end(text, at + 1)
        return
    while True:
        key, at = _value(text, at)
        if not isinstance(key, str):
            raise _BrokenError(f"not JSON at character {at}: a member without a name")
        at = _skip(text, _expect(text, _skip(text, at), ":"))
        if key == "objects" and text[at : at + 1] == "[":
            document.has_objects = True
            at = _list(text, at + 1, document.objects)
        else:
            document.fields[key], at = _value(text, at)
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            _end(text, at + 1)
            return
        at = _skip(text, _expect(text, at, ","))


def _list(text: str, at: int, found: list[bytes]) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == "]":
        return at + 1
    while True:
        start = at
        _, at = _value(text, at)
        try:
            found.append(text[start:at].encode())
        except UnicodeEncodeError as error:  # cannot be: the text came from UTF-8
            raise _BrokenError(str(error)) from error
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return at + 1
        at = _skip(text, _expect(text, at, ","))


def _value(text: str, at: int) -> tuple[object, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError as error:
        raise _BrokenError(f"nested too deeply at character {at}") from error
    except ValueError as error:
        raise _BrokenError(f"not JSON at character {at}: {error}"[:300]) from error


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        found = "the end of the text" if at >= len(text) else repr(text[at])
        raise _BrokenError(f"not JSON at character {at}: {found} where {mark} belongs")
    return at + 1


def _end(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise _BrokenError(f"more text after the document's end at character {at}")

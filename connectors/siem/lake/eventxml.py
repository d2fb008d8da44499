"""Windows' own XML of an event, as the JSON that evtx-rs makes of the same event."""

import re
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from huntonce.connectors.siem.lake.fields import NotAnEventError

MAX_EVENT = 4_194_304
"""Longest event read, in characters."""

Document = dict[str, Any]

_DATA = "Data"
_BETWEEN_TAGS = re.compile(r">[^<]*")
_STARTS = re.compile(r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?<Event[\s>]")
_HEAD = 512


def looks_like_event(text: str) -> bool:
    """Whether a text starts as an event's XML does."""
    return _STARTS.match(text[:_HEAD].removeprefix("\ufeff")) is not None


def event_document(text: str) -> Document:
    """The event in a text that is its XML.

    Raises:
        NotAnEventError: It is none, is too long, or declares a DTD.
    """
    if len(text) > MAX_EVENT:
        raise NotAnEventError(f"its text is longer than {MAX_EVENT} characters")
    root = _parsed(text)
    if _name(root) != "Event":
        raise NotAnEventError("its XML is no event")
    found: Document = {}
    for part in root:
        if _name(part) == "System":
            found["System"] = _system(part)
        elif _name(part) == "EventData":
            found["EventData"] = _data(part)
        elif _name(part) == "UserData":
            found["UserData"] = {_name(one): _data(one) for one in part}
    return {"Event": found}


def _parsed(text: str) -> Element:
    body = text.removeprefix("\ufeff").strip().rstrip("\x00")
    if body.startswith("<?xml"):  # it may name the encoding that the text had before
        body = body.partition("?>")[2]
    if "\r" in body:  # a value's own line ends; a parser of XML takes them for the file's
        body = _BETWEEN_TAGS.sub(lambda found: found[0].replace("\r", "&#13;"), body)
    try:
        root: Element = ElementTree.fromstring(body, forbid_dtd=True)
    except DefusedXmlException:
        raise NotAnEventError("its XML declares a DTD or entities, which no event has") from None
    except (ParseError, ValueError) as error:
        raise NotAnEventError(f"its text is not the XML of one event: {error}") from None
    return root


def _system(part: Element) -> Document:
    """The header; an element with attributes is an object, as evtx-rs has it."""
    found: Document = {}
    for one in part:
        if one.attrib and not (one.text or "").strip():
            found[_name(one)] = {"#attributes": dict(one.attrib)}
        else:
            found[_name(one)] = (one.text or "").strip()
    return found


def _data(part: Element) -> Document:
    """Named values; the unnamed ones of classic events are a list, the first of a name stays."""
    found: Document = {}
    unnamed: list[str] = []
    for one in part:
        text = "".join(one.itertext())
        if text[:1] in ("\r", "\n") and not text.strip():
            text = ""  # an empty element of XML that was indented
        data = _name(one) == _DATA
        name = one.attrib.get("Name", "") if data else _name(one)
        if not name:
            unnamed.append(text)
        elif text or data:  # evtx-rs has no value for any other element that is empty
            found.setdefault(name, text)
    if unnamed:
        found[_DATA] = unnamed
    return found


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]

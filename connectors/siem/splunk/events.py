"""What Splunk holds of an event, as the event: Windows' own XML, or a collector's JSON."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import orjson
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.shapes import normalise

RAW = "huntonce_raw"
"""The result's column with the event's text."""

MAX_EVENT = 4_194_304
"""Longest event read, in characters."""

Document = dict[str, Any]

_LOG = logging.getLogger(__name__)
_END = "</Data>"
_CUT = "</EventData></Event>"
_DATA = "Data"


def rows_of(results: Iterable[Mapping[str, Any]], form: str) -> list[Row]:
    """The events of some results, in the lake's own shape; what is none is left out, and logged."""
    rows: list[Row] = []
    for result in results:
        try:
            document = document_of(str(result.get(RAW) or ""), form)
            event = normalise(dict(document))
        except NotAnEventError as error:
            _LOG.warning("an event of index %s is left out: %s", result.get("index"), error)
            continue
        source = str(result.get("index") or "")
        rows.append(Row(event, event.recorded, "utc", source, orjson.dumps(document)))
    return rows


def document_of(text: str, form: str) -> Document:
    """An event's text as the JSON that the lake loads.

    Raises:
        NotAnEventError: It is not in that form, or too long.
    """
    if len(text) > MAX_EVENT:
        raise NotAnEventError(f"its text is longer than {MAX_EVENT} characters")
    if form == "xml":
        return _of_xml(text)
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotAnEventError("its text is no JSON: it may have been cut off (TRUNCATE)") from error
    if not isinstance(found, dict):
        raise NotAnEventError("its text is no JSON object")
    return found


def _of_xml(text: str) -> Document:
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
    try:
        try:
            root: Element = ElementTree.fromstring(text, forbid_dtd=True)
        except ParseError:
            # Splunk cuts long events off (TRUNCATE): what is whole of one is read.
            head, end, _ = text.rpartition(_END)
            if not end:
                raise
            root = ElementTree.fromstring(f"{head}{end}{_CUT}", forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise NotAnEventError("its text is not the XML of one event (renderXml)") from error
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
        name = one.attrib.get("Name", "") if _name(one) == _DATA else _name(one)
        if name:
            found.setdefault(name, text)
        elif text:
            unnamed.append(text)
    if unnamed:
        found[_DATA] = unnamed
    return found


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]

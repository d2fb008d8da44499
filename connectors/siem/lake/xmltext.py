"""XML telemetry: events one after another, with or without a root around them.

``wevtutil query-events /format:xml`` writes them without one, the Event Viewer in ``<Events>``,
and forwarders one a line. They are cut at their ends, so that a file of any size is read in
blocks and one that is broken costs only itself.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Protocol

import orjson

from huntonce.connectors.siem.lake.eventxml import MAX_EVENT, event_document
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.originals import Fault, Original
from huntonce.models.setaside import PAYLOAD_LIMIT

_BLOCK = 1024**2
_HEAD = 256
_START = re.compile(r"<Event(?=[\s>])")
_END = "</Event>"
_DECLARED = re.compile(
    rb"\A\s*<\?xml[^>]{0,100}encoding=[\"']"
    rb"((?:windows-|cp|ibm|iso-8859-)[0-9]{1,5}|us-ascii|shift_jis|euc-[a-z]{2}|gbk|gb18030|big5)[\"']",
    re.IGNORECASE,
)
"""Encodings of bytes that an XML file may name; one that says UTF-16 and is none is UTF-8."""

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_REPLACED = "\ufffd"
_PASSED_OVER = "an event is longer than {} characters and was left out"


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_xml(start: bytes) -> bool:
    """Whether a text that starts so is XML."""
    encoding, mark = _encoding(start)
    return start[mark : mark + _HEAD].decode(encoding, "replace").lstrip().startswith("<")


def xml_events(source: _Source, start: bytes, fault: Fault) -> Iterator[Original]:
    """The events of an XML stream of which ``start`` was already read, each as JSON."""
    reader = _Reader(fault)
    for text in _decoded(source, start):
        yield from reader.read(text)
    reader.end()


class _Reader:
    """Cuts a text that comes in blocks into its events."""

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._held = ""
        self._number = 0
        self._searched = 0
        self._too_long = False
        self._said = False

    def read(self, block: str) -> Iterator[Original]:
        """The events that end in the next block."""
        self._held += block
        position = 0
        while (end := self._held.find(_END, max(position, self._searched))) >= 0:
            self._number += 1
            text, position = self._held[position : end + len(_END)], end + len(_END)
            if self._too_long:  # its start was reported
                self._too_long = False
            elif (found := self._event(text)) is not None:
                yield "event", self._number, found
        self._held = self._held[position:]
        if len(self._held) > MAX_EVENT:
            if not self._too_long:
                hint = "look at the file: no event is that long"
                self._fault(f"event {self._number + 1}", _PASSED_OVER.format(MAX_EVENT), hint, b"")
            self._too_long = True
            self._held = self._held[-len(_END) :]
        self._searched = max(len(self._held) - len(_END), 0)

    def end(self) -> None:
        """Report what is left of a stream that has ended."""
        if self._too_long:
            return
        if start := _START.search(self._held):
            place = f"event {self._number + 1}"
            self._refuse(place, "the file ends in the middle of it", self._held[start.start() :])
        elif not self._number:
            reason = "it is XML and holds no Windows event"
            self._fault("file", reason, "load event logs only", b"")

    def _event(self, text: str) -> bytes | None:
        place = f"event {self._number}"
        starts = [found.start() for found in _START.finditer(text)]
        if not starts:
            self._refuse(place, "its start is missing", text)
            return None
        if len(starts) > 1:
            self._refuse(f"before {place}", "an event does not end", text[starts[0] : starts[-1]])
        text = text[starts[-1] :]
        if _REPLACED in text and not self._said:
            self._said = True
            reason = "it holds bytes that are not of its encoding: they are read as \ufffd"
            self._refuse(f"{place} and maybe others", reason, text, "save it as UTF-8")
        try:
            return orjson.dumps(event_document(text))
        except (NotAnEventError, orjson.JSONEncodeError) as error:
            self._refuse(place, str(error), text)
            return None

    def _refuse(self, place: str, reason: str, text: str, hint: str = "") -> None:
        payload = text[:PAYLOAD_LIMIT].encode(errors="replace")[:PAYLOAD_LIMIT]
        self._fault(place, reason, hint or "the other events are loaded", payload)


def _decoded(source: _Source, start: bytes) -> Iterator[str]:
    encoding, mark = _encoding(start)
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    block = start[mark:]
    while block:
        yield decoder.decode(block)
        block = source.read(_BLOCK)
    yield decoder.decode(b"", final=True)


def _encoding(start: bytes) -> tuple[str, int]:
    """The encoding of a text and the length of its byte order mark."""
    for mark, name in _BOMS:
        if start.startswith(mark):
            return name, len(mark)
    declared = _DECLARED.match(start[:_HEAD])
    try:
        return (codecs.lookup(declared[1].decode()).name if declared else "utf-8"), 0
    except LookupError:
        return "utf-8", 0

"""Windows' own XML of events: files of it, whole and damaged, and hostile ones."""

import io
import json
from collections.abc import Sequence
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.lake import xmltext
from huntonce.connectors.siem.lake.eventxml import MAX_EVENT, event_document, looks_like_event
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.lake.xmltext import is_xml, xml_events


def xml(number: int, data: str = "<Data Name='Image'>C:\\ä.exe</Data>") -> str:
    return (
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>"
        "<Provider Name='Microsoft-Windows-Sysmon'/><EventID>1</EventID>"
        f"<TimeCreated SystemTime='2026-03-04T05:06:07.123456700Z'/>"
        f"<EventRecordID>{number}</EventRecordID><Computer>ws1</Computer>"
        "<Channel>Microsoft-Windows-Sysmon/Operational</Channel><Security UserID='S-1-5-18'/>"
        f"</System><EventData>{data}</EventData></Event>"
    )


class Small:
    """A source that gives a few bytes at a time, whatever is asked for."""

    def __init__(self, content: bytes, size: int) -> None:
        self._stream = io.BytesIO(content)
        self._size = size

    def read(self, size: int, /) -> bytes:
        return self._stream.read(min(size, self._size))


def read(content: bytes, size: int = 97) -> tuple[list[int], list[tuple[str, str]]]:
    """Record numbers of the events, and places and reasons of what was set aside."""
    said: list[tuple[str, str]] = []
    source = Small(content, size)
    found = list(
        xml_events(source, source.read(600), lambda place, why, *_: said.append((place, why)))
    )
    texts = [text for _, _, text in found if isinstance(text, bytes)]
    assert len(texts) == len(found)
    return [normalise(json.loads(text)).record_id or 0 for text in texts], said


THREE = [xml(number) for number in (1, 2, 3)]
FORMS = {
    "wevtutil, no root": "\r\n".join(THREE).encode(),
    "one after another": "".join(THREE).encode(),
    "Event Viewer": (
        '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\r\n<Events>'
        + "".join(THREE)
        + "</Events>"
    ).encode(),
    "redirected by PowerShell": "\n".join(THREE).encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + "\n".join(THREE).encode("utf-16-be"),
    "UTF-8 with its mark": b"\xef\xbb\xbf" + "\n".join(THREE).encode(),
    "another encoding": (
        '<?xml version="1.0" encoding="windows-1252"?><Events>' + "".join(THREE) + "</Events>"
    ).encode("cp1252"),
    "says UTF-16 and is UTF-8": (
        '<?xml version="1.0" encoding="utf-16"?><Events>' + "".join(THREE) + "</Events>"
    ).encode(),
    "behind syslog's head": "".join(f"<13>Mar  4 ws1 {one}\n" for one in THREE).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_events_are_found_whatever_stands_around_them(form: str) -> None:
    assert is_xml(FORMS[form][:512])
    assert read(FORMS[form]) == ([1, 2, 3], [])


@pytest.mark.parametrize(
    ("content", "left", "said"),
    [
        (f"{THREE[0]}{THREE[1]}{THREE[2][:-20]}", [1, 2], [("event 3", "ends in the middle")]),
        (f"{THREE[0]}{THREE[1][:300]}{THREE[2]}", [1, 3], [("before event 2", "does not end")]),
        (f"{THREE[0]}</Event>{THREE[1]}", [1, 2], [("event 2", "its start is missing")]),
        (f"{THREE[0]}{xml(2, '<Data>a & b</Data>')}{THREE[2]}", [1, 3], [("event 2", "not the")]),
        ("<Task><Actions/></Task>", [], [("file", "holds no Windows event")]),
        (
            f"<!DOCTYPE x [<!ENTITY a 'b'>]><Events>{xml(1, '<Data>&a;</Data>')}{THREE[1]}",
            [2],
            [("event 1", "not the XML")],
        ),
    ],
)
def test_what_is_damaged_is_said_and_the_others_are_read(
    content: str, left: list[int], said: list[tuple[str, str]]
) -> None:
    numbers, found = read(content.encode())

    assert numbers == left
    assert [place for place, _ in found] == [place for place, _ in said]
    assert all(wanted in why for (_, wanted), (_, why) in zip(said, found, strict=True))


def test_bytes_of_another_encoding_are_said_once() -> None:
    numbers, said = read("".join(THREE).encode("cp1252"))

    assert numbers == [1, 2, 3]
    assert [place for place, _ in said] == ["event 1 and maybe others"]


def test_an_event_without_an_end_costs_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xmltext, "MAX_EVENT", 2_000)
    endless = THREE[0] + THREE[1].replace("</Event>", "x" * 50_000 + "</Event>") + THREE[2]

    numbers, said = read(endless.encode(), 500)

    assert numbers == [1, 3]
    assert [place for place, _ in said] == ["event 2"]


def test_a_value_keeps_its_own_line_ends() -> None:
    document = event_document(xml(1, "<Data Name='AccessList'>%%1\r\n\t%%2</Data>\r\n"))

    assert document["Event"]["EventData"] == {"AccessList": "%%1\r\n\t%%2"}


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE Event [<!ENTITY a "b">]><Event>&a;</Event>',
        "<Event>" + "x" * MAX_EVENT,
        "<Other/>",
        "<Event>",
        "",
    ],
)
def test_a_text_that_is_no_event_is_refused(text: str) -> None:
    with pytest.raises(NotAnEventError):
        event_document(text)


@pytest.mark.parametrize("text", ["<Event>", "<Event xmlns='x'>", " <?xml version='1'?> <Event\n>"])
def test_the_start_of_an_event_is_known(text: str) -> None:
    assert looks_like_event(text)
    assert not looks_like_event(text.replace("Event", "EventXML"))


# What XML can hold; its parser makes one line end of them all, which the test above is about.
values = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff"))


@settings(max_examples=100)
@given(st.lists(values, min_size=1, max_size=5), st.integers(min_value=1, max_value=400))
def test_any_values_in_any_blocks_are_as_in_the_json(texts: Sequence[str], size: int) -> None:
    named = {f"F{number}": text for number, text in enumerate(texts)}
    data = "".join(f"<Data Name='{name}'>{escape(text)}</Data>" for name, text in named.items())
    source = Small(xml(1, data).encode(), size)

    ((_, _, found),) = xml_events(source, source.read(size), lambda *_: None)

    assert isinstance(found, bytes)
    assert json.loads(found)["Event"]["EventData"] == named


@settings(max_examples=100)
@given(st.binary(max_size=300) | st.text("<Event/>&; =x", max_size=200).map(str.encode))
def test_anything_at_all_ends_and_is_said(content: bytes) -> None:
    said: list[str] = []

    found = list(xml_events(io.BytesIO(b""), content, lambda place, *_: said.append(place)))

    assert found or said

"""Reading a page as a browser would: elements, attributes, texts, and faults of nesting."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

from typing_extensions import override

VOID = frozenset({"meta", "br", "use"})
"""Shapes close themselves, or hold a title."""
NOT_IN_P = frozenset(
    {
        "div",
        "p",
        "ul",
        "ol",
        "dl",
        "table",
        "details",
        "pre",
        "article",
        "section",
        "h2",
        "h3",
        "h4",
    }
)


@dataclass
class Element:
    """An element with the text of all that is in it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


@dataclass
class Page(HTMLParser):
    """All elements of a page, in order."""

    source: str = ""
    elements: list[Element] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._open: list[Element] = []
        self.feed(self.source)
        self.faults += [f"<{element.tag}> is never closed" for element in self._open]

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag in NOT_IN_P and any(outer.tag == "p" for outer in self._open):
            self.faults.append(f"<{tag}> in <p>, line {self.getpos()[0]}")
        if tag not in VOID:
            self._open.append(element)

    @override
    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    @override
    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1].tag != tag:
            self.faults.append(f"</{tag}> closes nothing, line {self.getpos()[0]}")
            return
        self._open.pop()

    @override
    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def by_id(self, name: str) -> Element:
        found = [e for e in self.elements if e.attributes.get("id") == name]
        assert len(found) == 1, f"{len(found)} elements with id {name}"
        return found[0]

    @property
    def tags(self) -> set[str]:
        return {element.tag for element in self.elements}

    @property
    def attributes(self) -> list[tuple[str, str, str]]:
        return [(e.tag, name, value) for e in self.elements for name, value in e.attributes.items()]

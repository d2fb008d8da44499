"""What would leave, to whom and under which marking: as a page to read, and as the bundle.

Whatever comes from data is text: escaped, with control and direction characters made visible.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape as html_escape

from huntonce.models.feedback.stixtext import read_object, write_object
from huntonce.models.ids import stable_uuid
from huntonce.models.publication import Publication, PublicationState
from huntonce.models.report import words
from huntonce.models.report.html import visible
from huntonce.models.report.markdown import escape as markdown_escape
from huntonce.models.report.objects import described, labels

LEAVING = (PublicationState.APPROVED, PublicationState.PLANNED)


@dataclass(frozen=True, slots=True)
class Sheet:
    """What goes to one destination, and what does not.

    Attributes:
        ceiling: The destination's, as text ("TLP:AMBER"); "" where it is not known any more.
        known: What the objects are, and those that they speak of, in words, by id.
    """

    destination: str
    ceiling: str
    leaving: tuple[Publication, ...]
    staying: tuple[Publication, ...]
    known: Mapping[str, str]

    def what(self, publication: Publication) -> str:
        """An object of the sheet in words; just its type where it has none."""
        return described(publication, self.known) or publication.object_type

    @property
    def title(self) -> str:
        """The sheet in one line."""
        ceiling = f" (at most {self.ceiling})" if self.ceiling else ""
        counts = f"{len(self.leaving)} objects would leave, {len(self.staying)} stay here"
        return f"To {self.destination}{ceiling}: {counts}"


def sheets(
    publications: Sequence[Publication],
    ceilings: Mapping[str, str],
    beside: Sequence[Publication] = (),
) -> tuple[Sheet, ...]:
    """One sheet for each destination, by name; those without anything included.

    ``beside``: other publications that these may speak of.
    """
    known = labels([*beside, *publications])
    names = sorted({*ceilings, *(p.destination for p in publications)})
    return tuple(
        Sheet(
            destination=name,
            ceiling=ceilings.get(name, ""),
            leaving=tuple(p for p in publications if p.destination == name and p.state in LEAVING),
            staying=tuple(
                p for p in publications if p.destination == name and p.state not in LEAVING
            ),
            known=known,
        )
        for name in names
    )


def bundle_of(publications: Sequence[Publication]) -> str:
    """The objects as a STIX bundle, as JSON text, each object's bytes as they would be sent.

    The same objects give the same bundle.
    """
    bodies = list(dict.fromkeys(p.body for p in publications))
    head = write_object({"type": "bundle", "id": f"bundle--{stable_uuid('bundle', bodies)}"})
    return f'{head[:-1]},"objects":[{",".join(bodies)}]}}'


def markdown_page(made: Sequence[Sheet], *, organisation: str, at: datetime) -> str:
    """The page as Markdown."""
    lines = [
        f"# What would leave {markdown_escape(organisation)}",
        "",
        f"As of {at:%Y-%m-%d %H:%M} UTC. Nothing has been sent by making this page.",
    ]
    for sheet in made:
        lines += ["", f"## {markdown_escape(sheet.title)}", ""]
        lines += _markdown_table(
            ("type", "marking", "what", "from", "state"), [_cells(p, sheet) for p in sheet.leaving]
        )
        if sheet.staying:
            lines += ["", "### Stays here", ""]
            lines += _markdown_table(
                ("type", "marking", "what", "why"),
                [(p.object_type, _tlp(p), sheet.what(p), _why(p)) for p in sheet.staying],
            )
        for p in sheet.leaving:
            lines += ["", f"### {markdown_escape(p.object_id)}", "", *_indented(_pretty(p))]
    return "\n".join(lines) + "\n"


def html_page(made: Sequence[Sheet], *, organisation: str, at: datetime) -> str:
    """The page as one HTML document without scripts or anything from elsewhere."""
    title = f"What would leave {organisation}"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f"<title>{_html(title)}</title><style>{_CSS}</style></head><body>",
        f"<h1>{_html(title)}</h1>",
        f"<p>As of {at:%Y-%m-%d %H:%M} UTC. Nothing has been sent by making this page.</p>",
    ]
    for sheet in made:
        parts.append(f"<h2>{_html(sheet.title)}</h2>")
        parts += _html_table(
            ("type", "marking", "what", "from", "state"), [_cells(p, sheet) for p in sheet.leaving]
        )
        if sheet.staying:
            parts.append("<h3>Stays here</h3>")
            parts += _html_table(
                ("type", "marking", "what", "why"),
                [(p.object_type, _tlp(p), sheet.what(p), _why(p)) for p in sheet.staying],
            )
        parts += [
            f"<details><summary>{_html(p.object_type)} {_html(p.object_id)}</summary>"
            f"<pre>{_html(_pretty(p))}</pre></details>"
            for p in sheet.leaving
        ]
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _cells(p: Publication, sheet: Sheet) -> tuple[str, ...]:
    return (p.object_type, _tlp(p), sheet.what(p), p.subject, words.publication(p.state))


def _tlp(p: Publication) -> str:
    return f"TLP:{p.tlp.upper()}"


def _why(p: Publication) -> str:
    return f"{words.publication(p.state)}: {p.why}" if p.why else words.publication(p.state)


def _pretty(p: Publication) -> str:
    return json.dumps(read_object(p.body), indent=2, ensure_ascii=False)


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        yield "Nothing."
        return
    yield f"| {' | '.join(columns)} |"
    yield f"|{' --- |' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(markdown_escape(cell) for cell in row)} |"


def _indented(text: str) -> Iterator[str]:
    # An indented block cannot be closed by what stands in it, as a fence could.
    return (f"    {line}" for line in visible(text).split("\n"))


def _html_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    if not rows:
        yield "<p>Nothing.</p>"
        return
    head = "".join(f"<th>{_html(column)}</th>" for column in columns)
    yield f"<table><thead><tr>{head}</tr></thead><tbody>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>"
    yield "</tbody></table>"


def _html(text: str) -> str:
    return html_escape(visible(text), quote=True)


_CSS = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;"
    "padding:.25rem .6rem;border-bottom:1px solid #8884;overflow-wrap:anywhere}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#8882;padding:.6rem}"
    "summary{cursor:pointer;overflow-wrap:anywhere}@media(prefers-color-scheme:dark)"
    "{body{background:#161616;color:#ddd}}"
)

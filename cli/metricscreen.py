"""How numbers are shown: the three outcomes and the loop, and one number with all behind it."""

from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from huntonce.cli.output import clean, table
from huntonce.models.errors import DomainError
from huntonce.models.metrics.measure import Measures
from huntonce.models.metrics.number import Cell
from huntonce.models.report.definitions import DEFINITIONS, TABLES, WHEN
from huntonce.models.report.words import count, instant, valued
from huntonce.models.transition import Transition

SHOWN = 60
"""Most rows of the transition log on one screen."""

_PARTS = {
    "gaps": "Gaps: what could not be seen",
    "detections": "Detections: what machines watch for",
    "findings": "Findings: cases, and what was ruled out",
    "loop": "The loop: what was learned and went on",
}


def all_numbers(console: Console, measures: Measures, previous: Measures | None) -> None:
    """Every number, the three outcomes first."""
    for part, title in _PARTS.items():
        columns = ["number", "value", *(["before"] if previous is not None else []), "meaning"]
        rows = []
        for name, definition in DEFINITIONS.items():
            if definition.outcome != part:
                continue
            values = [valued(measures[name], definition.unit)]
            if previous is not None:
                values.append(valued(previous[name], definition.unit))
            rows.append((name, *values, definition.label))
        console.print(Text(title, style="bold"))
        console.print(table(columns, rows))
    console.print(Text("what is behind one: huntonce metrics NAME, and --rows", style="dim"))


def one_number(
    measures: Measures, previous: Measures | None, name: str
) -> tuple[Mapping[str, object], Callable[[Console], None]]:
    """One number or table as a document and as a screen.

    Raises:
        DomainError: There is none of that name.
    """
    if name in DEFINITIONS:
        return _number(measures, previous, name)
    if name in TABLES:
        return _table(measures, name)
    raise DomainError(
        f"there is no number or table named {clean(name, 60)}",
        hint=f"the tables are {', '.join(TABLES)}; the numbers: huntonce metrics",
    )


def trail_behind(
    name: str, trail: Sequence[Transition]
) -> tuple[Mapping[str, object], Callable[[Console], None]]:
    """The rows of the transition log behind a number, as a document and as a screen."""

    def show(console: Console) -> None:
        console.print(Text(f"{clean(name)}: {count(len(trail), 'row')} of the transition log"))
        cells = [
            (
                row.seq,
                instant(row.at),
                row.subject,
                f"{row.before or 'new'} -> {row.after}",
                clean(row.actor, 30),
                row.hash[:12],
            )
            for row in trail[:SHOWN]
        ]
        console.print(table(("row", "at (UTC)", "of", "change", "by", "hash"), cells))
        if len(trail) > SHOWN:
            console.print(Text(f"and {len(trail) - SHOWN:,} more (--json has all)", style="dim"))

    rows = [
        {
            "row": row.seq,
            "at": row.at.isoformat(),
            "of": row.subject,
            "before": row.before or None,
            "after": row.after,
            "by": row.actor,
            "why": row.why,
            "evidence": row.evidence,
            "hash": row.hash,
        }
        for row in trail
    ]
    return {"name": name, "rows": rows}, show


def _number(
    measures: Measures, previous: Measures | None, name: str
) -> tuple[Mapping[str, object], Callable[[Console], None]]:
    definition, number = DEFINITIONS[name], measures.numbers[name]
    before = previous[name] if previous is not None else None

    def show(console: Console) -> None:
        told = valued(number.value, definition.unit)
        console.print(Text.assemble((definition.label, "bold"), f": {told}"))
        if previous is not None:
            console.print(Text(f"span before: {valued(before, definition.unit)}"))
        console.print(Text(f"{definition.means} ({WHEN[definition.when]})"))
        console.print(Text(f"from: {definition.counted_from}", style="dim"))
        console.print(Text(clean(", ".join(number.rows)) or "nothing recorded"))
        if name in measures.tables:
            console.print(_grid(measures, name))

    document = {
        "name": name,
        "value": number.value,
        "previous": before,
        "counted_from": list(number.rows),
        "means": definition.means,
        "unit": definition.unit,
    }
    return document, show


def _table(measures: Measures, name: str) -> tuple[Mapping[str, object], Callable[[Console], None]]:
    found = measures.tables[name]

    def show(console: Console) -> None:
        console.print(Text(TABLES[name]))
        console.print(_grid(measures, name))

    rows = [dict(zip(found.columns, row, strict=True)) for row in found.rows]
    return {"name": name, "means": TABLES[name], "rows": rows}, show


def _grid(measures: Measures, name: str) -> object:
    found = measures.tables[name]
    return table(found.columns, [[_cell(value) for value in row] for row in found.rows])


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else f"{value:,.10g}"

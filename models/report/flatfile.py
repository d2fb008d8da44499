"""Flat file: every number and table as CSV that a spreadsheet opens without running any of it."""

import csv
import io

from huntonce.models.metrics.measure import Measures
from huntonce.models.metrics.number import Cell
from huntonce.models.report.definitions import DEFINITIONS

COLUMNS = ("name", "row", "column", "value", "previous", "unit", "when")
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def safe(cell: Cell) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before such a text."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return f"'{cell}" if cell.lstrip(" ").startswith(_STARTS_FORMULA) else cell
    return f"{cell:.10g}"


def csv_text(measures: Measures, previous: Measures | None = None) -> str:
    """One line a number, and one a cell of every table (``row`` and ``column`` say which)."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for name, number in measures.numbers.items():
        before = previous[name] if previous is not None else None
        definition = DEFINITIONS[name]
        cells = ("", "", number.value, before, definition.unit, definition.when)
        writer.writerow((name, *map(safe, cells)))
    for name, table in measures.tables.items():
        for first, *others in table.rows:
            for column, value in zip(table.columns[1:], others, strict=True):
                writer.writerow((name, safe(first), column, safe(value), "", "", ""))
    return made.getvalue()

"""A search whose candidates another system finds: what it is, and how its parts become one."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from sigma.rule import SigmaRule

from huntonce.connectors.siem.columns import VariantColumns
from huntonce.connectors.siem.fieldnames import FieldNames
from huntonce.connectors.siem.lake.columns import Row
from huntonce.connectors.siem.search import result_schema
from huntonce.connectors.siem.session import terminal
from huntonce.connectors.sigma.compiling import compile_detections
from huntonce.connectors.sigma.duckdb_backend import predicate
from huntonce.connectors.sigma.ir import Condition, fields_of
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.connectors.sigma.rules import logsource_of
from huntonce.models.query import EVENT_COLUMNS, SearchResult
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True)
class Task:
    """One search: a rule, where in time, what to give back and how many at most."""

    rule: SigmaRule
    condition: Condition
    places: tuple[Variant, ...]
    window: Window
    fields: tuple[str, ...]
    limit: int

    @property
    def wanted(self) -> tuple[str, ...]:
        """The fields that deciding and projecting need."""
        return tuple(dict.fromkeys((*fields_of(self.condition), *self.fields)))


@dataclass(frozen=True, slots=True)
class Part:
    """What one place gave.

    Attributes:
        present: The rule's fields that events there have.
        hidden: Those that events there have and that cannot be searched.
    """

    query: str
    table: pa.Table
    present: frozenset[str]
    hidden: frozenset[str] = frozenset()


def task_of(
    connector: str, rule: SigmaRule, window: Window, fields: Sequence[str], limit: int
) -> Task:
    """The search for a rule.

    Raises:
        UnsupportedError: It cannot be run as it is meant; also where there is nothing to run over.
    """
    own = {name for name, _ in EVENT_COLUMNS}
    names = tuple(field for field in dict.fromkeys(fields) if field not in own)
    with terminal(connector, str(rule.title)):
        predicate(rule, VariantColumns(Variant(), ()))
        condition = compile_detections(rule.detection, {})
        places = tuple(variants(logsource_of(rule)))
    return Task(rule, condition, places, window, names, max(limit, 1))


def held(rows: Sequence[Row], place: Variant, named: Sequence[str]) -> set[str]:
    """Those of some fields that one of the events has a value for."""
    found: set[str] = set()
    for row in rows:
        names = FieldNames(place, row.event.fields)
        for field in named:
            column = names.find(field)
            missing = column == "@record_id" and row.event.record_id is None
            if column is not None and not missing:
                found.add(field)
        if len(found) == len(named):
            break
    return found


def merged(parts: Sequence[Part], task: Task) -> SearchResult:
    """The answer to a search, from those of its places that have events of the log source."""
    tables = [result_schema(task.fields).empty_table(), *(part.table for part in parts)]
    together = unique(pa.concat_tables(tables))
    named = frozenset(fields_of(task.condition)) if parts else frozenset()
    present = frozenset[str]().union(*(part.present for part in parts))
    hidden = frozenset[str]().union(*(part.hidden for part in parts))
    return SearchResult(
        table=together.slice(0, task.limit).combine_chunks(),
        queries=tuple(part.query for part in parts),
        absent_fields=tuple(sorted(named - present)),
        unmapped_fields=tuple(sorted(hidden)),
        absent_source=not parts,
        truncated=len(together) > task.limit,
    )


def unique(table: pa.Table) -> pa.Table:
    """The rows in the order of time and uid, each event once."""
    ordered = table.sort_by([("time", "ascending"), ("uid", "ascending")])
    if len(ordered) < 2:  # noqa: PLR2004 - one row cannot be there twice
        return ordered
    uids = ordered.column("uid").combine_chunks()
    fresh = pc.not_equal(uids.slice(1), uids.slice(0, len(uids) - 1))
    return ordered.filter(pa.concat_arrays([pa.array([True]), fresh]))

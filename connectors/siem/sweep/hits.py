"""Hits: the events that rules matched, as Arrow tables that the state keeps."""

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
import pyarrow as pa

from huntonce.connectors.siem.lake.layout import CHANNEL, HOST, RECORD_ID, TIME_COLUMN, UID
from huntonce.connectors.siem.sweep.batch import ClassRows
from huntonce.connectors.siem.sweep.column import Column, Rows
from huntonce.connectors.siem.sweep.folding import ClassContext, fold
from huntonce.connectors.siem.sweep.matching import Match
from huntonce.connectors.siem.sweep.verifying import holds
from huntonce.connectors.sigma.ir import branches
from huntonce.connectors.sigma.pack import CompiledRule
from huntonce.models.query import TIME

_WORD = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    [
        ("mark", _WORD),
        ("file", pa.int64()),
        ("uid", pa.string()),
        ("time", TIME),
        ("host", _WORD),
        ("channel", _WORD),
        ("event_id", pa.int64()),
        ("record_id", pa.int64()),
        ("branch", _WORD),
        ("fields", pa.string()),
    ]
)
"""``mark`` tells the rule and its projected fields apart, ``fields`` holds those as JSON."""


def branch_names(rule: CompiledRule, context: ClassContext, rows: ClassRows, at: Rows) -> pa.Array:
    """For each row the names of the selections that hold for it, as "one, other"."""
    named = branches(rule.condition)
    if len(named) == 1:
        return pa.repeat(named[0].name, len(at))
    masks = []
    for branch in named:
        outcome = fold(branch.item, context)
        if isinstance(outcome, bool):
            masks.append(np.full(len(at), outcome))
        else:
            masks.append(holds(outcome, at, rows.column))
    if not masks:
        return pa.repeat("", len(at))
    patterns, inverse = np.unique(np.stack(masks, axis=1), axis=0, return_inverse=True)
    names = [
        ", ".join(branch.name for branch, held in zip(named, pattern, strict=True) if held)
        for pattern in patterns.tolist()
    ]
    return pa.array(names, pa.string()).take(pa.array(inverse.reshape(-1)))


def projected(context: ClassContext, rows: ClassRows, at: Rows, fields: Sequence[str]) -> pa.Array:
    """For each row the values of some fields, as JSON; null where none are asked for."""
    if not fields:
        return pa.nulls(len(at), pa.string())
    values = [_values(context, rows, at, field) for field in fields]
    documents = [
        orjson.dumps(dict(zip(fields, row, strict=True))).decode()
        for row in zip(*values, strict=True)
    ]
    return pa.array(documents, pa.string())


def _values(context: ClassContext, rows: ClassRows, at: Rows, field: str) -> Sequence[str | None]:
    key = context.key(field)
    if key is None:
        return [None] * len(at)
    column: Column = rows.column(key)
    codes = column.codes[at]
    taken: list[str | None] = column.values.take(pa.array(codes, mask=codes < 0)).to_pylist()
    return taken


def hits_of(
    rows: ClassRows,
    matches: Sequence[tuple[Match, str, pa.Array, pa.Array]],
) -> pa.Table:
    """The hits of a class: matches with the rule's mark, branches and fields."""
    together = np.concatenate([match.rows for match, *_ in matches])
    wanted, inverse = np.unique(together, return_inverse=True)
    events = _events(rows, rows.rows[wanted])
    taken = events.take(pa.array(inverse))
    marks = pa.concat_arrays([pa.repeat(mark, len(match.rows)) for match, mark, *_ in matches])
    branch = pa.concat_arrays([names for _, _, names, _ in matches])
    fields = pa.concat_arrays([values for *_, values in matches])
    columns: Mapping[str, pa.ChunkedArray | pa.Array] = {
        "mark": marks.dictionary_encode(),
        "file": taken.column("file"),
        "uid": taken.column(UID),
        "time": taken.column(TIME_COLUMN),
        "host": _word(taken.column(HOST)),
        "channel": _word(taken.column(CHANNEL)),
        "event_id": pa.repeat(pa.scalar(rows.event_id, pa.int64()), len(taken)),
        "record_id": taken.column(RECORD_ID),
        "branch": branch.dictionary_encode(),
        "fields": fields,
    }
    return pa.table([columns[name] for name in SCHEMA.names], SCHEMA.names).cast(SCHEMA)


def _word(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column if pa.types.is_dictionary(column.type) else column.dictionary_encode()


def _events(rows: ClassRows, at: Rows) -> pa.Table:
    """What the lake notes of some rows of the batch, in their order."""
    parts = []
    for number, _, there in rows.batch.place(at):
        table = rows.batch.noted(number).take(pa.array(there))
        table = pa.table([_plain(column) for column in table.columns], table.column_names)
        file = pa.repeat(pa.scalar(rows.batch.files[number].id, pa.int64()), len(there))
        parts.append(table.append_column("file", file))
    return pa.concat_tables(parts)


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    return column

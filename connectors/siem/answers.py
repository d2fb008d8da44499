"""What a SIEM was asked before, in files: a question a file, a part of the answer a batch in it.

Losing a file, or the folder, costs only time; one that cannot be read is as if it were not there.
"""

import os
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from huntonce.models.query import Revision
from huntonce.models.windows import Window

MAX_FILES = 20_000
MAX_BYTES = 512 * 1024**2
"""What the memory may take on disk; the answers used longest ago go first."""

_SUFFIX = ".arrow"
_SPANS = b"huntonce.spans"


@dataclass(frozen=True, slots=True)
class Part:
    """An answer over some spans, each by its content."""

    revisions: tuple[Revision, ...]
    table: pa.Table

    def only(self, wanted: Iterable[Revision]) -> "Part | None":
        """What it says of some spans, by the hours of its rows; None where that is nothing."""
        kept = tuple(r for r in self.revisions if r in set(wanted))
        if not kept:
            return None
        if len(kept) == len(self.revisions):
            return self
        return Part(kept, within(self.table, [revision.span for revision in kept]))


def within(table: pa.Table, spans: Sequence[Window]) -> pa.Table:
    """The rows whose hour is in one of the spans."""
    hours = table.column("hour").cast(pa.int64()).to_numpy()
    kept = np.zeros(len(hours), np.bool_)
    for span in spans:
        start, end = (_micros(moment) for moment in (span.start, span.end))
        kept |= (hours >= start) & (hours < end)
    return table if kept.all() else table.filter(pa.array(kept)).combine_chunks()


def _micros(moment: datetime) -> int:
    found: int = pa.scalar(moment, pa.timestamp("us", tz="UTC")).value
    return found


class Memory:
    """Tables and answers in parts, by key, in a folder."""

    def __init__(
        self, folder: Path, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._folder = folder
        self._max_files, self._max_bytes = max_files, max_bytes

    def get(self, key: str) -> pa.Table | None:
        """What was kept; None where nothing is, or it cannot be read."""
        path = self._path(key)
        try:
            with pa.OSFile(str(path)) as source:
                table: pa.Table = pa.ipc.open_file(source).read_all()
            os.utime(path)
        except (OSError, pa.ArrowException):
            return None
        return table

    def put(self, key: str, table: pa.Table) -> None:
        """Keep a table; where the folder cannot be written to, nothing is kept."""
        self._write(key, table.schema, table.to_batches())

    def parts(self, key: str, wanted: Iterable[Revision], schema: pa.Schema) -> list[Part]:
        """What is kept of an answer for the spans wanted, as far as it stands for their content.

        A part that holds other spans too is read and cut where it has hours.
        """
        asked, path = set(wanted), self._path(key)
        found: list[Part] = []
        try:
            with pa.OSFile(str(path)) as source:
                file = pa.ipc.open_file(source)
                spans = _spans(file.schema)
                if len(spans) != file.num_record_batches:
                    return []
                for number, revisions in enumerate(spans):
                    if asked.isdisjoint(revisions):
                        continue
                    table = pa.Table.from_batches([file.get_batch(number)])
                    part = Part(revisions, table.select(schema.names).cast(schema)).only(asked)
                    if part is not None:
                        found.append(part)
                        asked -= set(part.revisions)
            os.utime(path)
        except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
            return []
        return found

    def put_parts(self, key: str, parts: Sequence[Part], schema: pa.Schema) -> None:
        """Keep parts beside what is kept of other spans already."""
        fresh = [revision.span for part in parts for revision in part.revisions]
        held = [
            revision
            for revisions in self._held(key)
            for revision in revisions
            if all(revision.span.overlap(span) is None for span in fresh)
        ]
        kept = [*self.parts(key, held, schema), *parts]
        whole = pa.concat_tables(part.table for part in kept).combine_chunks()
        for number, field in enumerate(whole.schema):
            if pa.types.is_string(field.type):  # one dictionary for all batches of the file
                whole = whole.set_column(number, field.name, pc.dictionary_encode(whole[number]))
        whole = whole.combine_chunks()
        told = [[[r.span.start, r.span.end, r.mark] for r in part.revisions] for part in kept]
        stored = whole.schema.with_metadata({_SPANS: orjson.dumps(told)})
        batches, at = [], 0
        for part in kept:
            rows = whole.slice(at, part.table.num_rows).combine_chunks().to_batches()
            batches.append(rows[0] if rows else pa.RecordBatch.from_pylist([], schema=whole.schema))
            at += part.table.num_rows
        self._write(key, stored, batches)

    def _held(self, key: str) -> list[tuple[Revision, ...]]:
        try:
            with pa.OSFile(str(self._path(key))) as source:
                return _spans(pa.ipc.open_file(source).schema)
        except (OSError, pa.ArrowException, KeyError, ValueError, TypeError):
            return []

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _write(self, key: str, schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> None:
        path = self._path(key)
        fresh = path.with_name(f".{key}.{secrets.token_hex(4)}")
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with pa.ipc.new_file(str(fresh), schema, options=options) as sink:
                for batch in batches:
                    sink.write_batch(batch.replace_schema_metadata(schema.metadata))
            fresh.replace(path)
        except (OSError, pa.ArrowException):
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def prune(self) -> None:
        """Drop what was used longest ago, where there is too much."""
        with suppress(OSError):
            found = [(e.stat(), e.path) for e in os.scandir(self._folder)]
            found.sort(key=lambda item: item[0].st_mtime, reverse=True)
            size = 0
            for number, (stat, path) in enumerate(found):
                size += stat.st_size
                if number >= self._max_files or size > self._max_bytes:
                    Path(path).unlink(missing_ok=True)


def _spans(schema: pa.Schema) -> list[tuple[Revision, ...]]:
    return [
        tuple(
            Revision(
                span=Window(datetime.fromisoformat(start), datetime.fromisoformat(end)),
                mark=str(mark),
            )
            for start, end, mark in revisions
        )
        for revisions in orjson.loads(schema.metadata[_SPANS])
    ]

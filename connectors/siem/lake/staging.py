"""One worker's share of a load: originals in, staged Parquet files out."""

import gc
import hashlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.clock import Clock, ClockSamples
from huntonce.connectors.siem.lake.columns import Row, table
from huntonce.connectors.siem.lake.event import Event
from huntonce.connectors.siem.lake.fields import NotAnEventError
from huntonce.connectors.siem.lake.layout import (
    EVENT_ID,
    RAW,
    TIME_COLUMN,
    UID,
    Partition,
    channel_folder,
    content_name,
    day_of,
)
from huntonce.connectors.siem.lake.mapping import TableMapping
from huntonce.connectors.siem.lake.reading import Piece, originals
from huntonce.connectors.siem.lake.shapes import clock_sample, normalise
from huntonce.connectors.siem.lake.statistics import with_statistics
from huntonce.connectors.siem.lake.tables import TableRow, is_shaped, shaped, unfolded
from huntonce.connectors.siem.lake.wrapping import innermost
from huntonce.models.setaside import PAYLOAD_LIMIT, InputKind, SetAside

BATCH_ROWS = 50_000
BATCH_BYTES = 192 * 1024**2
MAX_SET_ASIDE = 100
"""Most refusals kept one by one of a file; the others are counted in one more."""

_PAYLOADS = 4 * 1024**2
_PLAIN_COLUMNS = frozenset({UID, RAW, "Message", "@time", "@ingested", "@record_id", "@event_id"})
_PRUNED_BY = [TIME_COLUMN, EVENT_ID]
"""Files are cut and ordered by these; of texts, bounds would be a quarter of a small file."""

_LACKING_HINT = "the events are loaded so; export them with winlog, or load the EVTX files"
_TABLE_IDS = frozenset({"Id", "EventCode"})
"""What ``Get-WinEvent | ConvertTo-Json`` and Splunk's results call the event id."""

_ROW_GROUP = 65_536

_WAITING_TABLES = 2
_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A Parquet file made, not yet part of the lake."""

    path: Path
    partition: Partition
    rows: int


@dataclass(slots=True)
class Share:
    """What one worker made."""

    staged: list[StagedFile] = field(default_factory=list)
    set_aside: list[SetAside] = field(default_factory=list)
    duplicates: int = 0
    seen: int = 0


class Refusals:
    """Set-aside records of one file, bounded in number and size."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._room = _PAYLOADS
        self._more = 0
        self.items: list[SetAside] = []

    def add(self, place: str, reason: str, hint: str, payload: bytes) -> None:
        """Keep one refusal."""
        if len(self.items) >= MAX_SET_ASIDE:
            self._more += 1
            return
        payload = payload[: min(PAYLOAD_LIMIT, self._room)]
        self._room -= len(payload)
        self.items.append(self._item(place, reason, hint, payload))

    def all(self) -> list[SetAside]:
        """Those kept, and one that counts the others."""
        if not self._more:
            return self.items
        reason = f"{self._more} more refusals in this file were not kept one by one"
        return [*self.items, self._item("file", reason, "look at the first ones", b"")]

    def _item(self, place: str, reason: str, hint: str, payload: bytes) -> SetAside:
        return SetAside(
            kind=InputKind.TELEMETRY,
            source=self._source,
            place=place,
            reason=reason,
            hint=hint,
            payload=payload,
        )


class Occurrences:
    """Tells equal events of one recording apart where they carry no record number.

    Some collectors leave the number out and keep milliseconds only; the same access twice within
    one is then two equal lines. The second gets an id of its own, the same on every load.
    """

    def __init__(self) -> None:
        self._recent: dict[str, int] = {}
        self._older: dict[str, int] = {}

    def uid(self, event: Event) -> str:
        """The event's id, made distinct from those of its equals before it."""
        if event.record_id is not None:
            return event.uid
        count = self._recent.get(event.uid, self._older.get(event.uid, 0))
        if len(self._recent) >= _REMEMBERED:
            self._older, self._recent = self._recent, {}
        self._recent[event.uid] = count + 1
        if count == 0:
            return event.uid
        return hashlib.blake2b(f"{event.uid} {count}".encode(), digest_size=16).hexdigest()


class Stager:
    """Collects events and writes them to staged files, a partition a file, batch by batch."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[Partition, list[Row]] = defaultdict(list)
        self._uids: set[str] = set()
        self._count = self._bytes = 0
        self.share = Share()

    def stage(self, piece: Piece, clock: Clock | None) -> None:
        """Take every event of a piece; ``clock`` is measured from the piece where it is None."""
        source = piece.path.name
        refusals, occurrences = Refusals(piece.label or source), Occurrences()
        lacking = ""
        for kind, number, found in originals(piece, refusals.add):
            text = found.text if isinstance(found, TableRow) else found
            try:
                event = normalise(_document(found, piece.mapping))
                if event.local and clock is None:
                    clock = measure_clock(piece)
                event.uid = occurrences.uid(event)
                self._take(event, clock, source, text)
            except (NotAnEventError, orjson.JSONDecodeError, OverflowError) as error:
                _refuse(refusals, f"{kind} {number}", error, text)
                continue
            if event.lacking and not lacking:
                lacking = event.lacking
                refusals.add(f"{kind} {number} and the like", lacking, _LACKING_HINT, _bytes(text))
            if event.problem:
                hint = "the event is loaded without the task's parts"
                refusals.add(f"{kind} {number}", event.problem, hint, _bytes(text))
        self.share.set_aside += refusals.all()

    def _take(self, event: Event, clock: Clock | None, source: str, text: str | bytes) -> None:
        time, note = event.recorded, "utc"
        if event.local and clock is not None:
            time, note = clock.correct(event.host, event.recorded, event.hint)
        partition = Partition(channel_folder(event.channel), day_of(time))
        self.share.seen += 1
        if event.uid in self._uids:
            self.share.duplicates += 1
            return
        self._uids.add(event.uid)
        self._rows[partition].append(Row(event, time, note, source, text))
        self._count += 1
        self._bytes += len(text)
        if self._count >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write out what is held."""
        self._folder.mkdir(parents=True, exist_ok=True)
        # Packing a file holds no lock of the interpreter: the next table is made meanwhile.
        pending: deque[Future[None]] = deque()
        with ThreadPoolExecutor(1) as writer:
            for partition, rows in self._rows.items():
                name = f"{len(self.share.staged)}-{content_name(row.event.uid for row in rows)}"
                path = self._folder / name
                pending.append(writer.submit(_pack, with_statistics(table(rows)), path))
                self.share.staged.append(StagedFile(path, partition, len(rows)))
                if len(pending) > _WAITING_TABLES:
                    pending.popleft().result()
            while pending:
                pending.popleft().result()
        self._rows.clear()
        self._uids.clear()
        self._count = self._bytes = 0


def stage(pieces: Sequence[tuple[Piece, Clock | None]], folder: Path) -> Share:
    """Stage the events of some pieces below ``folder``."""
    stager = Stager(folder)
    with _uncollected():
        for piece, clock in pieces:
            stager.stage(piece, clock)
        stager.flush()
    return stager.share


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the cycle collector from walking the rows held, which have no cycles."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def measure_clock(piece: Piece) -> Clock:
    """The offsets of a recording, from the Sysmon events anywhere in its file."""
    samples = ClockSamples()
    whole = Piece(piece.path, mapping=piece.mapping)
    for _, _, found in originals(whole, lambda *_: None):
        data = found.text if isinstance(found, TableRow) else _bytes(found)
        if b"UtcTime" not in data or b'"Event":' in data:
            continue
        try:
            document = _document(found, piece.mapping)
        except (orjson.JSONDecodeError, NotAnEventError):
            continue
        sample = clock_sample(document) if isinstance(document, dict) else None
        if sample is not None and samples.wants(sample[0]):
            samples.add(*sample)
    return samples.clock()


def _document(found: str | bytes | TableRow, mapping: TableMapping | None) -> object:
    """An original as a document that ``normalise`` knows.

    Raises:
        orjson.JSONDecodeError: It is not JSON.
        NotAnEventError: It is a table's row whose time cannot be read, or of unknown columns.
    """
    if isinstance(found, TableRow):
        return unfolded(orjson.loads(found.text), found.layout)
    document = orjson.loads(found)
    if isinstance(document, dict):
        if "Event" in document:
            return document
        document = innermost(document)
    if not isinstance(document, dict) or is_shaped(document):
        return document
    if mapping is not None:
        return shaped(document, mapping)
    if "EventID" in document or "event_id" in document or not document.keys() & _TABLE_IDS:
        return document
    return shaped(document, None)


def write_parquet(content: pa.Table, path: Path) -> None:
    """Write a table as the lake's files are written."""
    _pack(with_statistics(content), path)


def _pack(content: pa.Table, path: Path) -> None:
    pq.write_table(
        content,
        path,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in content.column_names if name not in _PLAIN_COLUMNS],
        write_statistics=_PRUNED_BY,
        row_group_size=_ROW_GROUP,
    )


def _refuse(refusals: Refusals, place: str, error: Exception, text: str | bytes) -> None:
    if isinstance(error, orjson.JSONDecodeError):
        reason = f"not JSON: {error}"
        hint = "a line that ends early was cut off when the file was copied"
    elif isinstance(error, OverflowError):
        reason, hint = "its time is outside the years 1 to 9999", ""
    else:
        reason, hint = str(error), "only Windows events are loaded"
    refusals.add(place, reason, hint, _bytes(text))


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode(errors="replace")

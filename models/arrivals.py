"""Arrivals: what a SIEM delivered in a window, as bits by host, channel, event id and hour.

Hours are bits of a Python int: union, intersection and count are then single operations, whatever
the length of the window.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from huntonce.models.query import COUNT_SCHEMA, LAG_SCHEMA
from huntonce.models.windows import HOUR, Window, floor_hour

MAX_SILENCE = timedelta(hours=72)
"""Longest time between two events of a host's channel in which it is taken to have delivered."""
_INT64 = 2**63
_HOUR_US = 3_600_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Ints = npt.NDArray[np.integer[Any]]
Filled = Mapping[tuple[str, int, str], Mapping[str, tuple[int | None, int]]]
"""Channel, event id and field to host to events with the field filled (None: it is stored and
cannot be searched) and all of them."""


@dataclass(slots=True)
class Delivered:
    """One host and channel.

    Attributes:
        hours: Event id to the hours with such events.
        events: Event id to their number.
        delivering: Hours in which it delivered anything, holes up to ``MAX_SILENCE`` filled.
    """

    hours: dict[int, int]
    events: dict[int, int]
    first: datetime
    last: datetime
    delivering: int


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """What a SIEM delivered in a window.

    Attributes:
        inventory: ``INVENTORY_SCHEMA``.
        fill: ``FILL_SCHEMA``.
        matches: Atom id to what matches the atom's ``where``: ``COUNT_SCHEMA``.
        refused: Atom id to why the SIEM would not say (permission, error).
        unsupported: Atom id to why it cannot say.
        lags: ``LAG_SCHEMA``; a host and channel without a row says nothing.
        kept: Channel to the moment before which the SIEM keeps nothing of it; "" stands for every
            channel that is not named.
        newest: End of the newest telemetry of any host; None: the window's end.
    """

    window: Window
    inventory: pa.Table
    fill: pa.Table
    matches: Mapping[str, pa.Table] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    unsupported: Mapping[str, str] = field(default_factory=dict)
    lags: pa.Table = field(default_factory=LAG_SCHEMA.empty_table)
    kept: Mapping[str, datetime] = field(default_factory=dict)
    newest: datetime | None = None

    @cached_property
    def hours(self) -> int:
        """Clock hours of the window."""
        return self.window.hours

    @cached_property
    def start_hour(self) -> datetime:
        """The first of them."""
        return floor_hour(self.window.start)

    @cached_property
    def end_hour(self) -> int:
        """Number of the last hour of the window that any telemetry reaches."""
        newest = self.window.end if self.newest is None else min(self.newest, self.window.end)
        reached = floor_hour(newest - timedelta(microseconds=1)) - floor_hour(self.window.start)
        return max(0, int(reached / HOUR))

    def unkept(self, channel: str) -> int:
        """Hours at the start of the window of which nothing is kept any more."""
        edge = self.kept.get(channel, self.kept.get(""))
        if edge is None or edge <= self.window.start:
            return 0
        return min(self.window.hours, int((edge - floor_hour(self.window.start)) / HOUR))

    @cached_property
    def delivered(self) -> Mapping[tuple[str, str], Delivered]:
        """By host and channel."""
        return _delivered(self.inventory, self.window)

    @cached_property
    def last_hours(self) -> Mapping[str, int]:
        """Host to the number of the last hour in which it delivered anything."""
        found: dict[str, int] = {}
        for (host, _), seen in self.delivered.items():
            last = max(mask.bit_length() for mask in seen.hours.values()) - 1
            found[host] = max(last, found.get(host, 0))
        return found

    @cached_property
    def filled(self) -> Filled:
        """How far fields are filled."""
        index: dict[tuple[str, int, str], dict[str, tuple[int | None, int]]] = {}
        columns = (self.fill.column(name).to_pylist() for name in self.fill.schema.names)
        for host, channel, event_id, name, filled, events in zip(*columns, strict=True):
            hosts = index.setdefault((channel, event_id, name), {})
            known, total = hosts.get(host, (0, 0))
            both = None if known is None or filled is None else known + filled
            hosts[host] = (both, total + events)
        return index

    @cached_property
    def matched(self) -> Mapping[str, Mapping[str, tuple[int, int]]]:
        """Atom id to host to number of matching events and the hours they are in."""
        return {
            atom_id: _matched(table.cast(COUNT_SCHEMA), self.window)
            for atom_id, table in self.matches.items()
        }

    @cached_property
    def late(self) -> Mapping[tuple[str, str], float]:
        """Seconds of the 95th percentile by host and channel."""
        columns = [self.lags.column(name).to_pylist() for name in ("host", "channel", "p95")]
        return {(host, channel): p95 for host, channel, p95 in zip(*columns, strict=True)}


def _offsets(hours: pa.ChunkedArray, window: Window) -> Ints:
    start = int((floor_hour(window.start) - _EPOCH) / timedelta(microseconds=1))
    found = hours.cast(pa.int64()).to_numpy()
    answer: Ints = (found - start) // _HOUR_US
    return answer


def _matched(table: pa.Table, window: Window) -> dict[str, tuple[int, int]]:
    offsets = _offsets(table.column("hour"), window)
    inside = (offsets >= 0) & (offsets < window.hours)
    if not inside.any():
        return {}
    names, host = _coded(table.column("host"))
    order = np.argsort(host[inside], kind="stable")
    host, offsets = host[inside][order], offsets[inside][order]
    starts = _starts(host)
    counts = table.column("events").to_numpy()[inside][order]
    masks = _masks(starts, offsets, window.hours)
    return {
        names[code]: (events, mask)
        for code, events, mask in zip(
            host[starts].tolist(), np.add.reduceat(counts, starts).tolist(), masks, strict=True
        )
    }


def _delivered(table: pa.Table, window: Window) -> dict[tuple[str, str], Delivered]:
    """Built column by column: an inventory of a large estate has millions of rows."""
    offsets, hours = _offsets(table.column("hour"), window), window.hours
    inside = (offsets >= 0) & (offsets < hours)
    if not inside.all():
        table, offsets = table.filter(pa.array(inside)), offsets[inside]
    if not table.num_rows:
        return {}
    hosts, host = _coded(table.column("host"))
    channels, channel = _coded(table.column("channel"))
    ids = table.column("event_id").to_numpy()
    order = _ordered(host, channel, ids)
    host, channel, ids, offsets = host[order], channel[order], ids[order], offsets[order]
    events, first, last = (
        table.column(name).cast(pa.int64()).to_numpy()[order]
        for name in ("events", "first", "last")
    )
    pair_starts = _starts(host, channel)
    id_starts = _starts(host, channel, ids)
    masks = _masks(id_starts, offsets, hours)
    sums = np.add.reduceat(events, id_starts).tolist()
    firsts = np.minimum.reduceat(first, pair_starts).tolist()
    lasts = np.maximum.reduceat(last, pair_starts).tolist()
    id_values = ids[id_starts].tolist()
    bounds = [*np.searchsorted(id_starts, pair_starts).tolist(), len(id_starts)]
    silence = int(MAX_SILENCE / HOUR)
    index: dict[tuple[str, str], Delivered] = {}
    for number, start in enumerate(pair_starts.tolist()):
        here = range(bounds[number], bounds[number + 1])
        index[hosts[host[start]], channels[channel[start]]] = Delivered(
            hours={id_values[i]: masks[i] for i in here},
            events={id_values[i]: sums[i] for i in here},
            first=_EPOCH + timedelta(microseconds=firsts[number]),
            last=_EPOCH + timedelta(microseconds=lasts[number]),
            delivering=bridge(union(masks[i] for i in here), hours, silence),
        )
    return index


def _ordered(host: Ints, channel: Ints, ids: Ints) -> Ints:
    """The order of rows by host, channel and event id; equals stay as they are.

    One key is sorted quicker than three, and at once where the answers of many days follow each
    other, each in order.
    """
    lowest, width = int(ids.min()), int(ids.max()) - int(ids.min()) + 1
    channels = int(channel.max()) + 1
    if (int(host.max()) + 1) * channels * width >= _INT64:
        return np.lexsort((ids, channel, host))
    key = (host.astype(np.int64) * channels + channel) * width + (ids - lowest)
    return np.argsort(key, kind="stable")


def _coded(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    # Numbered before they are put together: texts of millions of rows are not worth a copy.
    whole = pc.dictionary_encode(column).unify_dictionaries().combine_chunks()
    return whole.dictionary.to_pylist(), whole.indices.to_numpy()


def _starts(*columns: Ints) -> Ints:
    """Where sorted columns change; 0 first."""
    changed = np.zeros(len(columns[0]), np.bool_)
    changed[0] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)


def _masks(starts: Ints, offsets: Ints, hours: int) -> list[int]:
    """The hours of each group of rows as bits; ``starts`` is where groups start, 0 first."""
    groups = np.repeat(np.arange(len(starts)), np.diff(starts, append=len(offsets)))
    bits = np.zeros((len(starts), (hours + 7) // 8), np.uint8)
    np.bitwise_or.at(bits, (groups, offsets >> 3), (1 << (offsets & 7)).astype(np.uint8))
    return [int.from_bytes(row.tobytes(), "little") for row in bits]


# ---------------------------------------------------------------- bits


def union(masks: Iterable[int]) -> int:
    """Every bit that any of the masks has."""
    together = 0
    for mask in masks:
        together |= mask
    return together


def bridge(mask: int, hours: int, silence: int) -> int:
    """Fill the holes of a mask of ``hours`` bits that are at most ``silence`` bits wide.

    The edges of the window are holes too: what lies within ``silence`` of the first or last set
    bit counts as live.
    """
    inside = (1 << hours) - 1
    mask &= inside
    if not mask:
        return 0
    # A closing: grown by ``silence`` and shrunk again, holes up to that width stay filled. A bit
    # before the first hour and one after the last make holes of the edges.
    filled = mask << 1 | 1 | 1 << (hours + 1)
    for step in _doubling(silence):
        filled |= filled << step
    for step in _doubling(silence):
        filled &= filled >> step
    return filled >> 1 & inside


@lru_cache(maxsize=16)
def _doubling(reach: int) -> tuple[int, ...]:
    """Shifts that add up to ``reach``, each at most what the ones before it cover."""
    covered, steps = 1, []
    while covered <= reach:
        steps.append(min(covered, reach + 1 - covered))
        covered += steps[-1]
    return tuple(steps)


def longest_hole(mask: int) -> int:
    """Hours of the longest run of empty hours between two set ones."""
    longest, before = 0, None
    while mask:
        low = mask & -mask
        here = low.bit_length()
        if before is not None:
            longest = max(longest, here - before - 1)
        before, mask = here, mask ^ low
    return longest

"""Many texts looked for in the different values of a column at once (Aho-Corasick)."""

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache

import ahocorasick_rs
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from huntonce.connectors.siem.sweep.needles import HIGH, LOW

_SLICE_BYTES = 8 * 1024**2
"""Scanned at a time, so that the list of matches stays small."""

_KEPT = 1_024
"""Automata kept: classes of events and their columns often wait for the same texts."""

_LITTLE = 2_048
"""Bytes of values up to which asking for each needle costs less than making an automaton."""

_MADE_FAST = ahocorasick_rs.Implementation.ContiguousNFA
_NONE = np.empty(0, np.int64)

Found = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Numbers of needles, and of the values in which they occur: pairs, each once, needles in order."""


class Scanner:
    """Finds needles (lower case, ``LOW``/``HIGH`` where a value starts/ends) in values.

    ``once`` where it is made for one scan of little: made faster, it scans slower.
    """

    def __init__(self, needles: Sequence[str], *, once: bool = False) -> None:
        self._automaton = ahocorasick_rs.BytesAhoCorasick(
            [needle.encode("utf-8", "surrogatepass") for needle in needles],
            implementation=_MADE_FAST if once else None,
        )

    def scan(self, low: pa.StringArray) -> Found:
        """Which needle occurs in which value of an array in lower case without nulls."""
        size = max(len(low), 1)
        keys = [self._scan(part, start, size) for start, part in _slices(low)]
        together = keys[0] if len(keys) == 1 else np.unique(np.concatenate([_NONE, *keys]))
        return together // size, together % size

    def _scan(self, part: pa.StringArray, start: int, size: int) -> npt.NDArray[np.int64]:
        text = pc.binary_join_element_wise(LOW, part, HIGH, "")
        _, offset_buffer, data = text.buffers()
        offsets = np.frombuffer(offset_buffer, np.int32)[text.offset : text.offset + len(text) + 1]
        first, last = int(offsets[0]), int(offsets[-1])
        matches = self._automaton.find_matches_as_indexes(
            memoryview(data)[first:last].tobytes(), overlapping=True
        )
        if not matches:  # by far the most frequent answer where classes are small
            return _NONE
        flat = np.fromiter(itertools.chain.from_iterable(matches), np.int64, 3 * len(matches))
        needles, starts = flat[0::3], flat[1::3]
        values = np.searchsorted(offsets, starts + first, side="right") - 1 + start
        return np.unique(needles * size + values)


def occurring(needles: Sequence[str], low: pa.StringArray) -> frozenset[str]:
    """Those of some needles that occur in any value of an array as ``Scanner.scan`` takes it."""
    if low.nbytes <= _LITTLE:
        text = "".join(f"{LOW}{value}{HIGH}" for value in low.to_pylist())
        return frozenset(needle for needle in needles if needle in text)
    found, _ = Scanner(needles, once=low.nbytes <= _SLICE_BYTES).scan(low)
    return frozenset(needles[at] for at in np.unique(found).tolist())


@lru_cache(maxsize=_KEPT)
def scanner(needles: tuple[str, ...]) -> Scanner:
    """The search for some needles, made once."""
    return Scanner(needles)


def _slices(low: pa.StringArray) -> Iterator[tuple[int, pa.StringArray]]:
    if not len(low):
        return
    if low.nbytes <= _SLICE_BYTES:
        yield 0, low
        return
    step = max(1, len(low) * _SLICE_BYTES // max(low.nbytes, 1))
    for start in range(0, len(low), step):
        yield start, low.slice(start, step)

"""A column of events as the engine sees it: the different values, and a number for each row."""

import ipaddress
import re
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]

NO_VALUE = -1
_NUMBER = r"\A\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*\z"
_TAKE_SHARE = 0.9


def lower_text(text: str) -> str:
    """Lower case as ``lower_values`` has it, so that patterns and values meet."""
    if text.isascii():
        return text.lower()
    answer: str = pc.utf8_lower(pa.scalar(text)).as_py()
    return answer


def lower_values(values: pa.StringArray) -> pa.StringArray:
    """Every value in lower case, character by character (not by language)."""
    return pc.ascii_lower(values) if _ascii_only(values) else pc.utf8_lower(values)


def _ascii_only(values: pa.StringArray) -> bool:
    """Whether no value has a letter beyond ASCII, from the bytes of all of them at once."""
    _, offsets, data = values.buffers()
    if not len(values) or data is None:
        return True
    ends = np.frombuffer(offsets, np.int32)
    first, last = int(ends[values.offset]), int(ends[values.offset + len(values)])
    return memoryview(data)[first:last].tobytes().isascii()


class Column:
    """One column of a set of rows.

    Attributes:
        values: The different values (there may be some that no row has).
        codes: For each row the number of its value, ``NO_VALUE`` where it has none.
    """

    def __init__(self, values: pa.StringArray, codes: Codes) -> None:
        self.values = values
        self.codes = codes
        self._masks: dict[int, Mask] = {}

    @property
    def size(self) -> int:
        """Number of different values."""
        return len(self.values)

    @cached_property
    def low(self) -> pa.StringArray:
        """The values in lower case."""
        return lower_values(self.values)

    @cached_property
    def numbers(self) -> npt.NDArray[np.float64]:
        """The values as numbers, NaN where a value is none."""
        shaped = pc.match_substring_regex(self.values, _NUMBER)
        trimmed = pc.utf8_trim_whitespace(pc.if_else(shaped, self.values, None))
        plain = pc.replace_substring_regex(trimmed, r"^\+", "")
        answer: npt.NDArray[np.float64] = np.array(
            [np.nan if text is None else float(text) for text in plain.to_pylist()], np.float64
        )
        return answer

    @cached_property
    def addresses(self) -> tuple[tuple[int, int] | None, ...]:
        """The values as (IP version, number), None where a value is no address."""
        return tuple(_address(text) for text in self.values.to_pylist())

    def texts(self, codes: npt.NDArray[np.integer], *, low: bool) -> list[str]:
        """The values of some codes."""
        values = self.low if low else self.values
        if len(codes) == 1:
            return [values[int(codes[0])].as_py()]
        found: list[str] = values.take(pa.array(codes)).to_pylist()
        return found

    def some(self, codes: npt.NDArray[np.integer] | None, *, low: bool) -> pa.StringArray:
        """The values of some codes, all where that is None, as an array."""
        values = self.low if low else self.values
        return values if codes is None else values.take(pa.array(codes))

    def remembered(self, key: int) -> Mask | None:
        """The answer kept for a question, for each value and last for no value."""
        return self._masks.get(key)

    def remember(self, key: int, mask: Mask) -> None:
        """Keep an answer."""
        self._masks[key] = mask


def compact(values: pa.StringArray, codes: Codes) -> Column:
    """A column without the values that no row has, where those are many."""
    used = np.zeros(len(values) + 1, np.bool_)
    used[codes] = True
    kept = np.flatnonzero(used[:-1])
    if len(kept) > _TAKE_SHARE * len(values):
        return Column(values, codes)
    renumbered = np.full(len(values) + 1, NO_VALUE, np.int32)
    renumbered[kept] = np.arange(len(kept), dtype=np.int32)
    return Column(values.take(pa.array(kept)), renumbered[codes])


def column_of(chunks: list[pa.Array], rows: int) -> tuple[pa.StringArray, Codes]:
    """Values and codes of dictionary-encoded chunks that hold ``rows`` rows together."""
    column = pa.chunked_array(chunks, pa.dictionary(pa.int32(), pa.string()))
    if column.num_chunks == 0:
        return pa.array([], pa.string()), np.full(rows, NO_VALUE, np.int32)
    if column.num_chunks > 1:
        column = column.unify_dictionaries()
    joined = column.combine_chunks() if column.num_chunks > 1 else column.chunk(0)
    if isinstance(joined, pa.ChunkedArray):
        joined = joined.chunk(0)
    indices = joined.indices
    filled = pc.fill_null(indices, NO_VALUE) if indices.null_count else indices
    return _valid(joined.dictionary, filled.to_numpy(zero_copy_only=False))


def _valid(values: pa.StringArray, codes: Codes) -> tuple[pa.StringArray, Codes]:
    """A dictionary may hold a null itself; rows of it have no value."""
    if not values.null_count:
        return values, codes
    renumber = np.append(np.where(pc.is_valid(values).to_numpy(zero_copy_only=False),
                                  np.arange(len(values)), NO_VALUE), NO_VALUE)  # fmt: skip
    return pc.fill_null(values, ""), renumber.astype(np.int32)[codes]


_V4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)",
                 re.ASCII)  # fmt: skip


@lru_cache(maxsize=262_144)
def _address(text: str) -> tuple[int, int] | None:
    if _V4.fullmatch(text):
        a, b, c, d = text.split(".")
        return 4, int(a) << 24 | int(b) << 16 | int(c) << 8 | int(d)
    if ":" not in text:
        return None
    try:
        return 6, int(ipaddress.IPv6Address(text))
    except ValueError:
        return None

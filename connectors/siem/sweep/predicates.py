"""Questions to one column, answered for its different values at once."""

import ipaddress
import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from huntonce.connectors.siem.sweep.column import Column, Mask, lower_text
from huntonce.connectors.siem.sweep.needles import HIGH, LOW, regex_needles
from huntonce.connectors.sigma.globs import glob_pattern, quoted
from huntonce.connectors.sigma.ir import ANY_TEXT, CASED, Atom, GlobPart, Op

FEW = 48
"""Up to so many values are asked one by one: setting up a scan costs more."""

_LITERALS_A_PATTERN = 100
_BYTES_A_PATTERN = 8_000
_LONG_LINE = re.compile(r"\.\{([0-9]{1,4}),\}")
_MOST_REPEATS = 1_000
"""More are an error to RE2."""

_PLAIN = frozenset({Op.EQ, Op.CONTAINS, Op.STARTSWITH, Op.ENDSWITH})
_KEPT = 8_192
_numbers = itertools.count()

Some = npt.NDArray[np.integer] | None
"""Codes of the values asked about; None for all."""


class Predicate(ABC):
    """A question to a value.

    Attributes:
        key: Tells questions apart, for answers that are kept.
        cost: Which of several to ask first.
    """

    cost = 50

    def __init__(self) -> None:
        self.key = next(_numbers)

    @abstractmethod
    def ask(self, column: Column, codes: Some) -> Mask:
        """The answer for each value of ``codes``, in their order."""

    def needles(self) -> tuple[str, ...] | None:
        """Texts of which one must occur in a value (lower case, between ``LOW`` and ``HIGH``).

        None where nothing can be said.
        """
        return None


class TextSet(Predicate):
    """A value equals, holds, starts or ends with one of some texts, in any case."""

    cost = 2

    def __init__(self, atoms: Iterable[tuple[Op, str]]) -> None:
        super().__init__()
        found: dict[Op, dict[str, None]] = {op: {} for op in _PLAIN}
        for op, text in atoms:
            found[op][lower_text(text)] = None
        self._equal = frozenset(found[Op.EQ])
        self._starts = tuple(found[Op.STARTSWITH])
        self._ends = tuple(found[Op.ENDSWITH])
        self._holds = tuple(found[Op.CONTAINS])
        self.cost = 2 + len(self._holds)
        self._patterns: list[str] | None = None

    @override
    def ask(self, column: Column, codes: Some) -> Mask:
        if (column.size if codes is None else len(codes)) <= FEW:
            texts = column.low.to_pylist() if codes is None else column.texts(codes, low=True)
            return np.array([self._one(text) for text in texts], np.bool_)
        values = column.some(codes, low=True)
        answer = np.zeros(len(values), np.bool_)
        if self._equal:
            known = pa.array(self._equal, pa.string())
            answer |= pc.is_in(values, value_set=known).to_numpy(zero_copy_only=False)
        if self._patterns is None:
            self._patterns = list(self._regexes())
        for pattern in self._patterns:
            answer |= matches(values, pattern)
        return answer

    def _one(self, text: str) -> bool:
        return (
            text in self._equal
            or text.endswith(self._ends)
            or text.startswith(self._starts)
            or any(part in text for part in self._holds)
        )

    def _regexes(self) -> Iterator[str]:
        literals = [
            *(rf"\A{quoted(text)}" for text in self._starts),
            *(rf"{quoted(text)}\z" for text in self._ends),
            *(quoted(text) for text in self._holds),
        ]
        share: list[str] = []
        size = 0
        for literal in literals:
            if share and (len(share) == _LITERALS_A_PATTERN or size > _BYTES_A_PATTERN):
                yield "|".join(share)
                share, size = [], 0
            share.append(literal)
            size += len(literal)
        if share:
            yield "|".join(share)

    @override
    def needles(self) -> tuple[str, ...] | None:
        return (
            *(f"{LOW}{text}{HIGH}" for text in self._equal),
            *(f"{LOW}{text}" for text in self._starts),
            *(f"{text}{HIGH}" for text in self._ends),
            *self._holds,
        )


class Regex(Predicate):
    """An RE2 pattern is found in a value."""

    def __init__(self, pattern: str, *, low: bool, needles: tuple[str, ...] | None) -> None:
        super().__init__()
        self._pattern = pattern
        self._low = low
        self._needles = needles

    @override
    def ask(self, column: Column, codes: Some) -> Mask:
        return matches(column.some(codes, low=self._low), self._pattern)

    @override
    def needles(self) -> tuple[str, ...] | None:
        return self._needles


class LongLine(Predicate):
    r"""A line of a value has so many characters or more: what ``.{1000,}`` asks.

    RE2 makes a thousand states of that one, which takes longer than all the rest of a small sweep.
    """

    cost = 1

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length

    @override
    def ask(self, column: Column, codes: Some) -> Mask:
        texts = column.some(codes, low=False).to_pylist()
        return np.array([self._one(text) for text in texts], np.bool_)

    def _one(self, text: str) -> bool:
        if len(text) < self._length:
            return False
        return any(len(line) >= self._length for line in text.split("\n"))


class Number(Predicate):
    """A value is a number that compares so with another."""

    cost = 1

    def __init__(self, operator: str, number: float) -> None:
        super().__init__()
        self._operator = operator
        self._number = float(number)

    @override
    def ask(self, column: Column, codes: Some) -> Mask:
        numbers = column.numbers if codes is None else column.numbers[codes]
        answer: Mask
        match self._operator:
            case "eq":
                answer = numbers == self._number
            case "lt":
                answer = numbers < self._number
            case "lte":
                answer = numbers <= self._number
            case "gt":
                answer = numbers > self._number
            case _:
                answer = numbers >= self._number
        return answer


class Network(Predicate):
    """A value is an address of a network."""

    def __init__(self, network: str) -> None:
        super().__init__()
        found = ipaddress.ip_network(network)
        self._version = found.version
        self._first = int(found.network_address)
        self._last = int(found.broadcast_address)

    @override
    def ask(self, column: Column, codes: Some) -> Mask:
        addresses = column.addresses
        asked = range(column.size) if codes is None else codes.tolist()
        return np.array([self._inside(addresses[code]) for code in asked], np.bool_)

    def _inside(self, address: tuple[int, int] | None) -> bool:
        if address is None:
            return False
        return address[0] == self._version and self._first <= address[1] <= self._last


class TimePart(Predicate):
    """A part of a value that is a time (its hour, day ...) is a number."""

    def __init__(self, part: str, number: float) -> None:
        super().__init__()
        self._part = part
        self._number = number

    @override
    def ask(self, column: Column, codes: Some) -> Mask:
        texts = column.some(codes, low=False).to_pylist()
        return np.array([self._one(text) for text in texts], np.bool_)

    def _one(self, text: str) -> bool:
        try:
            moment = datetime.fromisoformat(text.strip())
        except ValueError:
            return False
        if moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
        return int(moment.strftime(self._part)) == self._number


@lru_cache(maxsize=_KEPT)
def text_set(atoms: tuple[tuple[Op, str], ...]) -> TextSet:
    """The question whether one of some texts is there, made once: classes share their rules."""
    return TextSet(atoms)


@lru_cache(maxsize=_KEPT)
def predicate(atom: Atom) -> Predicate:  # noqa: PLR0911 - one case an operation
    """The question of an atom other than null, exists and field references."""
    value: Any = atom.value
    match atom.op:
        case Op.EQ | Op.CONTAINS | Op.STARTSWITH | Op.ENDSWITH:
            return TextSet([(atom.op, value)])
        case Op.BOOL:
            return TextSet((Op.EQ, text) for text in (("true", "1") if value else ("false", "0")))
        case Op.NUMBER:
            return Number("eq", value)
        case Op.COMPARE:
            return Number(value[0], value[1])
        case Op.REGEX:
            return _regex(value)
        case Op.CIDR:
            return Network(value)
        case Op.TIME_PART:
            return TimePart(value[0], value[1])
        case _:
            return _glob(atom)


def is_plain(atom: Atom) -> bool:
    """Whether several of its kind on one column make one ``TextSet``."""
    return atom.op in _PLAIN


def _regex(pattern: str) -> Predicate:
    if (found := _LONG_LINE.fullmatch(pattern)) and int(found[1]) <= _MOST_REPEATS:
        return LongLine(int(found[1]))
    return Regex(pattern, low=False, needles=regex_needles(pattern))


def _glob(atom: Atom) -> Regex:
    cased = atom.op in CASED
    op = CASED.get(atom.op, atom.op)
    value = atom.value
    parts: tuple[GlobPart, ...] = value if op is Op.GLOB else _PARTS[op](value)
    low = tuple(lower_text(part) if isinstance(part, str) else part for part in parts)
    if not cased:
        parts = low
    literals = [part for part in low if isinstance(part, str)]
    longest = max(literals, key=len, default="")
    if len(low) == 1 and literals:
        longest = f"{LOW}{longest}{HIGH}"
    return Regex(glob_pattern(parts), low=not cased, needles=(longest,) if longest else None)


_PARTS: dict[Op, Any] = {
    Op.EQ: lambda text: (text,),
    Op.CONTAINS: lambda text: (ANY_TEXT, text, ANY_TEXT),
    Op.STARTSWITH: lambda text: (text, ANY_TEXT),
    Op.ENDSWITH: lambda text: (ANY_TEXT, text),
}


def matches(values: pa.StringArray, pattern: str) -> Mask:
    """For each value whether the RE2 pattern is found in it."""
    found: Mask = pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False)
    return found

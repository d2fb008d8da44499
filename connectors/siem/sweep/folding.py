"""Conditions made ready for one class of events: constants are worked out, fields are columns.

Within a class (a channel and an event id) the event id is known, and so is which columns have no
value at all. What is left to ask is usually a small part of a rule, and most rules fold to false.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from huntonce.connectors.siem.fieldnames import RECORD_FIELDS, FieldNames
from huntonce.connectors.siem.sweep.column import Column
from huntonce.connectors.siem.sweep.predicates import Predicate, is_plain, predicate, text_set
from huntonce.connectors.sigma.ir import And, Atom, Condition, Named, Not, Op, Or
from huntonce.connectors.sigma.logsource import Variant

_RECORD = tuple(dict.fromkeys(RECORD_FIELDS.values()))
_ALWAYS = frozenset({"@event_id", "@channel"})

_ONLY = np.zeros(1, np.int32)

Table = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ColumnKey:
    """A column, and the table that says what its recorded values mean, where there is one."""

    name: str
    meanings: Table = ()


@dataclass(frozen=True, slots=True)
class Test:
    """A question to a column; false for a row without a value."""

    column: ColumnKey
    predicate: Predicate


@dataclass(frozen=True, slots=True)
class HasValue:
    """A row has a value."""

    column: ColumnKey


@dataclass(frozen=True, slots=True)
class Refers:
    """Two columns of a row compare so, in any case: eq, startswith, endswith, contains."""

    column: ColumnKey
    other: ColumnKey
    mode: str


@dataclass(frozen=True, slots=True)
class All:
    """All hold."""

    items: tuple["Folded", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """One holds."""

    items: tuple["Folded", ...]


@dataclass(frozen=True, slots=True)
class Inverse:
    """It does not hold."""

    item: "Folded"


Folded = Test | HasValue | Refers | All | Some | Inverse
Outcome = Folded | bool


class ClassContext:
    """A class of events, as the rules of one place of a log source see it.

    Args:
        place: Where the log source is recorded, with its field names.
        event_id: Of every event of the class.
        present: Columns in which some event of the class has a value.
        names: The columns by the names that rules use, where those of other classes count too.

    Attributes:
        absent: Fields asked for that no event of the class has; collected while folding.
    """

    def __init__(
        self,
        place: Variant,
        event_id: int,
        present: Iterable[str],
        names: FieldNames | None = None,
    ) -> None:
        self._present = tuple(present)
        self._held = frozenset(self._present)
        self._names = names or FieldNames(place, self._present)
        self._id = Column(pa.array([str(event_id)], pa.string()), np.zeros(1, np.int32))
        self._keys: dict[str, ColumnKey | None] = {}
        self.absent: dict[str, None] = {}

    def key(self, field: str) -> ColumnKey | None:
        """The column of a field; None where no event has it."""
        if field not in self._keys:
            self._keys[field] = self._find(field)
        return self._keys[field]

    def _find(self, field: str) -> ColumnKey | None:
        column = self._names.find(field)
        if column is None or column not in self._held | _ALWAYS:
            return None
        if column.startswith("@"):
            return ColumnKey(column)
        return ColumnKey(column, tuple(self._names.meanings(field).items()))

    def everywhere(self) -> list[ColumnKey]:
        """Every column that a keyword is looked for in."""
        own = [name for name in self._present if not name.startswith("@")]
        return [ColumnKey(name) for name in (*_RECORD, *own) if name in self._held]

    def constant(self, key: ColumnKey) -> Column | None:
        """The column itself where every row has the same value and that is known."""
        return self._id if key.name == "@event_id" else None


def fold(condition: Condition, context: ClassContext) -> Outcome:
    """The condition over a class; True or False where it does not depend on the event."""
    match condition:
        case Named(_, item):
            return fold(item, context)
        case Not(item):
            return negated(fold(item, context))
        case And(items):
            return _all(items, context)
        case Or(items):
            return _some(items, context)
        case Atom():
            return _atom(condition, context)


def negated(outcome: Outcome) -> Outcome:
    """Its opposite."""
    if isinstance(outcome, bool):
        return not outcome
    return outcome.item if isinstance(outcome, Inverse) else Inverse(outcome)


def _all(items: tuple[Condition, ...], context: ClassContext) -> Outcome:
    left: list[Folded] = []
    for item in items:
        outcome = fold(item, context)
        if outcome is False:
            return False
        if outcome is not True:
            left += outcome.items if isinstance(outcome, All) else (outcome,)
    if not left:
        return True
    return left[0] if len(left) == 1 else All(tuple(left))


def _some(items: tuple[Condition, ...], context: ClassContext) -> Outcome:
    left: list[Folded] = []
    plain: dict[ColumnKey, list[tuple[Op, str]]] = {}
    for item in items:
        if isinstance(item, Atom) and is_plain(item):
            for key in _asked(item, context):
                if context.constant(key) is None:
                    plain.setdefault(key, []).append((item.op, item.value))
                elif _test(key, predicate(item), context) is True:
                    return True
            continue
        outcome = fold(item, context)
        if outcome is True:
            return True
        if outcome is not False:
            left += outcome.items if isinstance(outcome, Some) else (outcome,)
    found = [*(Test(key, text_set(tuple(texts))) for key, texts in plain.items()), *left]
    if not found:
        return False
    return found[0] if len(found) == 1 else Some(tuple(found))


def _asked(atom: Atom, context: ClassContext) -> list[ColumnKey]:
    """The columns in which an atom is looked for."""
    if atom.field is None:
        return context.everywhere()
    key = _present(atom.field, context)
    return [] if key is None else [key]


def _present(field: str, context: ClassContext) -> ColumnKey | None:
    key = context.key(field)
    if key is None:
        context.absent[field] = None
    return key


def _atom(atom: Atom, context: ClassContext) -> Outcome:
    if atom.field is None:
        return _keyword(atom, context)
    key = _present(atom.field, context)
    if atom.op is Op.FIELD:
        return _reference(atom, key, context)
    if key is None:
        return atom.op is Op.NULL or (atom.op is Op.EXISTS and not atom.value)
    if atom.op is Op.EXISTS or atom.op is Op.NULL:
        wanted = atom.op is Op.EXISTS and bool(atom.value)
        if context.constant(key) is not None:
            return wanted
        return HasValue(key) if wanted else Inverse(HasValue(key))
    return _test(key, predicate(atom), context)


def _reference(atom: Atom, key: ColumnKey | None, context: ClassContext) -> Outcome:
    field, mode = atom.value
    other = _present(field, context)
    return False if key is None or other is None else Refers(key, other, mode)


def _keyword(atom: Atom, context: ClassContext) -> Outcome:
    if atom.op is Op.EXISTS:
        return bool(atom.value)
    asked = predicate(atom)
    outcomes = [_test(key, asked, context) for key in context.everywhere()]
    if True in outcomes:
        return True
    left = tuple(outcome for outcome in outcomes if not isinstance(outcome, bool))
    return Some(left) if left else False


def _test(key: ColumnKey, asked: Predicate, context: ClassContext) -> Outcome:
    constant = context.constant(key)
    if constant is None:
        return Test(key, asked)
    return bool(asked.ask(constant, _ONLY)[0])


def columns_of(folded: Folded) -> list[ColumnKey]:
    """Every column asked, once each."""
    found: dict[ColumnKey, None] = {}
    _collect(folded, found)
    return list(found)


def _collect(folded: Folded, found: dict[ColumnKey, None]) -> None:
    match folded:
        case Test(column, _) | HasValue(column):
            found[column] = None
        case Refers(column, other, _):
            found[column] = None
            found[other] = None
        case Inverse(item):
            _collect(item, found)
        case All(items) | Some(items):
            for item in items:
                _collect(item, found)


def blinded(condition: Condition, context: ClassContext) -> bool:
    """Whether a condition that folds to false could hold if the absent fields were there."""
    return _possible(condition, context)[0]


def _possible(condition: Condition, context: ClassContext) -> tuple[bool, bool]:
    """Whether it could be true and whether it could be false, absent fields being anything."""
    match condition:
        case Named(_, item):
            return _possible(item, context)
        case Not(item):
            true, false = _possible(item, context)
            return false, true
        case And(items):
            return _combined(items, context, all, any)
        case Or(items):
            return _combined(items, context, any, all)
        case Atom(field, _, _):
            if field is not None and context.key(field) is None:
                return True, True
            outcome = fold(condition, context)
            return outcome is not False, outcome is not True


def _combined(
    items: tuple[Condition, ...],
    context: ClassContext,
    true: Callable[[Iterable[bool]], bool],
    false: Callable[[Iterable[bool]], bool],
) -> tuple[bool, bool]:
    found = [_possible(item, context) for item in items]
    return true(one for one, _ in found), false(other for _, other in found)

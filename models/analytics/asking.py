"""What every analytic shares: what it is given, how its options are read, how values compare."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from huntonce.models.analytics.records import Record, pattern
from huntonce.models.errors import DomainError
from huntonce.models.huntdef import AnalyticSpec
from huntonce.models.profile import Profile

Fired = dict[int, dict[str, str]]
"""Index of a record to the facts that the analytic's sentence needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an analytic may know beside the records.

    Attributes:
        population: Number of hosts in scope.
        before: Records of the baseline window; None where there is none to compare with.
        baseline: That window in words.
    """

    profile: Profile
    population: int
    before: Sequence[Record] | None = None
    baseline: str = ""


Analytic = Callable[[Sequence[Record], AnalyticSpec, Setting], Fired]


def texts(value: object) -> tuple[str, ...]:
    """An option that is one text or a list of them."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, Sequence):
        return tuple(str(item) for item in value)
    raise DomainError(f"expected text or a list of texts, got {value!r}")


def strings(options: Mapping[str, object], name: str) -> Mapping[str, object]:
    """An option that maps facts to regular expressions."""
    value = options.get(name, {})
    if not isinstance(value, Mapping):
        raise DomainError(f"option {name!r} must map facts to regular expressions")
    return {str(key): item for key, item in value.items()}


def fact_name(spec: AnalyticSpec, option: str) -> str:
    """An option that names a fact."""
    value = spec.options.get(option)
    if not isinstance(value, str) or not value:
        raise DomainError(f"option {option!r} must name a fact, got {value!r}")
    return value


LARGEST = 1_000_000
"""Of an option: no fleet, count of days or minutes is larger."""


def number(options: Mapping[str, object], name: str, default: float) -> float:
    """An option that is a number."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DomainError(f"option {name!r} must be a number, got {value!r}")
    if not 0 <= value <= LARGEST:
        raise DomainError(f"option {name!r} must lie within 0 and {LARGEST}, got {value!r}")
    return value


def first(text: str, patterns: tuple[str, ...]) -> str:
    """What the first pattern that occurs in a text hits there; "" where none does."""
    for one in patterns:
        found = pattern(one, lines=True).search(text)
        if found and found.group(0):
            return found.group(0).strip()
    return ""


def holds(record: Record, wanted: Mapping[str, object], barred: Mapping[str, object]) -> bool:
    """Whether every wanted fact has one of its patterns, and no barred one has any."""
    return all(
        first(record.fact(name), texts(value)) for name, value in wanted.items()
    ) and not any(first(record.fact(name), texts(value)) for name, value in barred.items())


def values(record: Record, key: Sequence[str]) -> tuple[str, ...]:
    """A record's value of a key of facts, normalised; empty texts where facts are not known."""
    return tuple(normal(record.fact(name)) for name in key)


_SID = re.compile(r"s-1-5-21(?:-\d+)+")
_GUID = re.compile(r"\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?")
_PROFILE = re.compile(r"(?<=\\users\\)(?!public\\|default\\)[^\\\"]+")
_NUMBER = re.compile(r"\d+")


def normal(text: str) -> str:
    """A value without what differs from host to host: SIDs, GUIDs, user folders, numbers."""
    lowered = text.casefold().strip().strip('"')
    for expression, mark in ((_SID, "<sid>"), (_GUID, "<guid>"), (_PROFILE, "<user>")):
        lowered = expression.sub(mark, lowered)
    return _NUMBER.sub("#", lowered)

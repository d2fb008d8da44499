"""Merging: what curated content, rules and analytics require, in that order of trust.

A requirement is one event of one channel. The most trusted source that names it gives its trust;
that others name it too is kept as provenance.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from huntonce.models.attack_types import Analytic
from huntonce.models.evidence import EvidenceModel, Provenance, Trust
from huntonce.models.requirements.refs import RefState, parse

MAX_REFS = 200
_TRUST = {
    Provenance.CURATED: Trust.HIGH,
    Provenance.SIGMA: Trust.MEDIUM,
    Provenance.ATTACK: Trust.LOW,
}
MOST = 0.5
"""Share of the requirements from which on it is "most"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSource:
    """Where one Sigma rule looks.

    Attributes:
        logsource: Category, product and service in words, as the rule has them.
        places: Channel, event ids and field names (as the events carry them); none for products
            whose channels are not known here.
    """

    rule_id: str
    title: str
    logsource: str
    product: str
    places: tuple[tuple[str, tuple[int, ...], tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One event that would show a technique, or one source that is only named.

    Attributes:
        channel: Windows event channel; "" for what is only named.
        event_id: 0 where only the channel is known.
        named: How the source is named where it cannot be checked ("auditd:SYSCALL execve").
        platforms: ATT&CK platforms of the analytics, or the rules' products; lower case.
        provenance: Every source that names it, the most trusted first.
        refs: Rule and analytic ids, at most ``MAX_REFS``.
        support: How many rules, analytics and curated atoms name it.
        fields: Field names that at least half of the rules ask for there.
        why: What is wrong, for a suspect one.
    """

    channel: str
    event_id: int
    state: RefState
    provenance: tuple[Provenance, ...]
    named: str = ""
    platforms: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    support: int = 1
    fields: tuple[str, ...] = ()
    why: str = ""

    @property
    def trust(self) -> Trust:
        """Of the best source that names it; a suspect one has none but low."""
        return _TRUST[self.provenance[0]] if self.state is RefState.PARSED else Trust.LOW

    @property
    def checkable(self) -> bool:
        """Whether a probe can tell if it arrives."""
        return bool(self.channel) and self.event_id > 0 and self.state is RefState.PARSED


@dataclass(slots=True)
class _Gathered:
    provenance: set[Provenance] = field(default_factory=set)
    platforms: set[str] = field(default_factory=set)
    refs: dict[str, None] = field(default_factory=dict)
    fields: dict[str, int] = field(default_factory=dict)
    rules: int = 0
    why: str = ""


_Key = tuple[str, int, RefState, str]


def requirements(
    curated: EvidenceModel | None, rules: Sequence[RuleSource], analytics: Sequence[Analytic]
) -> tuple[Requirement, ...]:
    """Every requirement, the most trusted and best supported first."""
    found: dict[_Key, _Gathered] = {}
    for atom in curated.atoms if curated else ():
        for event_id in atom.event_ids:
            key = (atom.channel, event_id, RefState.PARSED, "")
            _add(found, key, Provenance.CURATED, atom.id, "windows").fields.update(
                dict.fromkeys(atom.fields, 0)
            )
    for rule in rules:
        _add_rule(found, rule)
    for analytic in analytics:
        platforms = [platform.casefold() for platform in analytic.platforms]
        for source in analytic.log_sources:
            for ref in parse(source):
                named = "" if ref.state is RefState.PARSED else f"{ref.name} {ref.text}".strip()
                for event_id in ref.event_ids or (0,):
                    key = (ref.channel, event_id, ref.state, named)
                    held = _add(found, key, Provenance.ATTACK, analytic.id, *platforms)
                    held.why = ref.why
    made = [_requirement(key, held) for key, held in found.items()]
    order = list(Provenance)
    return tuple(
        sorted(
            made,
            key=lambda r: (
                not r.checkable,
                order.index(r.provenance[0]),
                -r.support,
                r.channel,
                r.event_id,
                r.named,
            ),
        )
    )


def _add(
    found: dict[_Key, _Gathered], key: _Key, provenance: Provenance, ref: str, *platforms: str
) -> _Gathered:
    held = found.setdefault(key, _Gathered())
    held.provenance.add(provenance)
    held.platforms.update(platform for platform in platforms if platform)
    held.refs[ref] = None
    return held


def _add_rule(found: dict[_Key, _Gathered], rule: RuleSource) -> None:
    if not rule.places:
        key = ("", 0, RefState.FREE_TEXT, rule.logsource)
        _add(found, key, Provenance.SIGMA, rule.rule_id, rule.product)
    for channel, event_ids, fields in rule.places:
        for event_id in event_ids or (0,):
            state = RefState.PARSED if event_id else RefState.FREE_TEXT
            named = "" if event_id else f"{channel or 'any channel'}, any event"
            key = (channel, event_id, state, named)
            held = _add(found, key, Provenance.SIGMA, rule.rule_id, rule.product or "windows")
            held.rules += 1
            for name in fields:
                held.fields[name] = held.fields.get(name, 0) + 1


def _requirement(key: _Key, held: _Gathered) -> Requirement:
    channel, event_id, state, named = key
    return Requirement(
        channel=channel,
        event_id=event_id,
        state=state,
        named=named,
        provenance=tuple(p for p in Provenance if p in held.provenance),
        platforms=tuple(sorted(held.platforms)),
        refs=tuple(held.refs)[:MAX_REFS],
        support=len(held.refs),
        fields=tuple(
            sorted(n for n, count in held.fields.items() if count * 2 >= max(1, held.rules))
        ),
        why=held.why,
    )


class Extent(StrEnum):
    """How much of what is required is there: never a bare "covered"."""

    ALL = "all"
    MOST = "most"
    ANY = "any"
    NONE = "none"
    UNCHECKABLE = "uncheckable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """Which requirements are there, of those that can be checked."""

    extent: Extent
    live: int
    checkable: int
    named_only: int

    @property
    def words(self) -> str:
        """For people."""
        if self.extent is Extent.UNCHECKABLE:
            return "no evidence that can be checked here"
        more = f"; {self.named_only} more are only named" if self.named_only else ""
        return f"{self.extent} of it: {self.live} of {self.checkable} kinds of event arrive{more}"


def presence(
    required: Iterable[Requirement], live: Callable[[str, int], bool]
) -> Presence:  # fmt: skip
    """How many of the requirements are live, ``live`` saying it of a channel and event id."""
    items = tuple(required)
    checkable = [item for item in items if item.checkable]
    count = sum(live(item.channel, item.event_id) for item in checkable)
    if not checkable:
        extent = Extent.UNCHECKABLE
    elif count == len(checkable):
        extent = Extent.ALL
    elif count >= MOST * len(checkable):
        extent = Extent.MOST
    else:
        extent = Extent.ANY if count else Extent.NONE
    return Presence(
        extent=extent,
        live=count,
        checkable=len(checkable),
        named_only=len(items) - len(checkable),
    )

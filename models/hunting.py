"""Hunting: from records to findings, by the analytics that a hunt definition names.

Score of a record: 1 - prod over families (1 - strongest weight fired in the family), then times
(1 - |w|) for each family that speaks for the usual (negative weights). Noisy-or, because the
analytics are separate reasons to doubt, of which each may suffice; strongest of a family, because
three ways to say one thing are one reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from string import Formatter

from typing_extensions import override

from huntonce.models.analytics.asking import Setting, normal
from huntonce.models.analytics.questions import ask
from huntonce.models.analytics.records import Record, pattern
from huntonce.models.errors import DomainError
from huntonce.models.finding import Disposition, EventRef, Finding, Observable
from huntonce.models.huntdef import AllowEntry, AnalyticSpec, HuntDefinition
from huntonce.models.hypothesis import Term

INTEREST = 0.3
"""Records below this score are the background; the others are looked at more closely."""
LONGEST_FACT = 120
"""Longer facts are cut in sentences; the finding's details keep them whole."""
OBSERVED = (
    ("task", "task"), ("command", "action"), ("command", "command"), ("ip", "remote_address"),
    ("file", "program"), ("file", "file"), ("file", "module"), ("service", "service"),
    ("user", "target"),
)  # fmt: skip
"""Kinds of observable, and the facts that hold them."""
MOST_OBSERVED = 200
REASONS = 0.2
"""A family counts as a reason of its own from this weight on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a hunt's analytics saw.

    Attributes:
        records: How many occurrences were judged.
        patterns: How many different ones, hosts and numbers aside.
        allowed: How many an allow entry took out, by the entry's name.
        benign: References of the records that were judged usual, as benign fixtures.
    """

    records: int
    patterns: int
    allowed: Mapping[str, int]
    findings: tuple[Finding, ...]
    benign: tuple[EventRef, ...]


def evaluate(
    records: Sequence[Record], definition: HuntDefinition, setting: Setting, today: date
) -> Mapping[str, int]:
    """Run every analytic over the records and note on each what fired; returns allowed counts.

    May run again when records have learned more: what fired before is forgotten.
    """
    for record in records:
        record.fired.clear()
        record.facts.pop("allowed_by", None)
    for spec in definition.analytics:
        for index, facts in ask(records, spec, setting).items():
            records[index].fired[spec.name] = _say(spec.why, records[index], facts)
    allowed: dict[str, int] = {}
    for record in records:
        entry = _allowing(record, definition.allow, today)
        if entry is not None:
            record.fired.clear()
            record.facts["allowed_by"] = entry.name
            allowed[entry.name] = allowed.get(entry.name, 0) + 1
    return allowed


class _Facts(Formatter):
    """Fills {placeholders} from facts only: no attributes, indices, conversions or widths."""

    @override
    def get_field(self, field_name: str, _args: object, kwargs: Mapping[str, str]) -> object:
        return kwargs.get(field_name, "unknown"), field_name

    @override
    def format_field(self, value: object, _format_spec: str) -> str:
        return str(value)


def placeholders(sentence: str) -> tuple[str, ...]:
    """Names of the facts that a sentence asks for.

    Raises:
        DomainError: Its braces do not pair, or a placeholder is more than a name.
    """
    try:
        parts = list(Formatter().parse(sentence))
    except ValueError as error:
        raise DomainError(f"{sentence!r}: {error}") from error
    names = []
    for _, name, width, conversion in parts:
        if name is None:
            continue
        if not name.isidentifier() or width or conversion:
            raise DomainError(f"{sentence!r}: a placeholder is {{name}} and no more")
        names.append(name)
    return tuple(names)


def _say(sentence: str, record: Record, extra: Mapping[str, str]) -> str:
    facts = {**record.facts, **extra, "host": record.host, "entity": record.entity}
    cut = {name: _shortened(value) for name, value in facts.items()}
    try:
        return _Facts().vformat(sentence, (), cut)
    except ValueError:  # braces that do not pair: content is checked when it is loaded
        return sentence


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_FACT else f"{text[: LONGEST_FACT - 3]}..."


def _allowing(record: Record, entries: Iterable[AllowEntry], today: date) -> AllowEntry | None:
    for entry in entries:
        if entry.expires and date.fromisoformat(entry.expires) < today:
            continue
        if all(pattern(p).search(record.fact(name)) for name, p in entry.when.items()):
            return entry
    return None


def terms_of(
    fired: Mapping[str, str], specs: Iterable[AnalyticSpec]
) -> tuple[float, tuple[Term, ...]]:
    """Score of a set of fired analytics, and its terms, which sum to it."""
    strongest: dict[tuple[str, bool], AnalyticSpec] = {}
    for spec in specs:
        if spec.name not in fired:
            continue
        slot = (spec.family, spec.weight < 0)
        if slot not in strongest or abs(spec.weight) > abs(strongest[slot].weight):
            strongest[slot] = spec
    ordered = sorted(
        strongest.values(), key=lambda spec: (spec.weight < 0, -spec.weight, spec.name)
    )
    score, terms = 0.0, []
    for spec in ordered:
        after = (
            score * (1 + spec.weight) if spec.weight < 0 else 1 - (1 - score) * (1 - spec.weight)
        )
        terms.append(Term(name=spec.name, value=after - score, why=fired[spec.name]))
        score = after
    return score, tuple(terms)


def interesting(records: Iterable[Record], definition: HuntDefinition) -> list[Record]:
    """The records whose own score is worth a closer look."""
    return [r for r in records if terms_of(r.fired, definition.analytics)[0] >= INTEREST]


def conclude(
    records: Sequence[Record],
    allowed: Mapping[str, int],
    definition: HuntDefinition,
    *,
    hypothesis_key: str,
    technique_id: str,
) -> Looked:
    """Cluster what stands out into findings, worst first."""
    standing = interesting(records, definition)
    clusters: dict[tuple[str, ...], list[Record]] = {}
    for record in standing:
        clusters.setdefault(_pattern_key(record, definition), []).append(record)
    findings = []
    in_findings: set[int] = set()
    for members in clusters.values():
        finding = _finding(members, definition, hypothesis_key, technique_id)
        if finding is not None:
            findings.append(finding)
            in_findings.update(id(member) for member in members)
    benign = tuple(
        record.refs[0] for record in records if id(record) not in in_findings and record.refs
    )
    return Looked(
        records=len(records),
        patterns=len({_pattern_key(record, definition) for record in records}),
        allowed=allowed,
        findings=tuple(sorted(findings, key=lambda f: (-f.score, f.first, f.entity))),
        benign=benign,
    )


def _pattern_key(record: Record, definition: HuntDefinition) -> tuple[str, ...]:
    return normal(record.entity), *(normal(record.fact(name)) for name in definition.cluster)


def _together(members: Sequence[Record], definition: HuntDefinition) -> dict[str, str]:
    """Analytics of a cluster: doubts that any member raised, reassurance only if all have it."""
    fired: dict[str, str] = {}
    for member in members:
        fired.update(member.fired)
    for spec in definition.analytics:
        if spec.weight < 0 and not all(spec.name in member.fired for member in members):
            fired.pop(spec.name, None)
    return fired


def _finding(
    members: list[Record], definition: HuntDefinition, hypothesis_key: str, technique_id: str
) -> Finding | None:
    fired = _together(members, definition)
    score, terms = terms_of(fired, definition.analytics)
    if score < definition.suspicious_at:
        return None
    weights = {spec.name: spec for spec in definition.analytics}
    reasons = {weights[t.name].family for t in terms if weights[t.name].weight >= REASONS}
    malicious = score >= definition.malicious_at and len(reasons) >= 3  # noqa: PLR2004
    members.sort(key=lambda record: (record.time, record.host))
    lead = max(members, key=lambda record: terms_of(record.fired, definition.analytics)[0])
    hosts = sorted({host for record in members for host in record.hosts})
    refs = {ref.uid: ref for record in members for ref in record.refs}
    accounts = {record.actor for record in members} - {""}
    shown = sorted({record.host for record in members})
    where = shown[0] if len(shown) == 1 else f"{len(shown)} hosts"
    return Finding(
        hypothesis_key=hypothesis_key,
        technique_id=technique_id,
        title=f"{_headline(lead.entity)} on {where}",
        reason="; ".join(term.why for term in terms if term.value > 0),
        entity=lead.entity,
        score=round(score, 4),
        terms=terms,
        state=Disposition.MALICIOUS if malicious else Disposition.SUSPICIOUS,
        hosts=tuple(hosts),
        accounts=tuple(sorted(accounts)),
        first=members[0].time,
        last=members[-1].time,
        events=tuple(sorted(refs.values(), key=lambda ref: (ref.time, ref.host, ref.uid))),
        observables=_observables(members, hosts, accounts),
        analytics=tuple(sorted(fired)),
        details=dict(lead.facts),
    )


def _headline(entity: str) -> str:
    return _shortened(" ".join(entity.split()))


def _observables(
    members: Sequence[Record], hosts: Iterable[str], accounts: Iterable[str]
) -> tuple[Observable, ...]:
    pairs = {("host", host) for host in hosts} | {("user", account) for account in accounts}
    for record in members:
        for kind, fact in OBSERVED:
            pairs.update((kind, line) for line in record.fact(fact).split("\n") if line)
    return tuple(
        Observable(type=kind, value=value) for kind, value in sorted(pairs)[:MOST_OBSERVED]
    )

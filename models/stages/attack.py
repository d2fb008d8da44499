"""A new version of ATT&CK: hypotheses move to what their techniques became, nothing is lost.

A hypothesis whose technique was revoked is superseded by one of the technique that stands for it.
That one keeps the sources, the hunted windows and the verdict, and what hangs on the old one
(guarding detections, cases, waiting gaps) follows, so that nothing is hunted twice. A technique
that is still current, with the same meaning, does not make a verdict stale.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from huntonce.models.attack import Catalogue
from huntonce.models.attack_types import Resolution
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.intel import SourceRef
from huntonce.models.keeping import OpenUnit, UnitOfWork
from huntonce.models.ledger import join_hunted
from huntonce.models.stages.kit import Kit

MITRE = "identity--c78cb6e5-0c4b-4611-8297-d1b8b55e40b5"
"""Who creates the objects of ATT&CK; other people's attack-patterns carry its ids too."""

_ATTACK_TYPES = (
    "attack-pattern",
    "campaign",
    "intrusion-set",
    "malware",
    "relationship",
    "tool",
    "x-mitre-analytic",
    "x-mitre-collection",
    "x-mitre-data-component",
    "x-mitre-detection-strategy",
    "x-mitre-matrix",
    "x-mitre-tactic",
)
# Where two histories are joined, the verdict that asks most of people stands.
_GRAVEST = (
    Verdict.CONFIRMED_MALICIOUS,
    Verdict.INCONCLUSIVE,
    Verdict.BLOCKED,
    Verdict.CONFIRMED_BENIGN,
    Verdict.RULED_OUT,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What became of one hypothesis.

    Attributes:
        hypothesis_id: The one that was stored before.
        before, after: Technique ids; ``after`` is "" where nothing stands for the old one.
    """

    hypothesis_id: str
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What a new version of ATT&CK did to the stored hypotheses.

    Attributes:
        moved: Superseded, with the technique that took over.
        left: Could not be moved (retired without a successor, unknown, being hunted now).
        kept: How many are about techniques that are still current.
    """

    moved: tuple[Moved, ...]
    left: tuple[Moved, ...]
    kept: int


def migrate(kit: Kit) -> Migrated:
    """Bring the stored hypotheses to the version of ATT&CK that the kit has, in one transaction.

    A second call changes nothing. A hypothesis that is being hunted is left for the next call.
    """
    moved: list[Moved] = []
    left: list[Moved] = []
    kept = 0
    with kit.open_unit() as unit:
        for stored in unit.hypotheses.list():
            if stored.state is HypothesisState.SUPERSEDED:
                continue
            answer = kit.catalogue.resolve(stored.technique_id)
            if answer.id == stored.technique_id:
                continue
            if not answer.usable:
                left.append(_moved(stored, answer.why))
            elif stored.state is HypothesisState.HUNTING:
                left.append(_moved(stored, "is being hunted: it moves when the hunt has ended"))
            else:
                _supersede(unit, kit, stored, answer)
                moved.append(_moved(stored, answer.why, answer.id))
        # Read anew: a successor may have been among them, and have changed since.
        for stored in unit.hypotheses.list():
            if stored.state is HypothesisState.SUPERSEDED:
                continue
            if kit.catalogue.resolve(stored.technique_id).id == stored.technique_id:
                kept += 1
                _keep(unit, kit, stored)
        unit.commit()
    return Migrated(moved=tuple(moved), left=tuple(left), kept=kept)


def _moved(stored: Hypothesis, why: str, after: str = "") -> Moved:
    return Moved(hypothesis_id=stored.id, before=stored.technique_id, after=after, why=why)


def _keep(unit: UnitOfWork, kit: Kit, stored: Hypothesis) -> None:
    """The same technique under the new version: its verdict still says what it said."""
    fresh = replace(
        stored,
        technique_name=kit.catalogue.name(stored.technique_id),
        attack_version=kit.catalogue.version,
    )
    if fresh != stored:
        unit.hypotheses.save(fresh, actor=kit.actor, why=f"ATT&CK v{kit.catalogue.version}")


def _supersede(unit: UnitOfWork, kit: Kit, old: Hypothesis, answer: Resolution) -> None:
    successor = _successor(old, answer.id, kit.catalogue)
    why = f"takes the place of {old.id}: {answer.why}"
    held = unit.hypotheses.add(successor, actor=kit.actor, why=why)
    joined = _joined(held, successor)
    if joined != held:
        unit.hypotheses.save(joined, actor=kit.actor, why=why)
    _follow(unit, kit, {old.key: held.key}, answer)
    unit.hypotheses.save(
        replace(old, state=HypothesisState.SUPERSEDED),
        actor=kit.actor,
        why=f"superseded by {held.id}: {answer.why}",
    )


def _successor(old: Hypothesis, technique_id: str, catalogue: Catalogue) -> Hypothesis:
    words = old.statement.replace(f"({old.technique_id})", f"({technique_id})")
    return replace(
        old,
        id="",
        technique_id=technique_id,
        technique_name=catalogue.name(technique_id),
        statement=words,
        attack_version=catalogue.version,
    )


def _joined(held: Hypothesis, more: Hypothesis) -> Hypothesis:
    """A stored hypothesis with the sources and history of one that it takes the place of."""
    hunted = join_hunted(held, more)
    verdicts = {held.verdict, more.verdict} - {None}
    state = held.state
    if state is HypothesisState.PROPOSED and more.state is not HypothesisState.PROPOSED:
        state = HypothesisState.READY
    return replace(
        held,
        state=state,
        verdict=next((v for v in _GRAVEST if v in verdicts), None),
        priority=max(held.priority, more.priority),
        terms=held.terms if held.priority >= more.priority else more.terms,
        actors=tuple(dict.fromkeys((*held.actors, *more.actors))),
        procedures=tuple(dict.fromkeys((*held.procedures, *more.procedures))),
        sources=_sources((*held.sources, *more.sources)),
        own_only=held.own_only and more.own_only,
        logic_version=held.logic_version if held.hunted else more.logic_version,
        evidence_version=held.evidence_version if held.hunted else more.evidence_version,
        hunted=hunted,
    )


def _sources(sources: Iterable[SourceRef]) -> tuple[SourceRef, ...]:
    return tuple(sorted(set(sources), key=lambda s: (-s.modified.timestamp(), s.object_id, s.feed)))


def _follow(unit: UnitOfWork, kit: Kit, keys: Mapping[str, str], answer: Resolution) -> None:
    """What hangs on the superseded hypothesis hangs on its successor from now on."""
    actor, why = kit.actor, answer.why
    for detection in unit.detections.list():
        if detection.hypothesis_key in keys:
            techniques = tuple(
                dict.fromkeys(kit.catalogue.resolve(t).id or t for t in detection.technique_ids)
            )
            unit.detections.save(
                replace(
                    detection,
                    hypothesis_key=keys[detection.hypothesis_key],
                    technique_ids=techniques,
                ),
                actor=actor,
                why=why,
            )
    for case in unit.cases.list():
        if case.hypothesis_key in keys:
            unit.cases.save(
                replace(case, hypothesis_key=keys[case.hypothesis_key]), actor=actor, why=why
            )
    for gap in unit.gaps.list():
        if keys.keys() & set(gap.unlocks):
            waiting = tuple(sorted({keys.get(key, key) for key in gap.unlocks}))
            unit.gaps.save(replace(gap, unlocks=waiting), actor=actor, why=why)


def stored_attack(open_unit: OpenUnit) -> Iterator[Mapping[str, object]]:
    """The ATT&CK objects among the stored intel, revoked techniques that have a successor too."""
    with open_unit() as unit:
        replaced: list[str] = []
        for item in unit.intel.latest(*_ATTACK_TYPES):
            if item.created_by != MITRE:
                continue
            if item.content.get("relationship_type") == "revoked-by":
                replaced.append(str(item.content.get("source_ref")))
            yield item.content
        for object_id in replaced:
            found = unit.intel.get(object_id)
            if found is not None and found.revoked and found.created_by == MITRE:
                yield found.content

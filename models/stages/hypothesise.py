"""Hypothesise: from stored intel to hypotheses in the store, merged, ranked and looked up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from huntonce.models.deriving.claims import CLAIMING_TYPES, Unplaced, behaviours
from huntonce.models.deriving.hypotheses import derive, outside
from huntonce.models.deriving.traces import traces
from huntonce.models.detection import Detection, guard_of
from huntonce.models.hunt import HuntState
from huntonce.models.huntdef import HuntDefinition
from huntonce.models.hypothesis import Hypothesis, HypothesisState, fingerprint
from huntonce.models.keeping import UnitOfWork
from huntonce.models.ledger import Guard, LedgerAnswer, Versions, consult
from huntonce.models.stages.attack import Moved, migrate
from huntonce.models.stages.choosing import (
    definition_for,
    definitions_for,
    logic_of,
    model_for,
)
from huntonce.models.stages.kit import Kit
from huntonce.models.windows import Window

INTEL_TYPES = (
    "attack-pattern",
    "campaign",
    "grouping",
    "identity",
    "incident",
    "indicator",
    "intrusion-set",
    "location",
    "malware",
    "note",
    "relationship",
    "report",
    "sighting",
    "threat-actor",
    "tool",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesised:
    """What the intel gave.

    Attributes:
        claims: Behaviours claimed, before merging.
        unplaced: Claims that gave none, with the reason.
        elsewhere: Techniques claimed that no platform of ours has, with the reason.
        hypotheses: All that are stored now, highest priority first.
        new: Ids of those that this run added.
        moved: Hypotheses that a newer ATT&CK superseded since the last run.
    """

    claims: int
    unplaced: tuple[Unplaced, ...]
    elsewhere: tuple[tuple[str, str], ...]
    hypotheses: tuple[Hypothesis, ...]
    new: tuple[str, ...]
    moved: tuple[Moved, ...] = ()


def hypothesise(kit: Kit, *, visible: Mapping[str, float] | None = None) -> Hypothesised:
    """Derive hypotheses from the stored intel and merge them into the store.

    A hypothesis that is known keeps its state, verdict and hunted windows; its words, sources and
    priority follow the intel.
    """
    sight = visible or {}
    migrated = migrate(kit)
    with kit.open_unit() as unit:
        objects = tuple(unit.intel.latest(*INTEL_TYPES))
        delivered = unit.intel.feeds_of(o.id for o in objects if o.type in CLAIMING_TYPES)
        claims, unplaced = behaviours(
            objects,
            kit.catalogue,
            feeds=lambda object_id: delivered.get(object_id, ()),
            own_identity=kit.own_identity,
        )
        guards = guards_of(unit.detections.list())
        derived = derive(
            claims,
            kit.catalogue,
            kit.profile,
            guarded=lambda key: _guarded(guards.get(key, ())),
            visible=sight.get,
            now=kit.clock(),
            evidence_phrase=lambda technique, scope: evidence_phrase(kit, technique, scope),
        )
        known = {h.key for h in unit.hypotheses.list()}
        stored = [_merge(unit, kit, hypothesis, known) for hypothesis in derived]
        derived_keys = {h.key for h in stored}
        rest = [h for h in unit.hypotheses.list() if h.key not in derived_keys]
        unit.commit()
    ranked = sorted([*stored, *rest], key=lambda h: (-h.priority, h.technique_id, h.scope))
    return Hypothesised(
        claims=len(claims),
        unplaced=unplaced,
        elsewhere=outside(claims, kit.catalogue, kit.profile),
        hypotheses=tuple(ranked),
        new=tuple(h.id for h in stored if h.key not in known),
        moved=migrated.moved,
    )


def _merge(unit: UnitOfWork, kit: Kit, fresh: Hypothesis, known: set[str]) -> Hypothesis:
    state = HypothesisState.READY if can_hunt(kit, fresh.technique_id, fresh.scope) else fresh.state
    if fresh.key not in known:
        added = unit.hypotheses.add(fresh, actor=kit.actor, why="derived from intel")
        if added.state is HypothesisState.PROPOSED and state is HypothesisState.READY:
            why = "a hunt for it is at hand"
            return unit.hypotheses.save(replace(added, state=state), actor=kit.actor, why=why)
        return added
    stored = unit.hypotheses.by_key(fresh.key)
    if stored is None:
        return fresh
    kept_state = state if stored.state is HypothesisState.PROPOSED else stored.state
    merged = replace(
        stored,
        technique_name=fresh.technique_name,
        statement=fresh.statement,
        priority=fresh.priority,
        terms=fresh.terms,
        actors=fresh.actors,
        procedures=fresh.procedures,
        sources=fresh.sources,
        own_only=fresh.own_only,
        state=kept_state,
    )
    if merged == stored:
        return stored
    return unit.hypotheses.save(merged, actor=kit.actor, why="intel changed")


def can_hunt(kit: Kit, technique_id: str, scope: str) -> bool:
    """Whether a hunt in that scope, written or of tagged rules, and an evidence model are here."""
    definition = definition_for(kit, technique_id)
    at_hand = definition is not None and definition.scope == scope
    return at_hand and model_for(kit, technique_id) is not None


def only_ours(hypothesis: Hypothesis) -> bool:
    """Whether nothing but our own intel, come back, speaks for it: that starts no hunt."""
    return hypothesis.own_only and hypothesis.verdict is None


def evidence_phrase(kit: Kit, technique_id: str, scope: str = "windows") -> str:
    """The traces that a technique leaves in a scope, as a phrase; "" where nothing is known.

    Those of the required groups of its evidence model; without one, those that ATT&CK's analytics
    look at.
    """
    model = kit.library.evidence.get(technique_id)
    told = traces(technique_id, scope, kit.catalogue) if model is None or not model.curated else ""
    if model is None or told:
        return told
    shown: dict[tuple[str, tuple[int, ...]], str] = {}
    for group in model.groups:
        for atom in group.atoms:
            if group.required and atom.primary:
                shown.setdefault((atom.channel, atom.event_ids), atom.label)
    labels = list(shown.values())
    return f"{', '.join(labels[:-1])} or {labels[-1]}" if len(labels) > 1 else labels[0]


def guards_of(detections: Sequence[Detection], siem: str = "") -> dict[str, tuple[Guard, ...]]:
    """Hypothesis key to the detections that stand, or should stand, guard on a SIEM ("" = any)."""
    guards: dict[str, tuple[Guard, ...]] = {}
    for detection in detections:
        key = detection.hypothesis_key
        guards[key] = (*guards.get(key, ()), guard_of(detection, siem))
    return guards


def _guarded(guards: Sequence[Guard]) -> bool | None:
    if not guards:
        return None
    return any(guard.stands for guard in guards)


def ledger(kit: Kit, hypothesis: Hypothesis, wanted: Window) -> LedgerAnswer:
    """What hunt-once says of hunting a hypothesis over a window on the kit's SIEM."""
    with kit.open_unit() as unit:
        return answer_in(unit, kit, hypothesis, wanted)


def answer_in(
    unit: UnitOfWork, kit: Kit, hypothesis: Hypothesis, wanted: Window, *, but: str = ""
) -> LedgerAnswer:
    """The same, as a unit of work sees the store; the run ``but`` does not count as running."""
    siem = kit.siem.name
    model = model_for(kit, hypothesis.technique_id)
    versions = Versions(
        logic=logic_of(definitions_for(kit, hypothesis.technique_id)),
        evidence=model.version if model else "",
        attack=kit.catalogue.version,
    )
    stored = unit.hypotheses.by_key(hypothesis.key)
    guards = guards_of(unit.detections.list(), siem).get(hypothesis.key, ())
    running = [
        Window(run.start, run.end)
        for run in unit.hunts.list(HuntState.RUNNING)
        if (run.hypothesis_key, run.siem) == (hypothesis.key, siem) and run.id != but
    ]
    return consult(
        stored,
        wanted=wanted,
        siem=siem,
        versions=versions,
        guards=guards,
        running=running,
    )


def by_analyst(kit: Kit, definition: HuntDefinition, technique_id: str) -> Hypothesis:
    """The stored hypothesis of a hunt that a person starts, made from the hunt where none is."""
    key = fingerprint(technique_id, definition.scope)
    with kit.open_unit() as unit:
        stored = unit.hypotheses.by_key(key)
        if stored is None:
            stored = unit.hypotheses.add(
                Hypothesis(
                    technique_id=technique_id,
                    technique_name=kit.catalogue.name(technique_id),
                    scope=definition.scope,
                    statement=" ".join(definition.hypothesis.split()),
                    state=HypothesisState.READY,
                    attack_version=kit.catalogue.version,
                ),
                actor=kit.actor,
                why=f"started by hand from the hunt {definition.name}",
            )
            unit.commit()
    return stored

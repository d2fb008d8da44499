"""Case files: all that the store knows of a closed case, for those who write its intel."""

from collections import defaultdict
from collections.abc import Sequence

from huntonce.models.case import Case
from huntonce.models.feedback import Advice, CaseIntel, NamedRef, Style, TechniqueRef
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.keeping import UnitOfWork
from huntonce.models.stages.kit import Kit
from huntonce.models.tlp import Tlp
from huntonce.models.visibility import Power
from huntonce.models.windows import Window

_KINDS = {
    "malware": "malware",
    "tools": "tool",
    "campaigns": "campaign",
    "actors": "intrusion-set",
}


def case_intel(unit: UnitOfWork, kit: Kit, case: Case, style: Style) -> CaseIntel:
    """What the intel of a closed case is written from, as the store has it now."""
    hypothesis = unit.hypotheses.by_key(case.hypothesis_key)
    run = next((r for r in reversed(unit.hunts.list()) if case.id in r.case_ids), None)
    found = (unit.detections.get(detection_id) for detection_id in case.detection_ids)
    detections = tuple(detection for detection in found if detection is not None)
    sources = hypothesis.sources if hypothesis else ()
    return CaseIntel(
        case=case,
        detections=detections,
        # What the hypothesis learned after the case was opened did not lead to it.
        source_refs=tuple(s for s in sources if s.object_id in set(case.source_ids)),
        organisation=kit.profile.name,
        window=Window(run.start, run.end) if run else Window(case.first, kit.clock()),
        power=power_words(run.power) if run and run.power else "",
        blind=blind_words(unit, run) if run else (),
        created=case.closed_at or kit.clock(),
        modified=case.amended_at,
        techniques=technique_refs(unit, kit, case.technique_ids, hypothesis),
        stated=_stated(unit, kit, case),
        advice=_advice(kit, case, {atom for one in detections for atom in one.atoms}),
        style=style,
    )


def power_words(power: Power) -> str:
    """How much could be seen, without saying what could not."""
    return (
        f"Power {power.value:.2f}: every kind of evidence that is needed arrived from "
        f"{power.seen} of {power.population} hosts, {power.hours} hours."
    )


def blind_words(unit: UnitOfWork, run: HuntRun) -> tuple[str, ...]:
    """What a hunt could not see, in words: for those who may be told."""
    gaps = (unit.gaps.get(gap_id) for gap_id in run.gap_ids)
    return tuple(
        f"{gap.atom_label} {gap.field_name}".strip() + f": {gap.reason}"
        for gap in gaps
        if gap is not None
    )


def technique_refs(
    unit: UnitOfWork, kit: Kit, technique_ids: Sequence[str], hypothesis: Hypothesis | None
) -> tuple[TechniqueRef, ...]:
    """Techniques with the attack-patterns that the source intel used for them."""
    named = {s.object_id for s in hypothesis.sources} if hypothesis else set()
    known: dict[str, str] = {}
    for item in unit.intel.latest("attack-pattern"):
        references = item.content.get("external_references")
        for reference in references if isinstance(references, list) else ():
            external = reference.get("external_id") if isinstance(reference, dict) else None
            if isinstance(external, str) and (item.id in named or external not in known):
                known[external] = item.id
    return tuple(
        TechniqueRef(
            id=technique, name=kit.catalogue.name(technique), stix_id=known.get(technique, "")
        )
        for technique in technique_ids
    )


def _stated(unit: UnitOfWork, kit: Kit, case: Case) -> tuple[NamedRef, ...]:
    """What IR named, each with the one object of that name that intel has."""
    if not case.stated:
        return ()
    by_name: dict[tuple[str, str], list[tuple[str, Tlp]]] = defaultdict(list)
    for item in unit.intel.latest(*_KINDS.values()):
        aliases = item.content.get("aliases")
        names = {item.content.get("name"), *(aliases if isinstance(aliases, list) else ())}
        for name in names:
            if isinstance(name, str) and item.created_by not in kit.own_identities:
                by_name[item.type, name.casefold()].append((item.id, item.tlp))
    refs = []
    for field, kind in _KINDS.items():
        for name in getattr(case.stated, field):
            known = by_name[kind, name.casefold()]
            stix_id, tlp = known[0] if len(known) == 1 else ("", Tlp.CLEAR)
            refs.append(NamedRef(type=kind, name=name, stix_id=stix_id, tlp=tlp))
    return tuple(refs)


def _advice(kit: Kit, case: Case, atoms: set[str]) -> tuple[Advice, ...]:
    """How to make the traces visible that the case's detections feed on."""
    found: dict[str, Advice] = {}
    for technique in case.technique_ids:
        model = kit.library.evidence.get(technique)
        for atom in model.atoms if model else ():
            if atom.id in atoms:
                text = "\n".join((atom.remedy.text, *atom.remedy.commands))
                found.setdefault(
                    atom.source,
                    Advice(
                        key=atom.source,
                        name=f"Make visible: {atom.gives} ({atom.label})",
                        text=text,
                        technique_id=technique,
                    ),
                )
    return tuple(found.values())

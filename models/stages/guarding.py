"""Guarding: whether detections still see what they were made to see."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from huntonce.models.detection import ON_DUTY, Detection
from huntonce.models.errors import ConnectorError, TransientError
from huntonce.models.evidence import EvidenceGroup, EvidenceModel
from huntonce.models.gap import Gap
from huntonce.models.stages.choosing import models_for
from huntonce.models.stages.gapkeeping import keep_gap
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight
from huntonce.models.stages.proof import Probes
from huntonce.models.stages.watch import recent
from huntonce.models.surfacing import Asking, surface
from huntonce.models.visibility import ProbeResult


def watch_detections(kit: Kit) -> tuple[Detection, ...]:
    """Set the health of every detection on duty by the newest telemetry; those that changed.

    Raises:
        TransientError: The SIEM did not answer, which says nothing of any detection.
    """
    with kit.open_unit() as unit:
        on_duty = [d for d in unit.detections.list() if d.state in ON_DUTY]
    if not on_duty:
        return ()
    try:
        extent = kit.siem.extent()
    except TransientError:
        raise
    except ConnectorError:
        return ()
    if extent is None:
        return ()
    changed: list[Detection] = []
    models = models_for(kit, dict.fromkeys(t for d in on_duty for t in d.technique_ids))
    probes = Probes(kit)
    probes.together(models.values(), recent(extent))
    for model in models.values():
        changed += check_detections(kit, probes.sight(model, recent(extent)))
    return tuple(changed)


def check_detections(kit: Kit, sight: Sight) -> tuple[Detection, ...]:
    """Set the health of the detections that feed on a model's atoms; returns those changed.

    Healthy: at least one of its atoms is live, up to the end, on the share of the population that
    the power floor asks for. One that is not raises the gaps that took its sight; where the SIEM
    would not say, its health stays what it was.
    """
    now = kit.clock()
    changed: list[Detection] = []
    with kit.open_unit() as unit:
        for detection in unit.detections.list():
            if detection.state not in ON_DUTY:
                continue
            if sight.model.technique_id not in detection.technique_ids:
                continue
            atoms = [a.id for a in sight.model.atoms if a.id in detection.atoms]
            if any(atom in sight.refused for atom in atoms):
                continue
            share = max((_sees(sight, atom) for atom in atoms), default=0.0)
            healthy = share >= kit.policy.power_floor
            if not healthy:
                for gap in _gaps(kit, sight, detection):
                    keep_gap(unit, kit, gap, by=detection.id, window=sight.window, now=now)
            if detection.healthy is not healthy:
                why = f"its evidence is live on {share:.0%} of the hosts over {sight.window}"
                fresh = replace(detection, healthy=healthy)
                changed.append(unit.detections.save(fresh, actor=kit.actor, why=why))
        unit.commit()
    return tuple(changed)


def _sees(sight: Sight, atom_id: str) -> float:
    """Share of the population on which an atom is live and has not stopped."""
    answers = [p for p in sight.probes if p.atom_id == atom_id]
    sound = sum(p.live and p.result is not ProbeResult.STALE for p in answers)
    return sound / len(answers) if answers else 0.0


def _gaps(kit: Kit, sight: Sight, detection: Detection) -> Iterator[Gap]:
    """The gaps in what a detection feeds on."""
    narrow = _only(sight.model, detection.atoms)
    if narrow is None:
        return
    asking = Asking(
        siem=kit.siem.name,
        hypothesis_key=detection.hypothesis_key,
        behaviour=f"{', '.join(detection.technique_ids)} that {detection.id} watches for",
        window=sight.window,
        owner=kit.profile.gap_owner,
        owners=sight.estate.owners if sight.estate is not None else {},
        refused=sight.refused,
        mute=sight.estate.silent if sight.estate is not None else (),
    )
    for gap in surface(narrow, sight.probes, asking):
        yield replace(gap, guards=(detection.id,), waits=())


def _only(model: EvidenceModel, atom_ids: Sequence[str]) -> EvidenceModel | None:
    """The part of a model that some atoms are: all of them needed, for the detection rests on them.

    None where the model has none of them.
    """
    atoms = tuple(replace(a, primary=True) for a in model.atoms if a.id in atom_ids)
    if not atoms:
        return None
    group = EvidenceGroup(name="traces", required=True, atoms=atoms)
    return replace(model, groups=(group,))

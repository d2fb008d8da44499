"""Promote: from findings to detections with a certificate, by replay over the history."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import yaml

from huntonce.models.detecting import (
    Replay,
    applicable,
    canonical_sha256,
    certify,
    rule_id,
    sigma_rule,
)
from huntonce.models.detection import Certificate, Detection, DetectionState
from huntonce.models.errors import ConnectorError
from huntonce.models.finding import Disposition, Finding
from huntonce.models.huntdef import DetectionTemplate
from huntonce.models.query import EVENT_COLUMNS, SigmaSearch
from huntonce.models.stages.hunt import HuntResult
from huntonce.models.stages.kit import Kit
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Detections that hold, and why the other patterns could not be automated."""

    detections: tuple[Detection, ...]
    not_automated: tuple[str, ...]


def promote(kit: Kit, result: HuntResult) -> Promotion:
    """Offer every pattern of a hunt as a detection; keep those whose certificate holds.

    For each malicious finding the rule that finds the most of it with the fewest false alerts
    wins; one rule may serve several findings.
    """
    evil = [f for f in result.looked.findings if f.disposition is Disposition.MALICIOUS]
    tried: dict[str, tuple[DetectionTemplate, Detection]] = {}
    chosen: dict[str, Detection] = {}
    reasons: list[str] = []
    for finding in evil:
        candidates = []
        for template in applicable(finding, result.definition):
            if template.name not in tried:
                targets = [f for f in evil if template in applicable(f, result.definition)]
                tried[template.name] = (template, _try(kit, result, template, targets))
            detection = tried[template.name][1]
            if _finds(detection, finding):
                candidates.append(detection)
        holding = [d for d in candidates if d.certificate is not None and d.certificate.holds]
        if holding:
            best = min(holding, key=_preference)
            chosen[best.rule_id] = best
        else:
            reasons.append(_why_not(finding, [pair[1] for pair in tried.values()]))
    return Promotion(detections=tuple(chosen.values()), not_automated=tuple(reasons))


def _finds(detection: Detection, finding: Finding) -> bool:
    certificate = detection.certificate
    uids = {ref.uid for ref in finding.events}
    return certificate is not None and any(ref.uid in uids for ref in certificate.fixtures)


_LEVELS = ("critical", "high", "medium", "low", "informational")


def _preference(detection: Detection) -> tuple[int, float, int, str]:
    certificate = detection.certificate
    if certificate is None:
        return (0, 0.0, 0, "")
    return (
        certificate.benign_hits,
        -certificate.fired / max(1, certificate.expected),
        _LEVELS.index(detection.level),
        detection.title,
    )


def _why_not(finding: Finding, tried: Sequence[Detection]) -> str:
    faults = [
        f"{d.title}: {'; '.join(d.certificate.faults) or 'does not find this one'}"
        for d in tried
        if d.certificate is not None
    ]
    told = " | ".join(faults) or "no detection template of the hunt fits its pattern"
    return f"{finding.title}: {told}"


def _try(
    kit: Kit, result: HuntResult, template: DetectionTemplate, targets: Sequence[Finding]
) -> Detection:
    technique = result.hypothesis.technique_id
    rule = _rule(kit, result, template)
    certificate = certify(
        rule,
        replay(kit, rule, result.window),
        targets=targets,
        spared=[f for f in result.looked.findings if f not in targets],
        benign_events=len(result.looked.benign),
    )
    return Detection(
        rule_id=rule_id(result.definition, template),
        title=template.title,
        technique_ids=(technique,),
        hypothesis_key=result.hypothesis.key,
        hunt_name=result.definition.name,
        analytic=template.name,
        level=template.level,
        rule=rule,
        atoms=_atoms(certificate, result),
        state=DetectionState.EXPERIMENTAL if certificate.holds else DetectionState.DRAFT,
        certificate=certificate,
    )


def _rule(kit: Kit, result: HuntResult, template: DetectionTemplate) -> str:
    """The template's rule: as stored, where only its dates would differ; else dated anew."""
    today = kit.clock().date()

    def written(first: date, modified: date | None) -> str:
        return sigma_rule(
            template,
            result.definition,
            tactics=_tactics(kit, result.hypothesis.technique_id),
            references=(),
            author=kit.policy.rule_author,
            today=first,
            modified=modified,
        )

    with kit.open_unit() as unit:
        stored = unit.detections.by_key(rule_id(result.definition, template))
    if stored is None:
        return written(today, None)
    document = yaml.safe_load(stored.rule)
    first = date.fromisoformat(str(document["date"]))
    before = document.get("modified")
    modified = date.fromisoformat(str(before)) if before else None
    same = written(first, modified)
    if canonical_sha256(same) == canonical_sha256(stored.rule):
        return stored.rule
    return written(first, today)


def _atoms(certificate: Certificate, result: HuntResult) -> tuple[str, ...]:
    """Atoms of the model that the rule's hits came from."""
    kinds = {(ref.channel, ref.event_id) for ref in certificate.fixtures}
    return tuple(
        atom.id
        for atom in result.sight.model.atoms
        if any((atom.channel, event_id) in kinds for event_id in atom.event_ids)
    )


def replay(kit: Kit, rule: str, window: Window) -> Replay:
    """Run a rule, and each of its selections by itself, over a window of history."""
    faults = list(kit.check_rule(rule))
    branches: dict[str, int] = {}
    hits = pa.schema(list(EVENT_COLUMNS)).empty_table()
    if not faults:
        try:
            result = kit.siem.search_rule(rule, window)
            hits = result.table
            if result.truncated:
                faults.append(f"it matches more than the {hits.num_rows} events that were fetched")
            branches = _branches(kit, rule, window)
        except ConnectorError as error:
            faults.append(f"{kit.siem.name} cannot run it: {error}")
    return Replay(
        siem=kit.siem.name, window=window, hits=hits, branches=branches, faults=tuple(faults)
    )


def _branches(kit: Kit, rule: str, window: Window) -> dict[str, int]:
    document = yaml.safe_load(rule)
    detection: Mapping[str, object] = document["detection"]
    counts: dict[str, int] = {}
    for name, selection in detection.items():
        if name in {"condition", "timeframe"}:
            continue
        search = SigmaSearch(
            name=f"{document['title']}: {name}",
            logsource=document["logsource"],
            detection={name: selection, "condition": name},
        )
        counts[name] = kit.siem.search(search, window).table.num_rows
    return counts


def unchanged(detection: Detection) -> bool:
    """Whether the certificate is of the rule as it stands."""
    certificate = detection.certificate
    return certificate is not None and certificate.rule_sha256 == canonical_sha256(detection.rule)


def _tactics(kit: Kit, technique_id: str) -> tuple[str, ...]:
    technique = kit.catalogue.technique(technique_id)
    return technique.tactics if technique is not None else ()

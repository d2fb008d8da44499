"""Certify: run a stored detection's proof again, move its status, tune it, take a change over."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import yaml

from huntonce.models.detecting import set_aside, with_status
from huntonce.models.detection import (
    LADDER,
    ON_DUTY,
    Certificate,
    Detection,
    DetectionState,
    Fixture,
)
from huntonce.models.errors import DomainError, StateError
from huntonce.models.guarding import check_step, staleness
from huntonce.models.keeping import UnitOfWork
from huntonce.models.sealing import broken, changes
from huntonce.models.stages.drifting import read_back
from huntonce.models.stages.guard import now_of
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import ordered_message, send_rule
from huntonce.models.stages.proofbench import Claim
from huntonce.models.stages.proving import Proof, history, known_evil, prove


@dataclass(frozen=True, slots=True, kw_only=True)
class Certified:
    """What running a proof again showed.

    Attributes:
        before: The detection as it was.
        after: As it is now; the same where nothing was stored.
        proof: What was run.
        broken: What was changed behind the back of the certificate, in words.
        changes: What differs from the earlier certificate, in words.
        stored: Whether the new certificate took the place of the old one.
    """

    before: Detection
    after: Detection
    proof: Certificate
    broken: tuple[str, ...]
    changes: tuple[str, ...]
    stored: bool


def find(unit: UnitOfWork, name: str) -> Detection:
    """The detection with a short id or a rule id.

    Raises:
        DomainError: There is none.
    """
    found = unit.detections.get(name.upper()) or unit.detections.by_key(name.lower())
    if found is None:
        raise DomainError(f"no detection is called {name!r}", hint="huntonce detections lists them")
    return found


def certify_again(kit: Kit, name: str, *, accept: bool = False) -> Certified:
    """Run the whole proof of a detection again over what the SIEM holds now.

    Where the rule, a filter, a kept event or the certificate itself was changed since it was
    issued, the run is shown and nothing is stored, unless a person accepts it.

    Raises:
        DomainError: There is no such detection, or the SIEM holds nothing to replay it over.
    """
    with kit.open_unit() as unit:
        detection = find(unit, name)
        fixtures = unit.proofs.fixtures(detection.rule_id)
    faults = broken(detection, fixtures) if detection.certificate is not None else ()
    tampered = tuple(fault for fault in faults if "without a seal" not in fault)
    proof = _proof(kit, detection, fixtures)
    store = accept or not tampered
    after = detection
    if store:
        after = _keep(kit, detection, detection, proof, why="certified anew")
    before = detection.certificate
    return Certified(
        before=detection,
        after=after,
        proof=proof.certificate,
        broken=tampered,
        changes=changes(before, proof.certificate) if before is not None else (),
        stored=store,
    )


def _proof(kit: Kit, detection: Detection, fixtures: Sequence[Fixture]) -> Proof:
    window = history(kit)
    if window is None:
        raise DomainError(
            f"{kit.siem.name} holds no events to replay {detection.id} over",
            hint="load logs with: huntonce lake load PATH...",
        )
    before = detection.certificate
    evil = known_evil(kit)
    fired = {ref.uid for ref in before.fixtures} if before is not None else set()
    own = tuple(f for f in evil if fired & {ref.uid for ref in f.events})
    return prove(
        kit,
        Claim(
            rule=detection.rule,
            window=window,
            logic_version=before.logic_version if before is not None else "",
            filters=detection.filters,
            targets=own,
            spared=tuple(f for f in evil if f not in own),
            benign_events=before.benign_events if before is not None else 0,
            kept=tuple(fixtures),
        ),
    )


def _keep(kit: Kit, before: Detection, wanted: Detection, proof: Proof, *, why: str) -> Detection:
    """Store a detection with a new proof; the status falls as far as the proof does.

    What people changed in the store is written over only where it is what was just adopted.
    """
    state = _carried(before.state, proof.certificate)
    rule = wanted.rule
    if state in ON_DUTY and (state is not before.state or rule != before.rule):
        rule = with_status(rule, state.value, kit.clock().date())
    with kit.open_unit() as unit:
        if find(unit, before.id) != before:
            raise StateError(f"{before.id} was changed meanwhile", hint="do it again")
        unit.proofs.keep(before.rule_id, proof.fixtures)
        saved = unit.detections.save(
            replace(wanted, rule=rule, certificate=proof.certificate, state=state),
            actor=kit.actor,
            why=f"{why}: {'; '.join(proof.certificate.faults) or 'its certificate holds'}",
        )
        _send(unit, kit, saved, overwrite=wanted is not before)
        unit.commit()
    return saved


def _carried(state: DetectionState, certificate: Certificate) -> DetectionState:
    """The status that a detection keeps with a certificate.

    One that stood guard stays experimental at least, though its proof fails: it is deployed, and
    the ledger says that it cannot be relied on. A draft whose proof holds is experimental.
    """
    if state is DetectionState.DRAFT:
        return DetectionState.EXPERIMENTAL if certificate.holds else state
    if state not in ON_DUTY:
        return state
    lowest = max(LADDER.index(certificate.allows), LADDER.index(DetectionState.EXPERIMENTAL))
    return LADDER[min(LADDER.index(state), lowest)]


def _send(unit: UnitOfWork, kit: Kit, detection: Detection, *, overwrite: bool = False) -> None:
    """Bring a detection on duty to its store, by the leave that the policy asks for."""
    if detection.state not in ON_DUTY:
        return
    now = kit.clock()
    send_rule(
        unit,
        kit,
        detection,
        partial(ordered_message, unit, overwrite=overwrite, now=now),
        what="deploy",
        now=now,
        ordered=True,
    )


# ---------------------------------------------------------------- status


def move(kit: Kit, name: str, to: DetectionState) -> Detection:
    """Take one step of a detection's life.

    Raises:
        DomainError: There is no such step, or the proof does not carry it; says what is missing.
    """
    with kit.open_unit() as unit:
        detection = find(unit, name)
        check_step(
            detection,
            to,
            broken=broken(detection, unit.proofs.fixtures(detection.rule_id)),
            stale=staleness(detection, now_of(kit), unit.proofs.watches(detection.rule_id)),
        )
        rule = detection.rule
        if to in ON_DUTY or to is DetectionState.DEPRECATED:
            rule = with_status(rule, to.value, kit.clock().date())
        saved = unit.detections.save(
            replace(detection, state=to, rule=rule), actor=kit.actor, why=f"moved to {to.value}"
        )
        _send(unit, kit, saved)
        unit.commit()
    return saved


def deploy(kit: Kit, name: str, *, overwrite: bool = False) -> Detection:
    """Bring a detection to its store again; ``overwrite`` also over what people changed there.

    Raises:
        DomainError: There is no such detection, it is not on duty, or its proof is not of it.
    """
    with kit.open_unit() as unit:
        detection = find(unit, name)
        if detection.state not in ON_DUTY:
            raise DomainError(
                f"{detection.id} is {detection.state.value}, which is not deployed",
                hint=f"huntonce detections certify {detection.id}",
            )
        faults = broken(detection, unit.proofs.fixtures(detection.rule_id))
        if faults:
            raise DomainError(
                f"{detection.id} is not deployed: {'; '.join(faults)}",
                hint=f"huntonce detections certify {detection.id}",
            )
        _send(unit, kit, detection, overwrite=overwrite)
        unit.commit()
    return detection


# ---------------------------------------------------------------- changes by people


def retune(kit: Kit, name: str, filters: Sequence[str]) -> Certified:
    """Give a detection other filters, if its proof holds with them.

    Raises:
        DomainError: A filter is faulty or for another rule, or the proof does not hold: a filter
            that hides the attack is refused.
    """
    with kit.open_unit() as unit:
        detection = find(unit, name)
    for text in filters:
        check_filter(kit, detection, text)
    return _changed(kit, detection, replace(detection, filters=tuple(filters)), "other filters")


def check_filter(kit: Kit, detection: Detection, text: str) -> None:
    """Nothing, where a text is a sound Sigma filter for a detection's rule.

    Raises:
        DomainError: It is not; says why.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DomainError(f"the filter is not YAML: {' '.join(str(error).split())}") from error
    part = document.get("filter") if isinstance(document, dict) else None
    if not isinstance(part, dict):
        raise DomainError("that is no Sigma filter", hint="it needs title, logsource and filter")
    if detection.rule_id not in [str(one) for one in part.get("rules") or []]:
        raise DomainError(
            f"the filter does not name the rule {detection.rule_id}",
            hint="put the id into filter.rules: a filter is for one rule here",
        )
    faults = kit.check_rule(f"{detection.rule}\n---\n{text}")
    if faults:
        raise DomainError(f"the filter is faulty: {'; '.join(faults)}")


def adopt(kit: Kit, name: str) -> Certified:
    """Take over what people changed of a rule or its filters in the store, if its proof holds.

    Raises:
        DomainError: The store has no such rule, its id was changed, or the proof does not hold.
    """
    with kit.open_unit() as unit:
        detection = find(unit, name)
    kept = read_back(kit, detection.rule_id)
    if kept is None or "rule" not in kept:
        raise DomainError(f"{kit.rules.name} holds no rule {detection.rule_id} to adopt")
    rule = kept["rule"]
    faults = kit.check_rule(rule)
    if faults:
        raise DomainError(f"the rule there is faulty: {'; '.join(faults)}")
    if str(yaml.safe_load(rule).get("id", "")).lower() != detection.rule_id:
        raise DomainError(
            "the rule there has another id", hint="a new pattern is a new rule, not this one"
        )
    filters = tuple(part for part in kept.get("filters", "").split("---\n") if part.strip())
    for text in filters:
        check_filter(kit, replace(detection, rule=rule), text)
    changed = replace(
        detection,
        rule=rule,
        filters=filters,
        title=str(yaml.safe_load(rule).get("title", detection.title)),
        level=str(yaml.safe_load(rule).get("level", detection.level)),
        origin=set_aside(detection.origin, gone=detection.rule, kept=rule),
    )
    return _changed(kit, detection, changed, f"adopted from {kit.rules.name}")


def _changed(kit: Kit, before: Detection, wanted: Detection, why: str) -> Certified:
    with kit.open_unit() as unit:
        fixtures = unit.proofs.fixtures(before.rule_id)
    proof = _proof(kit, wanted, fixtures)
    if not proof.certificate.holds:
        raise DomainError(
            f"{before.id} keeps what it has: {'; '.join(proof.certificate.faults)}",
            hint="the change was not stored",
        )
    saved = _keep(kit, before, wanted, proof, why=why)
    told = changes(before.certificate, proof.certificate) if before.certificate else ()
    return Certified(
        before=before,
        after=saved,
        proof=proof.certificate,
        broken=(),
        changes=told,
        stored=True,
    )

"""Domain values as JSON-able dictionaries, with the keys that scripts may rely on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from huntonce.models.demand import told
from huntonce.models.desk import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from huntonce.models.case import Case
    from huntonce.models.demand import Fix
    from huntonce.models.desk import AtDesk
    from huntonce.models.detection import Certificate, Detection
    from huntonce.models.finding import EventRef, Finding
    from huntonce.models.gap import Gap
    from huntonce.models.hunt import Check
    from huntonce.models.hypothesis import Hypothesis, Term
    from huntonce.models.ledger import LedgerAnswer
    from huntonce.models.publication import Publication
    from huntonce.models.stages.settle import Settled
    from huntonce.models.visibility import Power

View = dict[str, Any]


def term(value: Term) -> View:
    """One addend of a score."""
    return {"name": value.name, "value": round(value.value, 4), "why": value.why}


def hypothesis(value: Hypothesis) -> View:
    """A hypothesis."""
    return {
        "id": value.id,
        "statement": value.statement,
        "technique": value.technique_id,
        "technique_name": value.technique_name,
        "scope": value.scope,
        "priority": round(value.priority, 4),
        "terms": [term(item) for item in value.terms],
        "state": value.state.value,
        "verdict": value.verdict.value if value.verdict else None,
        "actors": list(value.actors),
        "hunted": [list(pair) for pair in value.hunted],
        "fingerprint": value.key,
        "sources": [
            {
                "id": source.object_id,
                "type": source.object_type,
                "name": source.name,
                "feed": source.feed,
                "tlp": source.tlp.value,
                "modified": source.modified.isoformat(),
            }
            for source in value.sources
        ],
    }


def power(value: Power | None) -> View:
    """A power statement."""
    if value is None:
        return {}
    return {
        "value": round(value.value, 4),
        "words": value.words,
        "hosts_in_scope": value.population,
        "hosts_seen": value.seen,
        "hours": value.hours,
        "fields": [
            {
                "where": item.label,
                "field": item.field,
                "filled": item.filled,
                "events": item.events,
                "share": round(item.share, 4),
            }
            for item in value.fields
        ],
        "lag_p95_seconds": value.lag,
        "weakest": value.weakest,
        "blind": list(value.blind),
        "groups": [
            {
                "name": group.name,
                "required": group.required,
                "value": round(group.value, 4),
                "hosts": group.hosts,
                "atoms": list(group.atoms),
                "traces": [{"label": t.label, "hosts": t.hosts} for t in group.traces],
            }
            for group in value.groups
        ],
    }


def event(ref: EventRef) -> View:
    """A pointer to an event."""
    return {
        "host": ref.host,
        "channel": ref.channel,
        "event_id": ref.event_id,
        "record_id": ref.record_id,
        "time": ref.time.isoformat(),
        "shows": ref.role,
        "uid": ref.uid,
    }


def finding(value: Finding) -> View:
    """A finding with its events."""
    return {
        "id": value.id,
        "title": value.title,
        "reason": value.reason,
        "score": value.score,
        "terms": [term(item) for item in value.terms],
        "disposition": value.disposition.value,
        "entity": value.entity,
        "hosts": list(value.hosts),
        "accounts": list(value.accounts),
        "first": value.first.isoformat(),
        "last": value.last.isoformat(),
        "details": dict(value.details),
        "observables": [{"type": o.type, "value": o.value} for o in value.observables],
        "events": [event(ref) for ref in value.events],
    }


def at_desk(value: AtDesk) -> View | None:
    """How a ticket or case stands at a desk of another product; None where none told."""
    if value == UNSEEN:
        return None
    return {
        "status": value.status,
        "assignee": value.assignee,
        "url": value.url,
        "changed": value.changed,
        "comments": [
            {"author": one.author, "at": one.at, "text": one.text} for one in value.comments
        ],
    }


def gap(value: Gap) -> View:
    """A gap with its remedy."""
    return {
        "id": value.id,
        "kind": value.gap_kind.value,
        "atom": value.atom_id,
        "label": value.atom_label,
        "source": value.source,
        "field": value.field_name,
        "siem": value.siem,
        "state": value.state.value,
        "severity": value.severity,
        "hosts": list(value.hosts),
        "population": value.population,
        "reason": value.reason,
        "business": value.business,
        "remedy": {"text": value.remedy.text, "commands": list(value.remedy.commands)},
        "unlocks": list(value.unlocks),
        "detections": list(value.guards),
        "owner": value.owner,
        "ticket": value.ticket,
        "at_desk": at_desk(value.at_desk),
        "passes": value.passes,
        "risk": {"until": value.risk_until, "reason": value.risk_reason, "by": value.risk_by}
        if value.risk_until
        else None,
        "waits": [
            {
                "hypothesis": wait.hypothesis,
                "group": wait.group,
                "dark": round(wait.dark, 4),
                "lit": round(wait.lit, 4),
                "window": [wait.start, wait.end],
            }
            for wait in value.waits
        ],
    }


def fix(value: Fix) -> View:
    """A gap in the order in which gaps should be mended."""
    return {
        "gap": value.gap.id,
        "unlocks": list(value.unlocks),
        "helps": list(value.helps),
        "widens": list(value.widens),
        "actors": list(value.actors),
        "weight": round(value.weight, 4),
        "words": told(value),
        "command": next(iter(value.gap.remedy.commands), value.gap.remedy.text),
    }


def detection(value: Detection, *, whole: bool = False) -> View:
    """A detection; with the rule's text where it is asked for whole."""
    proof = value.certificate
    view: View = {
        "id": value.id,
        "rule_id": value.rule_id,
        "title": value.title,
        "techniques": list(value.technique_ids),
        "level": value.level,
        "state": value.state.value,
        "healthy": value.healthy,
        "hunt": value.hunt_name,
        "deployments": [
            {"siem": d.siem, "desired": d.desired, "observed": d.observed}
            for d in value.deployments
        ],
        "certificate": certificate(proof) if proof is not None else None,
    }
    if whole:
        view["rule"] = value.rule
    return view


def certificate(value: Certificate) -> View:
    """A certificate, whole but for the events."""
    return {
        "holds": value.holds,
        "faults": list(value.faults),
        "allows": value.allows.value,
        "limits": list(value.limits),
        "fired": value.fired,
        "expected": value.expected,
        "benign_hits": value.benign_hits,
        "benign_events": value.benign_events,
        "kept_usual": len(value.benign_fixtures),
        "days": round(value.days, 2),
        "alerts_a_day": round(value.alerts_a_day, 4),
        "interval": [round(bound, 4) for bound in value.interval],
        "hosts": value.hosts,
        "top_share": round(value.top_share, 4),
        "branches": dict(value.branches),
        "unexercised": list(value.unexercised),
        "siems": dict(value.siems),
        "sample": value.sample,
        "rule_sha256": value.rule_sha256,
        "filters_sha256": value.filters_sha256,
        "fixtures_sha256": value.fixtures_sha256,
        "engine": value.engine,
        "hunt_version": value.logic_version,
        "window": [value.start, value.end],
        "issued_at": value.issued_at,
        "seal": value.seal,
    }


def case(value: Case) -> View:
    """A case with its evidence."""
    return {
        "id": value.id,
        "title": value.title,
        "state": value.state.value,
        "determination": value.determination.value if value.determination else None,
        "note": value.note,
        "severity": value.severity,
        "tlp": value.tlp.value,
        "desk": value.desk,
        "remote_id": value.remote_id,
        "stated": {
            "malware": list(value.stated.malware),
            "tools": list(value.stated.tools),
            "campaigns": list(value.stated.campaigns),
            "actors": list(value.stated.actors),
        },
        "at_desk": at_desk(value.at_desk),
        "techniques": list(value.technique_ids),
        "findings": list(value.finding_ids),
        "hosts": list(value.hosts),
        "accounts": list(value.accounts),
        "observables": [{"type": o.type, "value": o.value} for o in value.observables],
        "events": [event(ref) for ref in value.events],
        "summary": value.summary,
    }


def publication(value: Publication) -> View:
    """One object on its way out."""
    return {
        "id": value.id,
        "destination": value.destination,
        "object": value.object_id,
        "type": value.object_type,
        "name": value.name,
        "version": value.version,
        "tlp": value.tlp.value,
        "state": value.state.value,
        "why": value.why,
        "subject": value.subject,
    }


def hunt(answer: LedgerAnswer, settled: Settled, fixes: Sequence[Fix] = ()) -> View:
    """A concluded hunt, as ``huntonce hunt --json`` answers."""
    run = settled.run
    detections = [detection(item) for item in settled.detections]
    cases = [case(item) for item in settled.cases]
    return {
        "id": run.id,
        "hypothesis": hypothesis(settled.hypothesis),
        "ledger": answer.answer.value,
        "ledger_why": answer.why,
        "unseen": [[w.start.isoformat(), w.end.isoformat()] for w in answer.windows],
        "verdict": run.verdict.value if run.verdict else None,
        "why": run.why,
        "window": [run.start.isoformat(), run.end.isoformat()],
        "power": power(run.power),
        "findings": [finding(item) for item in settled.findings],
        "gaps": [gap(item) for item in settled.gaps],
        "fix_first": fix(fixes[0]) if fixes else None,
        "detection": detections[0] if detections else None,
        "detections": detections,
        "case": cases[0] if cases else None,
        "outcomes": list(run.outcomes),
        "not_automated": list(settled.not_automated),
        "queries": [check(item) for item in run.checks],
    }


def check(value: Check) -> View:
    """One query as sent."""
    return {
        "name": value.name,
        "query": value.query,
        "events": value.events,
        "executed": value.executed,
        "complete": value.complete,
        "why": value.why,
        "origin": value.origin,
    }

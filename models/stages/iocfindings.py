"""Hits of indicators as findings: suspicious, malicious where one corroborates another."""

from collections.abc import Sequence
from datetime import timedelta

from huntonce.models.deriving.standing import Claim
from huntonce.models.finding import Disposition, Finding
from huntonce.models.hypothesis import Term
from huntonce.models.ids import digest
from huntonce.models.stages.ioctypes import EVENTS_KEPT, Work
from huntonce.models.stages.kit import Kit

_NEAR = timedelta(days=1)
_CORROBORATED = 0.7


def findings_of(kit: Kit, works: Sequence[Work]) -> tuple[Finding, ...]:
    """A finding for each claim that was hit."""
    return tuple(_finding(kit, work, _others(work, works)) for work in works)


def _others(work: Work, works: Sequence[Work]) -> tuple[Work, ...]:
    """Claims that speak for the same intrusion: other events on a same host within a day."""
    mine = list(work.events.values())[:EVENTS_KEPT]
    return tuple(
        other
        for other in works
        if other is not work
        and any(
            ref.uid not in work.events
            and any(ref.host == own.host and abs(ref.time - own.time) <= _NEAR for own in mine)
            for ref in list(other.events.values())[:EVENTS_KEPT]
        )
    )


def _finding(kit: Kit, work: Work, others: Sequence[Work]) -> Finding:
    """Suspicious as it stands; malicious where another indicator corroborates it."""
    events = sorted(work.events.values(), key=lambda ref: (ref.time, ref.uid))
    hosts = tuple(sorted({ref.host for ref in events}))
    claim = work.claim
    doubt = 1.0 - claim.confidence
    for other in others:
        doubt *= 1.0 - other.claim.confidence
    score = round(1.0 - doubt, 4)
    terms = [Term(name="indicator", value=round(claim.confidence, 4), why=_trust(claim))]
    if others:
        names = ", ".join(other.claim.name for other in others[:3])
        why = f"{len(others)} more indicators on the same host within a day: {names}"
        terms.append(Term(name="corroborated", value=round(score - claim.confidence, 4), why=why))
    # Rules are written broadly: two of them on a busy host corroborate nothing.
    atomic = any(one.claim.pattern_type == "stix" for one in (work, *others))
    evil = bool(others) and atomic and score >= _CORROBORATED
    return Finding(
        hypothesis_key=digest("indicator", claim.key)[:32],
        technique_id=_technique(kit, claim),
        title=f"Indicator {claim.name} on {len(hosts)} hosts",
        reason=f"{len(events)} events match {claim.ids[0]}; {terms[-1].why}",
        entity=claim.name,
        score=score,
        terms=tuple(terms),
        state=Disposition.MALICIOUS if evil else Disposition.SUSPICIOUS,
        hosts=hosts,
        accounts=(),
        first=events[0].time,
        last=events[-1].time,
        events=tuple(events[:EVENTS_KEPT]),
        observables=work.values,
        analytics=("ioc-sweep",),
        details={"indicator": claim.ids[0], "feeds": ", ".join(claim.feeds)},
    )


def _trust(claim: Claim) -> str:
    return "; ".join(term.why for term in claim.terms)


def _technique(kit: Kit, claim: Claim) -> str:
    """The technique that it indicates, where intel says one."""
    for target in claim.targets:
        known = kit.catalogue.by_stix_id(target)
        if known is not None and (answer := kit.catalogue.resolve(known.id)).usable:
            return answer.id
    return ""

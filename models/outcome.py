"""Outcomes: what a hunt's verdict is, and that it ends in something."""

from collections.abc import Sequence

from huntonce.models.case import Case
from huntonce.models.detection import Detection
from huntonce.models.finding import Disposition, Finding
from huntonce.models.gap import Gap
from huntonce.models.hunt import Check
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.ids import digest
from huntonce.models.rulehunt import RULE_IDS, RULE_TLP
from huntonce.models.tlp import Tlp, tightest
from huntonce.models.visibility import Power


def decide(
    power: Power,
    findings: Sequence[Finding],
    checks: Sequence[Check],
    *,
    floor: float,
) -> tuple[Verdict, str]:
    """The verdict and why.

    What was found stands whatever the power; that nothing was found counts only where it could
    have been seen. ``ruled_out`` needs power at the floor, an executed check, and no required
    evidence group that is live nowhere.
    """
    malicious = [f for f in findings if f.disposition is Disposition.MALICIOUS]
    if malicious:
        hosts = {host for finding in malicious for host in finding.hosts}
        return Verdict.CONFIRMED_MALICIOUS, f"found on {len(hosts)} hosts: {power.words}"
    executed = [check for check in checks if check.executed]
    dead = [group.name for group in power.groups if group.required and not group.value]
    verdict, why = Verdict.RULED_OUT, "ruled out where it was looked for"
    if not executed:
        verdict, why = Verdict.BLOCKED, "could not look: no check could be run"
    elif findings:
        verdict, why = Verdict.INCONCLUSIVE, f"{len(findings)} suspicious, for a person to judge"
    elif dead:
        verdict, why = Verdict.BLOCKED, f"could not look: no trace of {', '.join(dead)} arrives"
    elif not power.value:
        verdict, why = Verdict.BLOCKED, "could not look: no host shows all of its evidence"
    elif not all(check.complete for check in checks):
        verdict, why = Verdict.INCONCLUSIVE, "nothing found, but not every check was complete"
    elif power.value < floor:
        verdict = Verdict.INCONCLUSIVE
        why = f"nothing found, but power is under the floor of {floor:.0%}"
    return verdict, f"{why}: {power.words}"


def name_outcomes(
    verdict: Verdict,
    gaps: Sequence[Gap],
    detections: Sequence[Detection],
    cases: Sequence[Case],
    not_automated: Sequence[str],
) -> tuple[str, ...]:
    """One line an outcome; never empty: finding nothing rules out, or says why it could not."""
    lines = [f"gap {gap.id}" for gap in gaps]
    lines += [f"detection {detection.id}" for detection in detections]
    lines += [f"case {case.id}" for case in cases]
    lines += [f"not automated: {reason}" for reason in not_automated]
    if not cases:
        lines.append(f"verdict {verdict.value}")
    return tuple(lines)


def open_case(
    hypothesis: Hypothesis,
    findings: Sequence[Finding],
    detections: Sequence[Detection],
    *,
    default_tlp: Tlp,
    desk: str,
) -> Case | None:
    """The case for the malicious findings of a hunt; None where there are none."""
    evil = [f for f in findings if f.disposition is Disposition.MALICIOUS]
    if not evil:
        return None
    hosts = tuple(sorted({host for finding in evil for host in finding.hosts}))
    events = {ref.uid: ref for finding in evil for ref in finding.events}
    observables = {(o.type, o.value): o for finding in evil for o in finding.observables}
    worst = evil[0]
    more = f" and {len(evil) - 1} more" if len(evil) > 1 else ""
    techniques = (hypothesis.technique_id, *(f.technique_id for f in evil))
    behaviour = f"{hypothesis.technique_id} {hypothesis.technique_name}".strip()
    return Case(
        natural_key=digest("case", hypothesis.key, sorted(f.key for f in evil))[:32],
        title=f"{behaviour}: {worst.title}{more}",
        summary="\n".join(f"{f.id} ({f.score:.2f}) {f.title}: {f.reason}" for f in evil),
        hypothesis_key=hypothesis.key,
        finding_ids=tuple(f.id for f in evil),
        detection_ids=tuple(d.id for d in detections),
        technique_ids=tuple(dict.fromkeys(one for one in techniques if one)),
        severity="high",
        tlp=tightest(
            (*(source.tlp for source in hypothesis.sources), *_rule_levels(evil)), default_tlp
        ),
        hosts=hosts,
        accounts=tuple(sorted({account for f in evil for account in f.accounts})),
        observables=tuple(observables[key] for key in sorted(observables)),
        events=tuple(sorted(events.values(), key=lambda ref: (ref.time, ref.host, ref.uid))),
        actors=hypothesis.actors,
        source_ids=tuple(
            dict.fromkeys((*(s.object_id for s in hypothesis.sources), *_rule_ids(evil)))
        ),
        first=min(f.first for f in evil),
        last=max(f.last for f in evil),
        desk=desk,
    )


def _rule_levels(findings: Sequence[Finding]) -> list[Tlp]:
    """Markings of the received rules that matched what was found."""
    return [Tlp(f.details[RULE_TLP]) for f in findings if RULE_TLP in f.details]


def _rule_ids(findings: Sequence[Finding]) -> list[str]:
    """Ids of the indicators that carry those rules."""
    found = [f.details[RULE_IDS].split("\n") for f in findings if RULE_IDS in f.details]
    return [one for ids in found for one in ids]

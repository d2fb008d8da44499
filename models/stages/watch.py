"""Watch: whether gaps are closed, by measuring again; and what waited for them is due again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from huntonce.models.gap import OPEN, Gap, GapKind, GapState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.keeping import UnitOfWork
from huntonce.models.ledger import hunted_windows
from huntonce.models.outbox import Channel, Message
from huntonce.models.stages.choosing import models_for
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.gapkeeping import send_ticket
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import reopen_ticket
from huntonce.models.stages.proof import Answers, Probes
from huntonce.models.visibility import HostProbe, ProbeResult
from huntonce.models.windows import HOUR, Window, subtract

RECENT = timedelta(days=7)
"""How far back a gap's proof may lie: a rare event needs days to show that its source is on."""

_WATCHED = OPEN | {GapState.CLOSED, GapState.RISK_ACCEPTED}
_OUTCOMES = ("passed", "closed", "failed", "waiting", "regressed", "lives_on")
_UNKNOWN = {ProbeResult.UNAVAILABLE, ProbeResult.UNSUPPORTED}
_BACK_IN_TIME = {GapKind.PERMISSION, GapKind.PARSE, GapKind.LAG, GapKind.RETENTION}
"""Kinds whose mending shows the past too: the events were there all the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a verification run found.

    Attributes:
        waiting: Not proven: no newer telemetry, too few hosts that sent any, or the SIEM would
            not say.
        requeued: Ids of hypotheses that a closed gap made ready again.
        regressed: Closed gaps that are back.
        expired: Gaps whose risk somebody had accepted until now: they are open again.
    """

    passed: tuple[Gap, ...]
    closed: tuple[Gap, ...]
    failed: tuple[Gap, ...]
    waiting: tuple[Gap, ...]
    requeued: tuple[str, ...]
    regressed: tuple[Gap, ...] = ()
    expired: tuple[Gap, ...] = ()


def recent(extent: Window, span: timedelta = RECENT) -> Window:
    """The newest part of what a SIEM holds."""
    return Window(max(extent.start, extent.end - span), extent.end)


def verify_gaps(kit: Kit, *, window: Window | None = None) -> Verified:
    """Probe again for every gap; close those that passed often enough in a row.

    A probe passes when the trace is live on the share of the gap's hosts that the power floor asks
    for and none of them still shows the fault; hosts that sent nothing prove nothing. The same
    telemetry looked at twice counts once: a gap whose measurement did not move waits. A closed
    gap whose fault shows again, on hosts that do send other things, has regressed. A risk that
    nobody accepts any longer is an open gap again.
    """
    expired = _expire(kit)
    extent = kit.siem.extent()
    with kit.open_unit() as unit:
        gaps = [g for g in unit.gaps.list() if g.state in _WATCHED and g.siem == kit.siem.name]
    if extent is None or not gaps:
        waiting = tuple(gap for gap in gaps if gap.state in OPEN)
        return Verified(
            passed=(), closed=(), failed=(), waiting=waiting, requeued=(), expired=expired
        )
    span = window or recent(extent)
    probes = Probes(kit)
    answers = probes.all_of((gap, _span_of(gap, span)) for gap in gaps)
    seen = {gap.id: _seen_now(kit, probes, gap, span) for gap in gaps}
    groups: dict[str, list[Gap]] = {name: [] for name in _OUTCOMES}
    requeued: dict[str, None] = {}
    with kit.open_unit() as unit:
        unit.lock()
        for known in gaps:
            gap = unit.gaps.get(known.id) or known
            judge = _judge_closed if gap.state is GapState.CLOSED else _judge
            outcome, stored = judge(unit, kit, gap, answers[gap.id], span)
            groups[outcome].append(stored)
            if outcome == "closed":
                requeued |= dict.fromkeys(_requeue(unit, kit, stored, seen[gap.id]))
        unit.commit()
    return Verified(
        passed=tuple(groups["passed"]),
        closed=tuple(groups["closed"]),
        failed=tuple(groups["failed"]),
        waiting=tuple(groups["waiting"]),
        requeued=tuple(requeued),
        regressed=tuple(groups["regressed"]),
        expired=expired,
    )


def _expire(kit: Kit) -> tuple[Gap, ...]:
    """Gaps whose accepted risk has run out are surfaced again, with their ticket."""
    now = kit.clock()
    expired = []
    with kit.open_unit() as unit:
        unit.lock()
        for gap in unit.gaps.list(GapState.RISK_ACCEPTED):
            if gap.risk_holds(now.date()):
                continue
            why = f"the risk was accepted until {gap.risk_until or 'an unknown day'}"
            fresh = replace(gap, state=GapState.SURFACED, passes=0, risk_until="")
            stored = unit.gaps.save(fresh, actor=kit.actor, why=why)
            reopen_ticket(unit, kit, replace(stored, measured_to=gap.risk_until), now)
            send_ticket(unit, kit, stored, now)
            expired.append(stored)
        unit.commit()
    return tuple(expired)


def _span_of(gap: Gap, span: Window) -> Window:
    """What to look at for a gap.

    For an empty field only what is newer than its last probe; for what was not kept, as far back
    as it should be.
    """
    if gap.gap_kind is GapKind.RETENTION:
        return Window(span.end - max(gap.wanted_hours, 1) * HOUR, span.end)
    if gap.gap_kind is not GapKind.MISSING_FIELD or not gap.measured_to:
        return span
    start = max(span.start, datetime.fromisoformat(gap.measured_to))
    return Window(start, span.end) if start < span.end else span


def _newer(gap: Gap, window: Window) -> bool:
    """Whether a window ends after what the last probe of a gap saw."""
    return not gap.measured_to or window.end > datetime.fromisoformat(gap.measured_to)


def _judge(
    unit: UnitOfWork, kit: Kit, gap: Gap, answers: Answers, window: Window
) -> tuple[str, Gap]:
    end, today = window.end.isoformat(), kit.clock().date()
    concerned = [answers.by_host[host] for host in gap.hosts if host in answers.by_host]
    if not _newer(gap, window) or not concerned:
        return _still(gap)
    told = gap.gap_kind in {GapKind.PERMISSION, GapKind.PARSE}
    if not told and any(answer.result in _UNKNOWN for answer in concerned):
        return _still(gap)  # that the SIEM would not say is another gap, and proves nothing
    failing = tuple(sorted(p.host for p in concerned if _still_wrong(gap, p)))
    mended = sum(_mended(gap, p) for p in concerned)
    if failing:
        state = gap.standing(today) if gap.state is GapState.VERIFYING else gap.state
        fresh = replace(gap, state=state, passes=0, hosts=failing, measured_to=end)
        why = f"still wrong on {len(failing)} hosts over {window}"
        stored = unit.gaps.save(fresh, actor=kit.actor, why=why)
        return ("lives_on" if state is GapState.RISK_ACCEPTED else "failed"), stored
    if mended < kit.policy.power_floor * len(concerned):
        return _still(gap)
    passes = gap.passes + 1
    why = f"probe passed ({passes} of {kit.policy.gap_passes}) over {window}"
    stored = unit.gaps.save(
        replace(gap, state=GapState.VERIFYING, passes=passes, measured_to=end),
        actor=kit.actor,
        why=why,
    )
    if passes < kit.policy.gap_passes:
        return "passed", stored
    return "closed", _close(unit, kit, stored, why, end)


def _still(gap: Gap) -> tuple[str, Gap]:
    return ("waiting" if gap.state in OPEN else "lives_on"), gap


def _still_wrong(gap: Gap, answer: HostProbe) -> bool:
    """Whether a host shows the gap's fault; one that is silent shows it only if silence is it."""
    match gap.gap_kind:
        case GapKind.MISSING_FIELD:
            return answer.result is ProbeResult.FIELD_MISSING
        case GapKind.PERMISSION:
            return answer.result is ProbeResult.UNAVAILABLE
        case GapKind.PARSE:
            unread = answer.result is ProbeResult.FIELD_MISSING and not any(answer.fill.values())
            return unread or answer.result is ProbeResult.UNSUPPORTED
        case GapKind.LAG:
            return answer.result is ProbeResult.LAGGING
        case GapKind.RETENTION:
            return answer.result is ProbeResult.RETENTION_SHORT
        case _:
            return not answer.live or answer.result is ProbeResult.STALE


def _mended(gap: Gap, answer: HostProbe) -> bool:
    """Whether a host proves that a gap's fault is gone."""
    match gap.gap_kind:
        case GapKind.MISSING_FIELD | GapKind.PARSE:
            # A sibling proves the source, but only the event itself shows its field.
            return answer.live and answer.events > 0
        case GapKind.PERMISSION:
            return True
        case _:
            return answer.live


def _judge_closed(
    unit: UnitOfWork, kit: Kit, gap: Gap, answers: Answers, window: Window
) -> tuple[str, Gap]:
    """A closed gap that shows its fault in newer telemetry is open again, and so is its ticket."""
    back = tuple(
        sorted(
            answer.host
            for host in gap.hosts
            if host in answers.alive
            and (answer := answers.by_host.get(host)) is not None
            and _still_wrong(gap, answer)
        )
    )
    if not back or not _newer(gap, window):
        return "lives_on", gap
    fresh = replace(
        gap,
        state=GapState.REGRESSED,
        hosts=back,
        passes=0,
        measured_to=window.end.isoformat(),
    )
    why = f"wrong again on {len(back)} hosts over {window}"
    stored = unit.gaps.save(fresh, actor=kit.actor, why=why)
    reopen_ticket(unit, kit, stored, kit.clock())
    return "regressed", stored


def _close(unit: UnitOfWork, kit: Kit, gap: Gap, why: str, end: str) -> Gap:
    fresh = replace(gap, state=GapState.CLOSED, accepted=False, risk_until="")
    closed = unit.gaps.save(fresh, actor=kit.actor, why=why)
    if closed.ticket:
        enqueue(
            unit,
            Message(
                key=f"gap-{closed.key}-close-{end}",
                channel=Channel.TICKET,
                action="close",
                target=kit.tickets.name,
                subject=closed.id,
                payload={"remote_id": closed.ticket, "comment": f"{closed.id} closed: {why}"},
            ),
            at=kit.clock(),
        )
    return closed


# ---------------------------------------------------------------- what waited


def _seen_now(kit: Kit, probes: Probes, gap: Gap, window: Window) -> dict[str, float]:
    """Technique to its power in newer telemetry, for what a gap would set free if it closes now."""
    if gap.state not in _WATCHED - {GapState.CLOSED} or gap.passes + 1 < kit.policy.gap_passes:
        return {}
    with kit.open_unit() as unit:
        waiting = [h for key in gap.unlocks if (h := unit.hypotheses.by_key(key)) is not None]
    models = models_for(kit, dict.fromkeys(h.technique_id for h in waiting if _waited(h)))
    return {
        h.technique_id: probes.sight(models[h.technique_id], window).power.value
        for h in waiting
        if _waited(h) and h.technique_id in models
    }


def _requeue(unit: UnitOfWork, kit: Kit, gap: Gap, seen: Mapping[str, float]) -> Iterable[str]:
    """Ids of the hypotheses that waited on a gap and can be looked at now, made ready again.

    Another gap may still be in the way: what counts is what newer telemetry shows of all that the
    hypothesis needs. The windows that waited are due again where mending shows the past; where a
    source was switched on, only what came since can be seen, and no hunt has seen that yet.
    """
    for key in gap.unlocks:
        stored = unit.hypotheses.by_key(key)
        if stored is None or not _waited(stored):
            continue
        if not _can_look(kit, seen.get(stored.technique_id, 0.0), stored):
            continue
        spans = [
            Window(datetime.fromisoformat(w.start), datetime.fromisoformat(w.end))
            for w in gap.waits
            if w.hypothesis == key
        ]
        back = gap.gap_kind in _BACK_IN_TIME
        left = _without(stored, spans) if back else stored.hunted
        fresh = replace(stored, state=HypothesisState.READY, hunted=left)
        yield unit.hypotheses.save(fresh, actor=kit.actor, why=f"{gap.id} closed").id


def _waited(hypothesis: Hypothesis) -> bool:
    if hypothesis.state is HypothesisState.BLOCKED:
        return True
    concluded = hypothesis.state is HypothesisState.CONCLUDED
    return concluded and hypothesis.verdict is Verdict.INCONCLUSIVE


def _can_look(kit: Kit, power: float, hypothesis: Hypothesis) -> bool:
    """Blocked ones need any sight of all their groups; what was too little must be enough now."""
    if hypothesis.state is HypothesisState.BLOCKED:
        return power > 0
    return power >= kit.policy.power_floor


def _without(hypothesis: Hypothesis, spans: Sequence[Window]) -> tuple[tuple[str, str], ...]:
    """The hunted windows of a hypothesis but for spans that are to be hunted again."""
    left = [part for window in hunted_windows(hypothesis) for part in subtract(window, spans)]
    return tuple((part.start.isoformat(), part.end.isoformat()) for part in left)

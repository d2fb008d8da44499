"""Watch: whether detections still see, and whether gaps are closed, by measuring again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from huntonce.models.detection import Detection, DetectionState
from huntonce.models.gap import OPEN, Gap, GapKind, GapState
from huntonce.models.hypothesis import HypothesisState
from huntonce.models.outbox import Channel, Message
from huntonce.models.ports import UnitOfWork
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import reopen_ticket
from huntonce.models.stages.probe import Sight, look
from huntonce.models.visibility import HostProbe, ProbeResult
from huntonce.models.windows import Window

RECENT = timedelta(days=7)
"""How far back a gap's proof may lie: a rare event needs days to show that its source is on."""

_WATCHED = OPEN | {GapState.CLOSED}
_OUTCOMES = ("passed", "closed", "failed", "waiting", "regressed", "stays")
_SILENT = {ProbeResult.MISSING, ProbeResult.UNAVAILABLE}

_ON_DUTY = frozenset({DetectionState.EXPERIMENTAL, DetectionState.TEST, DetectionState.STABLE})


def check_detections(kit: Kit, sight: Sight) -> tuple[Detection, ...]:
    """Set the health of the detections that feed on a model's atoms; returns those changed.

    Healthy: at least one of its atoms is live on the share of the population that the power floor
    asks for.
    """
    changed: list[Detection] = []
    with kit.open_unit() as unit:
        for detection in unit.detections.list():
            if detection.state not in _ON_DUTY:
                continue
            if sight.model.technique_id not in detection.technique_ids:
                continue
            share = max((sight.live_share(atom) for atom in detection.atoms), default=0.0)
            healthy = share >= kit.policy.power_floor
            if detection.healthy is not healthy:
                why = f"its evidence is live on {share:.0%} of the hosts"
                fresh = replace(detection, healthy=healthy)
                changed.append(unit.detections.save(fresh, actor=kit.actor, why=why))
        unit.commit()
    return tuple(changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a verification run found.

    Attributes:
        waiting: Not proven: no newer telemetry, too few hosts that sent any, or the SIEM would
            not say.
        requeued: Ids of hypotheses that a closed gap made ready again.
        regressed: Closed gaps that are back.
    """

    passed: tuple[Gap, ...]
    closed: tuple[Gap, ...]
    failed: tuple[Gap, ...]
    waiting: tuple[Gap, ...]
    requeued: tuple[str, ...]
    regressed: tuple[Gap, ...] = ()


def recent(extent: Window, span: timedelta = RECENT) -> Window:
    """The newest part of what a SIEM holds."""
    return Window(max(extent.start, extent.end - span), extent.end)


def verify_gaps(kit: Kit, *, window: Window | None = None) -> Verified:
    """Probe again for every gap; close those that passed often enough in a row.

    A probe passes when the trace is live on the share of the gap's hosts that the power floor asks
    for and none of them still shows the fault; hosts that sent nothing prove nothing. The same
    telemetry looked at twice counts once: a gap whose measurement did not move waits. A closed
    gap whose fault shows again, on hosts that do send other things, has regressed.
    """
    extent = kit.siem.extent()
    with kit.open_unit() as unit:
        gaps = [g for g in unit.gaps.list() if g.state in _WATCHED and g.siem == kit.siem.name]
    if extent is None or not gaps:
        waiting = tuple(gap for gap in gaps if gap.state in OPEN)
        return Verified(passed=(), closed=(), failed=(), waiting=waiting, requeued=())
    span = window or recent(extent)
    probes = _Probes(kit)
    answers = {gap.id: probes.of(gap, _span_of(gap, span)) for gap in gaps}
    groups: dict[str, list[Gap]] = {name: [] for name in _OUTCOMES}
    requeued: list[str] = []
    with kit.open_unit() as unit:
        for known in gaps:
            gap = unit.gaps.get(known.id) or known
            judge = _judge_closed if gap.state is GapState.CLOSED else _judge
            outcome, stored = judge(unit, kit, gap, answers[gap.id], span)
            groups[outcome].append(stored)
            if outcome == "closed":
                requeued.extend(_requeue(unit, kit, stored))
        unit.commit()
    return Verified(
        passed=tuple(groups["passed"]),
        closed=tuple(groups["closed"]),
        failed=tuple(groups["failed"]),
        waiting=tuple(groups["waiting"]),
        requeued=tuple(requeued),
        regressed=tuple(groups["regressed"]),
    )


def _span_of(gap: Gap, span: Window) -> Window:
    """What to look at for a gap: for an empty field only what is newer than its last probe."""
    if gap.gap_kind is not GapKind.MISSING_FIELD or not gap.measured_to:
        return span
    start = max(span.start, datetime.fromisoformat(gap.measured_to))
    return Window(start, span.end) if start < span.end else span


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What was measured for one gap.

    Attributes:
        by_host: Host to the answer for the gap's atom; empty where no model knows the atom.
        alive: Hosts that sent anything that the atom's model asks for.
    """

    by_host: Mapping[str, HostProbe]
    alive: frozenset[str]


class _Probes:
    """Probes by window and technique, each measured once."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._sights: dict[tuple[Window, str], Sight] = {}

    def of(self, gap: Gap, window: Window) -> _Answers:
        """What the first model that knows the gap's atom shows of it."""
        for model in self._kit.library.evidence.values():
            if all(atom.id != gap.atom_id for atom in model.atoms):
                continue
            key = (window, model.technique_id)
            if key not in self._sights:
                self._sights[key] = look(self._kit.siem, model, window, self._kit.profile)
            probes = self._sights[key].probes
            return _Answers(
                by_host={p.host: p for p in probes if p.atom_id == gap.atom_id},
                alive=frozenset(p.host for p in probes if p.result not in _SILENT),
            )
        return _Answers(by_host={}, alive=frozenset())


def _newer(gap: Gap, window: Window) -> bool:
    """Whether a window ends after what the last probe of a gap saw."""
    return not gap.measured_to or window.end > datetime.fromisoformat(gap.measured_to)


def _judge(
    unit: UnitOfWork, kit: Kit, gap: Gap, answers: _Answers, window: Window
) -> tuple[str, Gap]:
    end = window.end.isoformat()
    concerned = [answers.by_host[host] for host in gap.hosts if host in answers.by_host]
    if not _newer(gap, window) or not concerned:
        return "waiting", gap
    if gap.gap_kind is not GapKind.PERMISSION and any(
        answer.result is ProbeResult.UNAVAILABLE for answer in concerned
    ):
        return "waiting", gap  # that the SIEM would not say is another gap, and proves nothing
    failing = tuple(sorted(p.host for p in concerned if _still_wrong(gap, p)))
    mended = sum(_mended(gap, p) for p in concerned)
    if failing:
        state = GapState.SURFACED if gap.state is GapState.VERIFYING else gap.state
        fresh = replace(gap, state=state, passes=0, hosts=failing, measured_to=end)
        why = f"still wrong on {len(failing)} hosts over {window}"
        return "failed", unit.gaps.save(fresh, actor=kit.actor, why=why)
    if mended < kit.policy.power_floor * len(concerned):
        return "waiting", gap
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


def _still_wrong(gap: Gap, answer: HostProbe) -> bool:
    """Whether a host shows the gap's fault; one that is silent shows it only if silence is it."""
    if gap.gap_kind is GapKind.MISSING_FIELD:
        return answer.result is ProbeResult.FIELD_MISSING
    if gap.gap_kind is GapKind.PERMISSION:
        return answer.result is ProbeResult.UNAVAILABLE
    return not answer.live


def _mended(gap: Gap, answer: HostProbe) -> bool:
    """Whether a host proves that a gap's fault is gone."""
    if gap.gap_kind is GapKind.MISSING_FIELD:
        # A sibling proves the source, but only the event itself shows its field.
        return answer.live and answer.result is ProbeResult.PRESENT
    return answer.live or gap.gap_kind is GapKind.PERMISSION


def _judge_closed(
    unit: UnitOfWork, kit: Kit, gap: Gap, answers: _Answers, window: Window
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
        return "stays", gap
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
    closed = unit.gaps.save(replace(gap, state=GapState.CLOSED), actor=kit.actor, why=why)
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


def _requeue(unit: UnitOfWork, kit: Kit, gap: Gap) -> Iterable[str]:
    """Hypotheses that were blocked on a gap are ready again."""
    for key in gap.unlocks:
        hypothesis = unit.hypotheses.by_key(key)
        if hypothesis is not None and hypothesis.state is HypothesisState.BLOCKED:
            why = f"{gap.id} closed"
            fresh = replace(hypothesis, state=HypothesisState.READY)
            yield unit.hypotheses.save(fresh, actor=kit.actor, why=why).id

"""Watch: whether detections still see, and whether gaps are closed, by measuring again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from huntonce.models.detection import Detection, DetectionState
from huntonce.models.evidence import Atom
from huntonce.models.gap import OPEN, Gap, GapKind, GapState
from huntonce.models.hypothesis import HypothesisState
from huntonce.models.outbox import Channel, Message
from huntonce.models.ports import UnitOfWork
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight, look
from huntonce.models.visibility import HostProbe, ProbeResult
from huntonce.models.windows import Window

RECENT = timedelta(days=7)
"""How far back a gap's proof may lie: a rare event needs days to show that its source is on."""

_WATCHED = OPEN | {GapState.CLOSED}
_OUTCOMES = ("passed", "closed", "failed", "waiting", "regressed", "stays")

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
        waiting: Not measured: no newer telemetry, or the SIEM would not say.
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

    A pass is evidence, not its absence: the source's traces are live on every host of the gap
    that is still in scope. The same telemetry looked at twice counts once: a gap whose
    measurement did not move waits. A closed gap that shows again has regressed.
    """
    extent = kit.siem.extent()
    with kit.open_unit() as unit:
        gaps = [g for g in unit.gaps.list() if g.siem == kit.siem.name and g.state in _WATCHED]
    open_gaps = [gap for gap in gaps if gap.state in OPEN]
    if extent is None or not gaps:
        return Verified(passed=(), closed=(), failed=(), waiting=tuple(open_gaps), requeued=())
    span = window or recent(extent)
    measured = _measure(kit, span)
    groups: dict[str, list[Gap]] = {name: [] for name in _OUTCOMES}
    requeued: list[str] = []
    with kit.open_unit() as unit:
        for gap in gaps:
            judge = _judge_closed if gap.state is GapState.CLOSED else _judge
            outcome, stored = judge(unit, kit, gap, measured)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """What every evidence model shows of a window.

    Attributes:
        gaps: Key to gap as it stands now.
        answers: (source, host) to the answers of the source's primary atoms, with their fields.
        alive: Hosts that delivered anything that a model asks for.
    """

    window: Window
    gaps: Mapping[str, Gap]
    answers: Mapping[tuple[str, str], Sequence[tuple[Atom, HostProbe]]]
    alive: frozenset[str]

    def shows(self, gap: Gap, host: str) -> bool | None:
        """Whether a gap is mended on a host; None where that was not, or cannot be, measured."""
        answers = [
            answer
            for atom, answer in self.answers.get((gap.source, host), ())
            if not gap.field_name or gap.field_name in atom.fields
        ]
        results = {answer.result for answer in answers}
        if gap.gap_kind is GapKind.PERMISSION:
            return ProbeResult.UNAVAILABLE not in results if answers else None
        if not answers or ProbeResult.UNAVAILABLE in results:
            return None
        if gap.gap_kind is GapKind.MISSING_FIELD:
            # A sibling proves the source, but only the event itself shows its field.
            return all(a.live and a.result is ProbeResult.PRESENT for a in answers)
        return all(answer.live for answer in answers)


def _measure(kit: Kit, window: Window) -> _Measured:
    gaps: dict[str, Gap] = {}
    answers: dict[tuple[str, str], list[tuple[Atom, HostProbe]]] = {}
    alive: set[str] = set()
    silent = {ProbeResult.MISSING, ProbeResult.UNAVAILABLE}
    for model in kit.library.evidence.values():
        sight = look(kit.siem, model, window, kit.profile)
        atoms = {atom.id: atom for atom in model.atoms}
        for answer in sight.probes:
            atom = atoms[answer.atom_id]
            if answer.result not in silent:
                alive.add(answer.host)
            if atom.primary:
                answers.setdefault((atom.source, answer.host), []).append((atom, answer))
        for gap in surface(
            model,
            sight.probes,
            siem=kit.siem.name,
            hypothesis_key="",
            behaviour=model.technique_id,
            owner="",
        ):
            gaps.setdefault(gap.key, gap)
    return _Measured(window=window, gaps=gaps, answers=answers, alive=frozenset(alive))


def _judge(unit: UnitOfWork, kit: Kit, gap: Gap, measured: _Measured) -> tuple[str, Gap]:
    shown = [seen for host in gap.hosts if (seen := measured.shows(gap, host)) is not None]
    if not shown:
        return "waiting", gap
    if not all(shown):
        return "failed", _failed(unit, kit, gap, measured)
    end = measured.window.end
    if gap.measured_to and end <= datetime.fromisoformat(gap.measured_to):
        return "waiting", gap
    passes = gap.passes + 1
    why = f"probe passed ({passes} of {kit.policy.gap_passes}) over {measured.window}"
    stored = unit.gaps.save(
        replace(gap, state=GapState.VERIFYING, passes=passes, measured_to=end.isoformat()),
        actor=kit.actor,
        why=why,
    )
    if passes < kit.policy.gap_passes:
        return "passed", stored
    closed = unit.gaps.save(replace(stored, state=GapState.CLOSED), actor=kit.actor, why=why)
    if closed.ticket:
        enqueue(
            unit,
            Message(
                key=f"gap-{closed.key}-close-{closed.measured_to}",
                channel=Channel.TICKET,
                action="close",
                target=kit.tickets.name,
                subject=closed.id,
                payload={"remote_id": closed.ticket, "comment": f"{closed.id} closed: {why}"},
            ),
            at=kit.clock(),
        )
    return "closed", closed


def _failed(unit: UnitOfWork, kit: Kit, gap: Gap, measured: _Measured) -> Gap:
    state = GapState.SURFACED if gap.state is GapState.VERIFYING else gap.state
    fresh = replace(gap, state=state, passes=0, measured_to=measured.window.end.isoformat())
    now = measured.gaps.get(gap.key)
    if now is not None:
        fresh = replace(
            fresh,
            gap_kind=now.gap_kind,
            hosts=now.hosts,
            population=now.population,
            reason=now.reason,
        )
    if fresh == gap:
        return gap
    return unit.gaps.save(fresh, actor=kit.actor, why=fresh.reason)


def _judge_closed(unit: UnitOfWork, kit: Kit, gap: Gap, measured: _Measured) -> tuple[str, Gap]:
    """A closed gap is back where newer telemetry of a host that is not silent lacks the source."""
    if gap.measured_to and measured.window.end <= datetime.fromisoformat(gap.measured_to):
        return "stays", gap
    back = [
        host for host in gap.hosts if host in measured.alive and measured.shows(gap, host) is False
    ]
    if not back:
        return "stays", gap
    fresh = replace(
        gap,
        state=GapState.REGRESSED,
        hosts=tuple(back),
        passes=0,
        measured_to=measured.window.end.isoformat(),
    )
    why = f"{gap.atom_label} no longer arrives from {len(back)} hosts"
    stored = unit.gaps.save(fresh, actor=kit.actor, why=why)
    reopen_ticket(unit, kit, stored, kit.clock())
    return "regressed", stored


def _requeue(unit: UnitOfWork, kit: Kit, gap: Gap) -> Iterable[str]:
    """Hypotheses that were blocked on a gap are ready again."""
    for key in gap.unlocks:
        hypothesis = unit.hypotheses.by_key(key)
        if hypothesis is not None and hypothesis.state is HypothesisState.BLOCKED:
            why = f"{gap.id} closed"
            fresh = replace(hypothesis, state=HypothesisState.READY)
            yield unit.hypotheses.save(fresh, actor=kit.actor, why=why).id

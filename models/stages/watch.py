"""Watch: whether detections still see, and whether gaps are closed, by measuring again."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from huntonce.models.detection import Detection, DetectionState
from huntonce.models.gap import OPEN, Gap, GapKind, GapState
from huntonce.models.hypothesis import HypothesisState
from huntonce.models.outbox import Channel, Message
from huntonce.models.ports import UnitOfWork
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.probe import Sight, look
from huntonce.models.surfacing import surface
from huntonce.models.windows import Window

RECENT = timedelta(days=7)
"""How far back a gap's proof may lie: a rare event needs days to show that its source is on."""

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
    """What a verification run found."""

    passed: tuple[Gap, ...]
    closed: tuple[Gap, ...]
    failed: tuple[Gap, ...]
    waiting: tuple[Gap, ...]
    requeued: tuple[str, ...]


def recent(extent: Window, span: timedelta = RECENT) -> Window:
    """The newest part of what a SIEM holds."""
    return Window(max(extent.start, extent.end - span), extent.end)


def verify_gaps(kit: Kit, *, window: Window | None = None) -> Verified:
    """Probe again for every open gap; close those that passed often enough in a row.

    The same telemetry looked at twice counts once: a gap whose measurement did not move waits.
    """
    extent = kit.siem.extent()
    with kit.open_unit() as unit:
        open_gaps = [g for g in unit.gaps.list() if g.state in OPEN and g.siem == kit.siem.name]
    if extent is None or not open_gaps:
        return Verified(passed=(), closed=(), failed=(), waiting=tuple(open_gaps), requeued=())
    span = window or recent(extent)
    still = _still_open(kit, span)
    groups: dict[str, list[Gap]] = {"passed": [], "closed": [], "failed": [], "waiting": []}
    requeued: list[str] = []
    with kit.open_unit() as unit:
        for gap in open_gaps:
            outcome, stored = _judge(unit, kit, gap, still, span)
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
    )


def _still_open(kit: Kit, window: Window) -> Mapping[str, Gap]:
    """Key to gap as measured now, over every evidence model."""
    found: dict[str, Gap] = {}
    for model in kit.library.evidence.values():
        sight = look(kit.siem, model, window, kit.profile)
        for gap in surface(
            model,
            sight.probes,
            siem=kit.siem.name,
            hypothesis_key="",
            behaviour=model.technique_id,
            owner="",
        ):
            found.setdefault(gap.key, gap)
    return found


def _judge(
    unit: UnitOfWork, kit: Kit, gap: Gap, still: Mapping[str, Gap], window: Window
) -> tuple[str, Gap]:
    now = still.get(gap.key)
    end = window.end.isoformat()
    if now is not None and (_worse_kind(now, gap) or set(now.hosts) & set(gap.hosts)):
        state = GapState.SURFACED if gap.state is GapState.VERIFYING else gap.state
        fresh = replace(gap, state=state, passes=0, hosts=now.hosts, measured_to=end)
        if fresh == gap:
            return "failed", gap
        return "failed", unit.gaps.save(fresh, actor=kit.actor, why=now.reason)
    if gap.measured_to and end <= gap.measured_to:
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
    closed = unit.gaps.save(replace(stored, state=GapState.CLOSED), actor=kit.actor, why=why)
    if closed.ticket:
        unit.outbox.put(
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
    return "closed", closed


def _worse_kind(now: Gap, gap: Gap) -> bool:
    return now.gap_kind is GapKind.NO_SOURCE and gap.gap_kind is not GapKind.NO_SOURCE


def _requeue(unit: UnitOfWork, kit: Kit, gap: Gap) -> Iterable[str]:
    """Hypotheses that were blocked on a gap are ready again."""
    for key in gap.unlocks:
        hypothesis = unit.hypotheses.by_key(key)
        if hypothesis is not None and hypothesis.state is HypothesisState.BLOCKED:
            why = f"{gap.id} closed"
            fresh = replace(hypothesis, state=HypothesisState.READY)
            yield unit.hypotheses.save(fresh, actor=kit.actor, why=why).id

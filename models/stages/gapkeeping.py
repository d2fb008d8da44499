"""Keeping gaps: one in the store for each source that is wrong, whoever ran into it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from huntonce.models.demand import business
from huntonce.models.gap import OPEN, Gap, GapKind, GapState, Wait
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, Message
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.leaving import leave, reopen_ticket, ticket_of
from huntonce.models.windows import Window

_SEVERITIES = ("low", "medium", "high")


def keep_gap(
    unit: UnitOfWork, kit: Kit, gap: Gap, *, by: str, window: Window, now: datetime
) -> Gap:
    """Store a gap, or bring the one that is known up to what was measured now.

    Hypotheses and detections that run into the same gap share it; each keeps its own wait. ``by``
    names the hunt or probe that ran into it.
    """
    stored = unit.gaps.add(_explained(unit, gap), actor=kit.actor, why=f"surfaced by {by}")
    fresh = replace(
        stored,
        unlocks=tuple(sorted({*stored.unlocks, *gap.unlocks})),
        guards=tuple(sorted({*stored.guards, *gap.guards})),
        waits=_joined(stored.waits, gap),
    )
    if stored.measured_to == window.end.isoformat() and stored.state in OPEN and gap.unlocks:
        fresh = _alike(fresh, gap)
    elif _tells(stored, window):
        today = now.date()
        back = {
            GapState.CLOSED: GapState.REGRESSED,
            GapState.VERIFYING: replace(stored, state=GapState.SURFACED).standing(today),
        }
        fresh = replace(
            fresh,
            gap_kind=gap.gap_kind,
            hosts=gap.hosts,
            population=gap.population,
            severity=gap.severity,
            reason=gap.reason,
            remedy=gap.remedy,
            state=back.get(stored.state, stored.state),
            passes=0,
            measured_to=window.end.isoformat(),
            wanted_hours=max(gap.wanted_hours, stored.wanted_hours),
        )
    fresh = _explained(unit, fresh)
    was = stored.state
    if fresh != stored:
        stored = unit.gaps.save(fresh, actor=kit.actor, why=f"measured by {by}")
    if stored.state is GapState.REGRESSED and was is GapState.CLOSED:
        reopen_ticket(unit, kit, stored, now)
    if stored.state in OPEN:
        send_ticket(unit, kit, stored, now)
    return stored


def send_ticket(unit: UnitOfWork, kit: Kit, gap: Gap, now: datetime) -> None:
    """Let the ticket of a gap leave; the same gap has one, however often it is asked for."""
    leave(
        unit,
        kit,
        Message(
            key=f"gap-{gap.key}",
            channel=Channel.TICKET,
            action="create",
            target=kit.tickets.name,
            subject=gap.id,
            payload=ticket_of(unit, gap),
        ),
        change="open_ticket",
        summary=f"ticket for {gap.id}: {gap.reason}",
        now=now,
        size=len(gap.hosts),
    )


def _explained(unit: UnitOfWork, gap: Gap) -> Gap:
    """The gap with the reason why it is worth the work."""
    waiting = {key: unit.hypotheses.by_key(key) for key in gap.unlocks}
    return replace(gap, business=business(gap, {k: h for k, h in waiting.items() if h is not None}))


def _alike(known: Gap, gap: Gap) -> Gap:
    """Two hypotheses that ran into one gap in the same telemetry: the worse of what both say."""
    hosts = tuple(sorted({*known.hosts, *gap.hosts}))
    if _SEVERITIES.index(gap.severity) > _SEVERITIES.index(known.severity):
        known = replace(
            known, severity=gap.severity, reason=gap.reason, remedy=gap.remedy, group=gap.group
        )
    absent = {GapKind.NO_SOURCE, GapKind.PARTIAL_POPULATION}
    kind = known.gap_kind
    # One may speak of domain controllers only, and the other of all hosts.
    population = max(known.population, gap.population, len(hosts))
    if kind in absent:
        whole = len(hosts) >= population
        kind = GapKind.NO_SOURCE if whole else GapKind.PARTIAL_POPULATION
    wanted = max(known.wanted_hours, gap.wanted_hours)
    return replace(known, hosts=hosts, population=population, gap_kind=kind, wanted_hours=wanted)


def _joined(stored: Sequence[Wait], gap: Gap) -> tuple[Wait, ...]:
    """The waits of others as they were, those of this probe's hypotheses as they are now."""
    asked = {*gap.unlocks, *(wait.hypothesis for wait in gap.waits)}
    kept = [wait for wait in stored if wait.hypothesis not in asked]
    return tuple(sorted([*kept, *gap.waits], key=lambda w: (w.hypothesis, w.group)))


def _tells(gap: Gap, window: Window) -> bool:
    """Whether a window says how a gap stands now.

    What a newer probe showed is not undone by older telemetry, nor by a window that holds both.
    """
    if not gap.measured_to:
        return True
    last = datetime.fromisoformat(gap.measured_to)
    mended = gap.state in {GapState.CLOSED, GapState.VERIFYING}
    return window.start >= last if mended else window.end >= last

"""Gap work: what people decide of a gap. Closing is not among it: only evidence closes one."""

from dataclasses import replace
from datetime import date

from huntonce.models.errors import DomainError
from huntonce.models.gap import Gap, GapState
from huntonce.models.keeping import UnitOfWork
from huntonce.models.outbox import Channel, Message
from huntonce.models.stages.dispatch import enqueue
from huntonce.models.stages.kit import Kit


def accept(kit: Kit, gap_id: str, *, owner: str, by: str) -> Gap:
    """Somebody takes a gap on.

    Raises:
        DomainError: There is no such gap, nobody is named, or it is past that.
    """
    with kit.open_unit() as unit:
        gap = _gap(unit, gap_id)
        owner = owner or gap.owner
        if not owner:
            raise DomainError(f"{gap.id} has no owner", hint="name one with --owner")
        fresh = replace(gap, state=GapState.ACCEPTED, owner=owner, accepted=True, risk_until="")
        stored = unit.gaps.save(fresh, actor=by, why=f"taken on by {owner}")
        unit.commit()
    return stored


def remediate(kit: Kit, gap_id: str, *, by: str, note: str = "") -> Gap:
    """Somebody has begun to mend it: the next probes will tell.

    Raises:
        DomainError: There is no such gap, or it is past that.
    """
    with kit.open_unit() as unit:
        gap = _gap(unit, gap_id)
        fresh = replace(gap, state=GapState.REMEDIATING, accepted=True, risk_until="")
        stored = unit.gaps.save(fresh, actor=by, why=note or "is being mended")
        unit.commit()
    return stored


def accept_risk(kit: Kit, gap_id: str, *, until: date, reason: str, by: str) -> Gap:
    """Somebody lives with a gap until a day; then it is open again by itself.

    Its ticket is closed; what waits on it goes on waiting.

    Raises:
        DomainError: There is no such gap, the day is past, no reason is given, or it is closed.
    """
    if not reason.strip():
        raise DomainError("a risk is accepted for a reason", hint="give one with --reason")
    now = kit.clock()
    if until <= now.date():
        raise DomainError(f"{until} is not ahead", hint="name a later day with --until")
    with kit.open_unit() as unit:
        gap = _gap(unit, gap_id)
        fresh = replace(
            gap,
            state=GapState.RISK_ACCEPTED,
            risk_until=until.isoformat(),
            risk_reason=reason.strip(),
            risk_by=by,
            passes=0,
        )
        why = f"risk accepted until {until} by {by}: {reason.strip()}"
        stored = unit.gaps.save(fresh, actor=by, why=why)
        if stored.ticket:
            enqueue(
                unit,
                Message(
                    key=f"gap-{stored.key}-risk-{until}",
                    channel=Channel.TICKET,
                    action="close",
                    target=kit.tickets.name,
                    subject=stored.id,
                    payload={"remote_id": stored.ticket, "comment": f"{stored.id}: {why}"},
                ),
                at=now,
            )
        unit.commit()
    return stored


def _gap(unit: UnitOfWork, gap_id: str) -> Gap:
    gap = unit.gaps.get(gap_id.upper())
    if gap is None:
        raise DomainError(f"nothing has the id {gap_id!r}", hint="huntonce gaps lists them")
    return gap

"""Follow: how our tickets and cases stand at desks that others work at, polled and kept here.

What a desk says is kept beside the gap or case, and shown. It closes no gap: only evidence does.
It closes a case where the words that it was closed with stand for a determination.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from huntonce.models.case import Case, CaseState, Determination
from huntonce.models.desk import GONE
from huntonce.models.deskupdate import DeskUpdate
from huntonce.models.gap import Gap
from huntonce.models.stages.kit import Kit

WATCHED_AFTER = timedelta(days=30)
"""How long a closed case is still looked at: its people may open it again."""
MAX_NOTE = 20_000

Closure = tuple[Determination, str, datetime]


@runtime_checkable
class PolledDesk(Protocol):
    """A desk that tells how things stand there."""

    @property
    def name(self) -> str: ...

    def updates(self, watched: Sequence[str], since: str) -> Sequence[DeskUpdate]:
        """How the watched tickets or cases stand.

        Args:
            watched: Remote ids; those that are not of this desk are passed over.
            since: A server's own time; what did not change since may be left out. Empty: all.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What a look at the desks brought.

    Attributes:
        changed: Ids of the gaps and cases that stand otherwise there than they did.
        closed: Cases that were closed there and could be taken over.
        notices: What a person should see to, in words.
        unreached: Desks that could not be asked, and why: nothing is known of what is there.
    """

    changed: tuple[str, ...] = ()
    closed: tuple[Case, ...] = ()
    notices: tuple[str, ...] = ()
    unreached: tuple[str, ...] = ()


def follow_tickets(kit: Kit) -> Followed:
    """Take over status, assignee and comments of the tickets of our gaps."""
    desk = kit.tickets
    if not isinstance(desk, PolledDesk):
        return Followed()
    with kit.open_unit() as unit:
        gaps = {gap.ticket: gap for gap in unit.gaps.list() if gap.ticket}
    updates = desk.updates(tuple(gaps), _since(list(gaps.values()))) if gaps else ()
    changed: list[str] = []
    with kit.open_unit() as unit:
        unit.lock()
        for update in updates:
            known = gaps.get(update.remote_id)
            gap = unit.gaps.get(known.id) if known else None
            # What others stored meanwhile counts: only what the desk says is replaced.
            if gap is not None and gap.at_desk != update.at_desk:
                unit.gaps.save(
                    replace(gap, at_desk=update.at_desk), actor=desk.name, why=_why(update)
                )
                changed.append(gap.id)
        unit.commit()
    return Followed(changed=tuple(changed))


def follow_cases(kit: Kit) -> tuple[Mapping[str, Closure], Followed]:
    """Take over how our cases stand, and the closures: by remote id, for ``sync_cases``."""
    desk = kit.cases
    if not isinstance(desk, PolledDesk):
        return desk.closed(), Followed()
    now = kit.clock()
    with kit.open_unit() as unit:
        cases = {
            case.remote_id: case
            for case in unit.cases.list()
            if case.remote_id and case.desk == desk.name and _watched(case, now)
        }
    updates = desk.updates(tuple(cases), "") if cases else ()
    changed: list[str] = []
    notices: list[str] = []
    closures: dict[str, Closure] = {}
    with kit.open_unit() as unit:
        unit.lock()
        for update in updates:
            known = cases.get(update.remote_id)
            case = unit.cases.get(known.id) if known else None
            if case is None:
                continue
            if update.determination is not None and not update.is_open:
                note = update.note[:MAX_NOTE]
                closures[update.remote_id] = (update.determination, note, update.closed_at or now)
            differs = case.at_desk != update.at_desk
            if differs:
                unit.cases.save(
                    replace(case, at_desk=update.at_desk), actor=desk.name, why=_why(update)
                )
                changed.append(case.id)
            notices += _notices(case, update)
        unit.commit()
    return closures, Followed(changed=tuple(changed), notices=tuple(notices))


def _notices(case: Case, update: DeskUpdate) -> list[str]:
    where = f"{case.id} ({update.remote_id} at {case.desk})"
    if update.at_desk.status == GONE:
        return [f"{where} is not found there: deleted, moved, or the right to see it is gone"]
    if case.state is CaseState.OPEN and not update.is_open and update.determination is None:
        word = update.at_desk.status
        meaning = f"closed there as {word!r}, which stands for nothing here"
        return [f"{where} is {meaning}: name the word in desks.{case.desk}.determinations"]
    if case.state is CaseState.CLOSED and update.is_open:
        return [f"{where} was opened again there; here it stays closed as {case.determination}"]
    if case.state is CaseState.CLOSED and update.determination not in {None, case.determination}:
        return [f"{where} is {update.determination} there now, and {case.determination} here"]
    return []


def _watched(case: Case, now: datetime) -> bool:
    return case.closed_at is None or now - case.closed_at <= WATCHED_AFTER


def _since(gaps: Sequence[Gap]) -> str:
    """The newest change that is known, as its server wrote it.

    Empty while any of them was never seen: what is older than the newest change must be asked
    for too.
    """
    seen: list[tuple[datetime, str]] = []
    for gap in gaps:
        try:
            at = datetime.fromisoformat(gap.at_desk.changed)
        except ValueError:
            return ""
        if at.tzinfo is None:
            return ""
        seen.append((at, gap.at_desk.changed))
    return max(seen)[1] if seen else ""


def _why(update: DeskUpdate) -> str:
    return f"{update.remote_id} is {update.at_desk.status or 'changed'} there"

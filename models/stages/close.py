"""Close: bring what the case desk decided back, once."""

from collections.abc import Mapping
from dataclasses import replace

from huntonce.models.case import Case, CaseState, Determination, Stated
from huntonce.models.errors import ConnectorError, DomainError
from huntonce.models.stages.follow import Closure, Followed, follow_cases, follow_tickets
from huntonce.models.stages.kit import Kit


def close(
    kit: Kit, case_id: str, determination: Determination, note: str, stated: Stated | None = None
) -> None:
    """Close a case at the desk, as its people would; ``stated``: whom and what they named.

    Raises:
        DomainError: There is no such case, or the desk has not been given it yet.
    """
    with kit.open_unit() as unit:
        case = unit.cases.get(case_id)
    if case is None:
        raise DomainError(f"no case {case_id}", hint="huntonce cases lists them")
    if not case.remote_id:
        raise DomainError(
            f"{case_id} has not reached the desk yet",
            hint="approve it (huntonce proposals) or run the loop, which sends what waits",
        )
    if case.state is CaseState.CLOSED:
        raise DomainError(f"{case_id} is closed already: {case.determination}")
    if stated:
        with kit.open_unit() as unit:
            current = unit.cases.get(case_id) or case
            fresh = replace(current, stated=stated)
            unit.cases.save(fresh, actor=kit.actor, why="IR named what was behind it")
            unit.commit()
    kit.cases.close(case.remote_id, determination, note)


def amend(kit: Kit, case_id: str, stated: Stated, note: str | None = None) -> Case:
    """Change what IR said of a closed case; what was published of it becomes a newer version.

    Raises:
        DomainError: There is no such case, or it is not closed.
    """
    with kit.open_unit() as unit:
        case = unit.cases.get(case_id)
        if case is None:
            raise DomainError(f"no case {case_id}", hint="huntonce cases lists them")
        if case.state is not CaseState.CLOSED or case.closed_at is None:
            raise DomainError(f"{case_id} is open", hint="say it when it is closed")
        at = max(kit.clock(), case.closed_at)
        note = case.note if note is None else note
        fresh = replace(case, stated=stated, note=note, amended_at=at)
        saved = unit.cases.save(fresh, actor=kit.actor, why="IR amended it")
        unit.commit()
    return saved


def sync_cases(kit: Kit) -> tuple[Case, ...]:
    """Take over closures from the desk; returns the cases that this run found closed."""
    closures, _ = follow_cases(kit)
    return _take_over(kit, closures)


def sync_desks(kit: Kit) -> Followed:
    """Bring all back that both desks tell; one that cannot be asked does not stop the other."""
    tickets, cases = Followed(), Followed()
    closed: tuple[Case, ...] = ()
    unreached: list[str] = []
    try:
        tickets = follow_tickets(kit)
    except ConnectorError as error:
        unreached.append(f"{kit.tickets.name} could not be asked: {error}")
    try:
        closures, cases = follow_cases(kit)
        closed = _take_over(kit, closures)
    except ConnectorError as error:
        unreached.append(f"{kit.cases.name} could not be asked: {error}")
    return Followed(
        changed=tickets.changed + cases.changed,
        closed=closed,
        notices=tickets.notices + cases.notices,
        unreached=tuple(unreached),
    )


def _take_over(kit: Kit, closures: Mapping[str, Closure]) -> tuple[Case, ...]:
    found: list[Case] = []
    with kit.open_unit() as unit:
        for case in unit.cases.list(CaseState.OPEN):
            closure = closures.get(case.remote_id) if case.desk == kit.cases.name else None
            if closure is None:
                continue
            determination, note, at = closure
            fresh = replace(
                case,
                state=CaseState.CLOSED,
                determination=determination,
                note=note,
                closed_at=at,
            )
            why = f"closed at {case.desk}: {determination.value}"
            found.append(unit.cases.save(fresh, actor=kit.actor, why=why))
        unit.commit()
    return tuple(found)

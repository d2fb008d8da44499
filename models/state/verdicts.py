"""Verdicts of hunts in a table of their own, where the database itself refuses what is unproven."""

from sqlalchemy import delete

from huntonce.models.hunt import HuntRun
from huntonce.models.state.tables import HUNT_VERDICT
from huntonce.models.state.work import Work


def keep_verdict(work: Work, run: HuntRun) -> None:
    """Write the verdict of a run with what it stands on; nothing where it has none yet.

    Raises:
        StateError: It rules out without an executed check, or under the floor: the row is refused.
    """
    if run.verdict is None:
        return
    power = run.power
    connection = work.write()
    connection.execute(delete(HUNT_VERDICT).where(HUNT_VERDICT.c.hunt == run.id))
    connection.execute(
        HUNT_VERDICT.insert().values(
            hunt=run.id,
            verdict=run.verdict.value,
            executed=sum(check.executed for check in run.checks),
            power=power.value if power is not None else 0.0,
            floor=run.floor,
            dark=sum(g.required and not g.value for g in power.groups) if power else 1,
        )
    )

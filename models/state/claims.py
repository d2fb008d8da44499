"""Hunt claims: the unique row that lets one run at a time hunt a hypothesis on a SIEM."""

from datetime import datetime

from sqlalchemy import delete, select, update

from huntonce.models.state.codec import stored_key
from huntonce.models.state.columns import clean
from huntonce.models.state.engine import insert_once
from huntonce.models.state.tables import HUNT_CLAIM
from huntonce.models.state.work import Work
from huntonce.models.windows import Window


class Claims:
    """The claims, in one unit of work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    def take(self, hypothesis_key: str, siem: str, *, run: str, window: Window) -> bool:
        """Claim for a run; False where another run holds it."""
        return insert_once(
            self._work.write(),
            HUNT_CLAIM,
            key=stored_key(f"{hypothesis_key}|{siem}"),
            run=run,
            start=window.start,
            end=window.end,
            taken_at=self._work.clock(),
        )

    def renew(self, run: str) -> None:
        """Say that a run still lives; nothing where it holds nothing."""
        mine = HUNT_CLAIM.c.run == clean(run)
        self._work.write().execute(
            update(HUNT_CLAIM).where(mine).values(taken_at=self._work.clock())
        )

    def renewed(self) -> dict[str, datetime]:
        """Run to when it last said that it lives, for every claim."""
        rows = self._work.connection().execute(select(HUNT_CLAIM.c.run, HUNT_CLAIM.c.taken_at))
        return {str(run): moment for run, moment in rows}

    def release(self, run: str) -> None:
        """Give up what a run holds; nothing where it holds nothing."""
        self._work.write().execute(delete(HUNT_CLAIM).where(HUNT_CLAIM.c.run == clean(run)))

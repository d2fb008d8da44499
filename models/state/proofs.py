"""Proofs of detections: kept events, and how far each was run."""

from collections.abc import Iterable

from sqlalchemy import delete, select

from huntonce.models.detection import Fixture
from huntonce.models.finding import EventRef
from huntonce.models.guarding import Watch
from huntonce.models.state.codec import decode, encode
from huntonce.models.state.engine import insert
from huntonce.models.state.tables import DETECTION_FIXTURE, DETECTION_WATCH
from huntonce.models.state.work import Work


class KeptProofs:
    """The proofs, in one unit of work."""

    def __init__(self, work: Work) -> None:
        self._work = work

    # ------------------------------------------------------------ kept events

    def fixtures(self, rule_id: str) -> tuple[Fixture, ...]:
        """The kept events of a rule, evil ones first, in the order of time."""
        table = DETECTION_FIXTURE
        query = (
            select(table)
            .where(table.c.rule == rule_id)
            .order_by(table.c.malicious.desc(), table.c.at, table.c.uid)
        )
        return tuple(
            Fixture(
                ref=decode(EventRef, row.ref),
                malicious=bool(row.malicious),
                body=bytes(row.body).decode(),
            )
            for row in self._work.connection().execute(query)
        )

    def keep(self, rule_id: str, fixtures: Iterable[Fixture]) -> None:
        """Keep these events of a rule, and no others."""
        connection = self._work.write()
        table = DETECTION_FIXTURE
        connection.execute(delete(table).where(table.c.rule == rule_id))
        rows = [
            {
                "rule": rule_id,
                "uid": fixture.ref.uid,
                "malicious": fixture.malicious,
                "at": fixture.ref.time,
                "ref": encode(fixture.ref),
                "body": fixture.body.encode(errors="replace"),
            }
            for fixture in fixtures
        ]
        if rows:
            connection.execute(table.insert(), rows)

    # ------------------------------------------------------------ how far

    def watched(self, watch: Watch) -> None:
        """Note how far a rule was run."""
        connection = self._work.write()
        values = {"ran_at": watch.ran_at, "seen_to": watch.seen_to, "fault": watch.fault}
        connection.execute(
            insert(connection, DETECTION_WATCH)
            .values(rule=watch.rule_id, siem=watch.siem, **values)
            .on_conflict_do_update(
                index_elements=[DETECTION_WATCH.c.rule, DETECTION_WATCH.c.siem], set_=values
            )
        )

    def watches(self, rule_id: str | None = None) -> tuple[Watch, ...]:
        """How far each rule was run."""
        table = DETECTION_WATCH
        query = select(table).order_by(table.c.rule, table.c.siem)
        if rule_id is not None:
            query = query.where(table.c.rule == rule_id)
        return tuple(
            Watch(
                rule_id=row.rule,
                siem=row.siem,
                ran_at=row.ran_at,
                seen_to=row.seen_to,
                fault=row.fault,
            )
            for row in self._work.connection().execute(query)
        )

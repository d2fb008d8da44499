"""The store: one database, and units of work over it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy import Connection, Engine

from huntonce.models.alert import Alert
from huntonce.models.case import Case
from huntonce.models.detection import Detection
from huntonce.models.entity import Kind
from huntonce.models.errors import StateError
from huntonce.models.finding import Finding
from huntonce.models.gap import Gap
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Hypothesis
from huntonce.models.intake import (
    FeedRepository,
    IntelRepository,
    Quarantine,
    SetAsideRepository,
)
from huntonce.models.keeping import HuntClaims, Log, Outbox, Proofs, Repository
from huntonce.models.ports import Clock
from huntonce.models.proposal import Proposal
from huntonce.models.publication import Publication
from huntonce.models.state.claims import Claims
from huntonce.models.state.engine import begin_write, make_engine, sqlite_url
from huntonce.models.state.entities import EntityRepository
from huntonce.models.state.feeds import Feeds
from huntonce.models.state.intel import Intel, IntelConflict
from huntonce.models.state.log import TransitionLog
from huntonce.models.state.migrate import migrate, version
from huntonce.models.state.outbox import Messages
from huntonce.models.state.proofs import KeptProofs
from huntonce.models.state.setaside import SetAsides
from huntonce.models.state.work import Work

__all__ = ["Store", "Unit", "open_store", "sqlite_url", "utcnow"]


def utcnow() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Unit:
    """One transaction over a store; leaving the block without ``commit`` rolls back.

    Reading waits for nobody. From its first write on, the unit is the only one that writes. After
    ``commit`` it may go on with a new transaction.
    """

    intel: IntelRepository
    feeds: FeedRepository
    set_aside: SetAsideRepository
    quarantine: Quarantine
    hypotheses: Repository[Hypothesis]
    hunts: Repository[HuntRun]
    claims: HuntClaims
    gaps: Repository[Gap]
    findings: Repository[Finding]
    detections: Repository[Detection]
    alerts: Repository[Alert]
    proofs: Proofs
    cases: Repository[Case]
    proposals: Repository[Proposal]
    publications: Repository[Publication]
    outbox: Outbox
    log: Log

    def __init__(self, work: Work) -> None:
        self._work = work
        log = TransitionLog(work)
        self.log = log
        self.intel = Intel(work)
        self.feeds = Feeds(work)
        self.quarantine = SetAsides(work)
        self.set_aside = self.quarantine
        self.outbox = Messages(work)
        self.hypotheses = EntityRepository(work, log, Kind.HYPOTHESIS, Hypothesis)
        self.hunts = EntityRepository(work, log, Kind.HUNT, HuntRun)
        self.claims = Claims(work)
        self.gaps = EntityRepository(work, log, Kind.GAP, Gap)
        self.findings = EntityRepository(work, log, Kind.FINDING, Finding)
        self.detections = EntityRepository(work, log, Kind.DETECTION, Detection)
        self.alerts = EntityRepository(work, log, Kind.ALERT, Alert)
        self.proofs = KeptProofs(work)
        self.cases = EntityRepository(work, log, Kind.CASE, Case)
        self.proposals = EntityRepository(work, log, Kind.PROPOSAL, Proposal)
        self.publications = EntityRepository(work, log, Kind.PUBLICATION, Publication)

    def __enter__(self) -> Self:
        self._work.enter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._work.leave()

    def lock(self) -> None:
        """Be the only one that writes from here on."""
        self._work.write()

    def commit(self) -> None:
        """Keep what was written since the block began or the last commit."""
        self._work.commit()


class Store:
    """An open database. Threads may share it; a forked process opens its own."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self.clock = clock

    def unit(self) -> Unit:
        """A new unit of work, to be used in a ``with`` block."""
        return Unit(Work(self._engine, self.clock))

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection that may write, for the desks that keep their own tables here.

        Committed at the end of the block, rolled back by an error. On SQLite it waits for a unit
        that has written and is not yet left: do not open it inside one.
        """
        with self._engine.connect() as connection:
            begin_write(connection)
            yield connection
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading; what is written on it is dropped."""
        with self._engine.connect() as connection:
            yield connection

    def intel_conflicts(self) -> tuple[IntelConflict, ...]:
        """Intel versions that some feed delivered with other content than the one held."""
        work = Work(self._engine, self.clock)
        try:
            return Intel(work.enter()).conflicts()
        finally:
            work.leave()

    def set_aside_counts(self) -> dict[str, int]:
        """Kind of input to how much refused input of it waits."""
        work = Work(self._engine, self.clock)
        try:
            return SetAsides(work.enter()).counts()
        finally:
            work.leave()

    def migrate(self) -> None:
        """Create or upgrade the tables; nothing where they are as needed.

        Raises:
            StateError: The database is from a newer version, or cannot be reached.
        """
        migrate(self._engine)

    def version(self) -> str | None:
        """The revision of the tables; None for an empty database."""
        return version(self._engine)

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_store(address: str, *, clock: Clock = utcnow, upgrade: bool = True) -> Store:
    """The store at an address (``sqlite_url(path)``, or ``postgresql+psycopg://...``).

    An empty database is given its tables, an old one the new ones, unless ``upgrade`` is off.

    Raises:
        ConfigError: The address is none, or of a database that is not supported.
        StateError: The database cannot be reached, or is from a newer version.
    """
    engine = make_engine(address)
    if engine.dialect.name == "sqlite" and upgrade:
        _make_folder(Path(str(engine.url.database)))
    store = Store(engine, clock)
    if upgrade:
        try:
            store.migrate()
        except BaseException:
            store.close()
            raise
    return store


def _make_folder(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"the store's folder cannot be made: {error}", hint="see that its place may be written"
        ) from error

"""Collect: take intel in, every good object once, every bad one set aside."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from huntonce.models.errors import ConnectorError, HuntonceError, TransientError
from huntonce.models.intake import IntelBatch, IntelSource
from huntonce.models.intel import AddCounts, Fault, FeedFailure, IntelObject
from huntonce.models.keeping import OpenUnit, UnitOfWork
from huntonce.models.ports import Clock
from huntonce.models.setaside import PAYLOAD_LIMIT, InputKind, SetAside
from huntonce.models.windows import utc

Check = Callable[[str, SetAside], tuple[Sequence[IntelObject], Sequence[SetAside]]]
"""The checks of intake on what a feed delivered and was set aside: what passes, what does not."""

AHEAD = timedelta(days=2)
"""How far others' clocks may be before ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a pull brought.

    Attributes:
        batches: Pages or files read.
        set_aside: What was refused, whether or not it had been before.
        cursor: Where the next pull starts; None where the source has none or did not finish.
        skipped: Objects that the source's own filters kept out.
        error: Why it ended early; None where it did not. What came before it stands.
    """

    feed: str
    batches: int
    counts: AddCounts
    set_aside: tuple[SetAside, ...]
    cursor: str | None
    skipped: int = 0
    error: ConnectorError | None = None


@dataclass(slots=True)
class _Sum:
    """A pull so far."""

    batches: int = 0
    counts: AddCounts = field(default_factory=AddCounts)
    skipped: int = 0
    cursor: str | None = None
    refused: list[SetAside] = field(default_factory=list)

    def collected(self, feed: str, error: ConnectorError | None = None) -> Collected:
        return Collected(
            feed=feed,
            batches=self.batches,
            counts=self.counts,
            set_aside=tuple(self.refused),
            cursor=self.cursor,
            skipped=self.skipped,
            error=error,
        )


def collect(source: IntelSource, open_unit: OpenUnit, clock: Clock) -> Collected:
    """Pull a source from its stored cursor; each batch is kept in a transaction of its own.

    The cursor is stored with the last batch of a complete pull only, so that a pull which was
    interrupted starts again where the last complete one ended and loses nothing; what it brings
    twice is a duplicate. How the pull went is recorded as the feed's health.

    Raises:
        ConnectorError: The source failed; what came before stands.
    """
    total = _Sum()
    _pull(source, open_unit, clock, total)
    return total.collected(source.name)


def collect_all(
    sources: Sequence[IntelSource], open_unit: OpenUnit, clock: Clock
) -> tuple[Collected, ...]:
    """Pull one source after the other; one that fails does not keep the others from being read."""
    done = []
    for source in sources:
        total, error = _Sum(), None
        try:
            _pull(source, open_unit, clock, total)
        except ConnectorError as caught:
            error = caught
        done.append(total.collected(source.name, error))
    return tuple(done)


def _pull(source: IntelSource, open_unit: OpenUnit, clock: Clock, total: _Sum) -> None:
    feed = source.name
    with open_unit() as unit:
        unit.feeds.began(feed, selection=source.selection, at=clock())
        unit.commit()
        whole = unit.feeds.whole(feed)
        cursor = unit.intel.cursor(feed)
    try:
        for batch in source.pull(cursor, whole=whole):
            with open_unit() as unit:
                _take(unit, batch, feed, clock(), total)
                unit.commit()
    except ConnectorError as error:
        # The health must not hide the fault itself, should the store fail, too.
        with suppress(HuntonceError):
            _end(open_unit, feed, clock(), failure_of(error))
        raise
    _end(open_unit, feed, clock(), None)


def _take(unit: UnitOfWork, batch: IntelBatch, feed: str, at: datetime, total: _Sum) -> None:
    timely, early = _not_from_the_future(batch.objects, feed, at)
    objects, foreign = _by_their_makers(unit, timely, feed)
    refused = (*batch.set_aside, *early, *foreign)
    counts = unit.intel.add(objects, feed=feed, at=at)
    counts += AddCounts(duplicate=batch.unread)
    new = unit.quarantine.add(refused, at=at, feed=feed)
    unit.feeds.delivered(feed, counts, set_aside=new, skipped=batch.skipped)
    if batch.digest and not refused and not batch.skipped:
        unit.feeds.took_whole(feed, batch.digest, objects=counts.objects, at=at)
    if batch.cursor is not None:
        # With the last batch, in its own transaction.
        if unit.intel.cursor(feed) != batch.cursor:
            unit.intel.set_cursor(feed, batch.cursor)
        total.cursor = batch.cursor
    total.batches += 1
    total.counts += counts
    total.skipped += batch.skipped
    total.refused.extend(refused)


def _not_from_the_future(
    objects: Iterable[IntelObject], feed: str, at: datetime
) -> tuple[list[IntelObject], list[SetAside]]:
    """The objects without those of which a version is from a time to come.

    The newest version counts, so that one from the year 9999 would keep every later correction and
    revocation of its object from counting. It is taken once its time has come.
    """
    limit = (utc(at) + AHEAD).strftime("%Y-%m-%dT%H:%M:%S")
    kept, early = [], []
    for one in objects:
        if one.version[:19] <= limit:
            kept.append(one)
            continue
        early.append(
            SetAside(
                kind=InputKind.INTEL,
                source=feed,
                place=f"object {one.id}",
                reason=f"it was modified at {one.version}, which is yet to come",
                hint="tell the feed that a clock of theirs is wrong; huntonce intel quarantine "
                "tries again what is kept",
                payload=one.body[:PAYLOAD_LIMIT],
            )
        )
    return kept, early


def _by_their_makers(
    unit: UnitOfWork, objects: Iterable[IntelObject], feed: str
) -> tuple[list[IntelObject], list[SetAside]]:
    """The objects without those that somebody else than their maker changes or revokes.

    Only its creator may make versions of an object (STIX 2.1, 3.6). An object whose first version
    names nobody can be changed by anybody.
    """
    given = list(objects)
    makers = dict(unit.intel.creators(one.id for one in given))
    kept, foreign = [], []
    for one in given:
        maker = makers.setdefault(one.id, one.created_by)
        if not maker or one.created_by == maker:
            kept.append(one)
            continue
        does = "revokes" if one.revoked else "changes"
        foreign.append(
            SetAside(
                kind=InputKind.INTEL,
                source=feed,
                place=f"object {one.id}",
                reason=f"{one.created_by or 'nobody by name'} {does} what {maker} has made",
                hint="only its creator may; ask the feed why it sends it",
                payload=one.body[:PAYLOAD_LIMIT],
            )
        )
    return kept, foreign


def _end(open_unit: OpenUnit, feed: str, at: datetime, failure: FeedFailure | None) -> None:
    with open_unit() as unit:
        if failure is None:
            unit.feeds.ended(feed, at=at)
        else:
            unit.feeds.failed(feed, failure, at=at)
        unit.commit()


def failure_of(error: ConnectorError) -> FeedFailure:
    """What is recorded of a failed pull, with whose fault it is."""
    ours = not isinstance(error, TransientError) and getattr(error, "fault", "") == Fault.QUERY
    return FeedFailure(
        error=str(error), hint=error.hint, fault=Fault.QUERY if ours else Fault.SERVER
    )


def failures_of(pulled: Iterable[Collected]) -> list[dict[str, str]]:
    """The sources that could not be read (to the end), with whose fault it is, for an answer."""
    failed = [(one.feed, failure_of(one.error)) for one in pulled if one.error is not None]
    return [
        {"feed": feed, "error": f.error, "hint": f.hint, "fault": f.fault.value}
        for feed, f in failed
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of the refused intel that was tried again.

    Attributes:
        tried: How many refusals.
        taken: How many of them passed whole.
        counts: What became of the objects that passed.
        refused: Those that did not, with the reason of today.
        cut: How many are kept in part only, because they are too large: fetch them again.
    """

    tried: int
    taken: int
    counts: AddCounts
    refused: tuple[SetAside, ...]
    cut: int


def replay(open_unit: OpenUnit, check: Check, clock: Clock) -> Replayed:
    """Try again what was set aside, and take what passes now; each in a transaction of its own."""
    with open_unit() as unit:
        waiting = tuple(unit.quarantine.kept(InputKind.INTEL))
    counts, taken, cut, tried = AddCounts(), 0, 0, 0
    refused: list[SetAside] = []
    for kept in waiting:
        if not kept.item.payload or len(kept.item.payload) >= PAYLOAD_LIMIT:
            cut += 1
            continue
        objects, faults = check(kept.feed, kept.item)
        tried += 1
        feed, at = kept.feed or kept.item.source, clock()
        with open_unit() as unit:
            timely, early = _not_from_the_future(objects, feed, at)
            objects, foreign = _by_their_makers(unit, timely, feed)
            faults = (*faults, *early, *foreign)
            brought = unit.intel.add(objects, feed=feed[:256], at=at)
            if faults:
                unit.quarantine.refused_again(kept.number, faults[0], at=at)
            else:
                unit.quarantine.taken(kept.number, at=at)
            if brought.objects and kept.feed:
                unit.feeds.delivered(kept.feed, brought)
            unit.commit()
        counts += brought
        taken += not faults
        refused.extend(faults)
    return Replayed(tried=tried, taken=taken, counts=counts, refused=tuple(refused), cut=cut)

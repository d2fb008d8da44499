"""Collect: take intel in, every good object once, every bad one set aside."""

from dataclasses import dataclass

from huntonce.models.intel import AddCounts
from huntonce.models.ports import Clock, IntelSource, OpenUnit
from huntonce.models.setaside import SetAside


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What a pull brought.

    Attributes:
        batches: Pages or files read.
        cursor: Where the next pull starts; None where the source has none or did not finish.
    """

    feed: str
    batches: int
    counts: AddCounts
    set_aside: tuple[SetAside, ...]
    cursor: str | None


def collect(source: IntelSource, open_unit: OpenUnit, clock: Clock) -> Collected:
    """Pull a source from its stored cursor; each batch is kept in a transaction of its own.

    The cursor is stored with the last batch of a complete pull only, so that a pull which was
    interrupted starts again where the last complete one ended and loses nothing; what it brings
    twice is a duplicate.

    Raises:
        ConnectorError: The source failed; what came before stands.
    """
    with open_unit() as unit:
        cursor = unit.intel.cursor(source.name)
    counts, batches, last = AddCounts(), 0, None
    refused: list[SetAside] = []
    for batch in source.pull(cursor):
        with open_unit() as unit:
            counts += unit.intel.add(batch.objects, feed=source.name, at=clock())
            unit.set_aside.add(batch.set_aside, at=clock())
            if batch.cursor is not None:
                unit.intel.set_cursor(source.name, batch.cursor)
                last = batch.cursor
            unit.commit()
        refused.extend(batch.set_aside)
        batches += 1
    return Collected(
        feed=source.name, batches=batches, counts=counts, set_aside=tuple(refused), cursor=last
    )

"""Measure: every number of the programme for a span of time, and the things it was counted from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from huntonce.models.metrics.detections import detection_numbers, detection_tables
from huntonce.models.metrics.gaps import gap_numbers, gap_tables
from huntonce.models.metrics.hunting import hunt_numbers
from huntonce.models.metrics.learning import loop_numbers, yields
from huntonce.models.metrics.number import Number, Table
from huntonce.models.metrics.records import EVER, Period, Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The numbers and tables of one span of time, by name."""

    period: Period
    numbers: Mapping[str, Number]
    tables: Mapping[str, Table]

    def __getitem__(self, name: str) -> float | None:
        """The value of a number."""
        return self.numbers[name].value


def measure(records: Records, period: Period = EVER) -> Measures:
    """All that the records say of a span of time."""
    return Measures(
        period=period,
        numbers={
            **gap_numbers(records, period),
            **detection_numbers(records, period),
            **hunt_numbers(records, period),
            **loop_numbers(records, period),
        },
        tables={
            **gap_tables(records, period),
            **detection_tables(records, period),
            **yields(records, period),
        },
    )


def flat(measures: Measures) -> Iterable[tuple[str, Sequence[object]]]:
    """Every number, then every cell of every table, as (name, values) for a flat file."""
    for name, number in measures.numbers.items():
        yield name, (number.value,)
    for name, table in measures.tables.items():
        for row in table.rows:
            yield name, row

"""A SIEM that remembers its probes: the same answers, and only new hours are asked for."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typing_extensions import override

from huntonce.connectors.siem.answers import Memory
from huntonce.connectors.siem.memory import MemorySiem
from huntonce.connectors.siem.remembering import RememberingSiem
from huntonce.models.errors import ConnectorError
from huntonce.models.ids import digest
from huntonce.models.query import (
    COUNT_SCHEMA,
    FieldWant,
    Revision,
    SearchResult,
    SigmaSearch,
    count_by_hour,
)
from huntonce.models.windows import Window
from tests.support.builders import SECURITY, T0
from tests.support.kits import HOSTS, process, quiet_day, updated

DAY = timedelta(days=1)
MIDNIGHT = T0.replace(hour=0)
WANTS = (FieldWant(channel=SECURITY, event_id=4688, fields=("CommandLine", "NewProcessName")),)
SEARCH = SigmaSearch(
    name="processes",
    logsource={"product": "windows", "service": "security"},
    detection={"selection": {"EventID": 4688}, "condition": "selection"},
)


class NamedSiem(MemorySiem):
    """Names the content of each day, and counts what it is asked."""

    def __init__(self, events: Sequence[dict[str, Any]] = ()) -> None:
        self.asked: list[tuple[str, Window]] = []
        self.wanted: list[tuple[FieldWant, ...]] = []
        super().__init__(events)

    @override
    def revisions(self, window: Window) -> Sequence[Revision]:
        found = []
        day = window.start.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < window.end:
            span = Window(day, day + DAY)
            held = super().inventory(span)
            if held.num_rows:
                found.append(Revision(span=span, mark=digest(str(held.to_pylist()))))
            day += DAY
        return tuple(found)

    @override
    def inventory(self, window: Window) -> pa.Table:
        self.asked.append(("inventory", window))
        return super().inventory(window)

    @override
    def field_fill(self, window: Window, wants: Sequence[FieldWant]) -> pa.Table:
        self.asked.append(("fill", window))
        self.wanted.append(tuple(wants))
        return super().field_fill(window, wants)

    @override
    def counts(self, query: SigmaSearch, window: Window) -> pa.Table:
        self.asked.append(("counts", window))
        return super().counts(query, window)

    def asked_for(self) -> list[tuple[str, Window]]:
        asked, self.asked = self.asked, []
        return asked


def days(count: int, first: int = 0) -> list[dict[str, Any]]:
    return [
        event
        for day in range(first, first + count)
        for event in quiet_day(start=MIDNIGHT + day * DAY)
    ]


def span(first: float, last: float) -> Window:
    return Window(MIDNIGHT + first * DAY, MIDNIGHT + last * DAY)


PROBES: dict[str, Callable[[Any, Window], pa.Table]] = {
    "inventory": lambda siem, window: siem.inventory(window),
    "fill": lambda siem, window: siem.field_fill(window, WANTS),
    "counts": lambda siem, window: siem.counts(SEARCH, window),
    "lags": lambda siem, window: siem.lags(window),
}


def rows(table: pa.Table) -> list[str]:
    return sorted(str(row) for row in table.to_pylist())


@pytest.fixture
def siem() -> NamedSiem:
    return NamedSiem(days(3))


@pytest.mark.parametrize("probe", PROBES.values(), ids=PROBES)
@pytest.mark.parametrize(
    "window",
    [span(0, 4), span(1, 3), span(-1, 4.5), span(0.5, 2.25), span(1.51, 1.52), span(7, 8)],
    ids=["all", "whole days", "more", "parts of days", "minutes", "nothing"],
)
def test_the_answers_are_those_of_the_siem_the_first_time_and_the_next(
    tmp_path: Path, siem: NamedSiem, probe: Callable[[Any, Window], pa.Table], window: Window
) -> None:
    remembering = RememberingSiem(siem, tmp_path)
    expected = rows(probe(siem, window))

    assert rows(probe(remembering, window)) == expected
    assert rows(probe(remembering, window)) == expected
    assert rows(probe(RememberingSiem(siem, tmp_path), window)) == expected


@pytest.mark.parametrize("name", ["inventory", "fill", "counts"])
def test_what_was_asked_once_is_asked_no_more(tmp_path: Path, siem: NamedSiem, name: str) -> None:
    PROBES[name](RememberingSiem(siem, tmp_path), span(0, 4))
    siem.asked_for()

    PROBES[name](RememberingSiem(siem, tmp_path), span(0, 4))
    PROBES[name](RememberingSiem(siem, tmp_path), span(1, 3))

    assert siem.asked_for() == []


@pytest.mark.parametrize("name", ["inventory", "counts"])
def test_hours_that_follow_each_other_are_one_question(
    tmp_path: Path, siem: NamedSiem, name: str
) -> None:
    PROBES[name](RememberingSiem(siem, tmp_path), span(0, 4))

    assert siem.asked_for() == [(name, span(0, 3))]


def test_only_a_new_day_is_asked_for(tmp_path: Path, siem: NamedSiem) -> None:
    remembering = RememberingSiem(siem, tmp_path)
    remembering.inventory(span(0, 4))
    siem.asked_for()
    siem.add(days(1, first=4))

    table = remembering.inventory(span(0, 5))

    assert siem.asked_for() == [("inventory", span(4, 5))]
    assert rows(table) == rows(siem.inventory(span(0, 5)))


def test_late_events_of_an_old_day_are_seen(tmp_path: Path, siem: NamedSiem) -> None:
    remembering = RememberingSiem(siem, tmp_path)
    for probe in PROBES.values():
        probe(remembering, span(0, 4))
    siem.asked_for()
    siem.add([process("LATE", MIDNIGHT + 1.3 * DAY, "late.exe"), updated("LATE", MIDNIGHT + DAY)])

    for name, probe in PROBES.items():
        assert rows(probe(remembering, span(0, 4))) == rows(probe(siem, span(0, 4))), name
    assert ("inventory", span(1, 2)) in siem.asked_for()


def test_a_siem_that_does_not_name_its_content_is_asked_each_time(tmp_path: Path) -> None:
    siem = MemorySiem(days(1))
    remembering = RememberingSiem(siem, tmp_path)
    before = remembering.inventory(span(0, 1)).num_rows

    siem.add([process("NEW", MIDNIGHT + 0.5 * DAY, "new.exe")])

    assert remembering.inventory(span(0, 1)).num_rows == before + 1
    assert list(tmp_path.iterdir()) == []


def test_what_comes_in_while_it_is_asked_is_not_kept_under_the_old_name(
    tmp_path: Path, siem: NamedSiem, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = siem.inventory

    def slow(window: Window) -> pa.Table:
        siem.add([process("MEANWHILE", MIDNIGHT + 0.5 * DAY, "new.exe")])
        return ask(window)

    monkeypatch.setattr(siem, "inventory", slow)
    RememberingSiem(siem, tmp_path).inventory(span(0, 1))

    assert list(tmp_path.iterdir()) == []


def test_a_memory_that_is_damaged_or_cannot_be_written_costs_only_time(
    tmp_path: Path, siem: NamedSiem
) -> None:
    remembering = RememberingSiem(siem, tmp_path)
    expected = rows(remembering.inventory(span(0, 4)))
    for path in tmp_path.iterdir():
        path.write_bytes(b"not an answer")
    file = tmp_path / "file"
    file.touch()

    assert rows(remembering.inventory(span(0, 4))) == expected
    assert rows(RememberingSiem(siem, file).inventory(span(0, 4))) == expected


def test_only_fields_that_were_never_asked_for_are_asked_for(
    tmp_path: Path, siem: NamedSiem
) -> None:
    more = (
        FieldWant(
            channel=SECURITY, event_id=4688, fields=("CommandLine", "ParentProcessName", "nowhere")
        ),
        FieldWant(channel=SECURITY, event_id=4624, fields=("LogonType",)),
    )
    RememberingSiem(siem, tmp_path).field_fill(span(0, 4), WANTS)
    siem.wanted.clear()

    found = RememberingSiem(siem, tmp_path).field_fill(span(0, 4), more)

    assert {
        (want.event_id, field) for wants in siem.wanted for want in wants for field in want.fields
    } == {(4688, "ParentProcessName"), (4688, "nowhere"), (4624, "LogonType")}
    assert rows(found) == rows(siem.field_fill(span(0, 4), more))


def test_a_fill_that_does_not_tell_what_it_is_about_is_asked_for_anew(
    tmp_path: Path, siem: NamedSiem
) -> None:
    remembering = RememberingSiem(siem, tmp_path)
    expected = rows(remembering.field_fill(span(0, 4), WANTS))
    memory = Memory(tmp_path)
    for path in tmp_path.iterdir():
        table = memory.get(path.stem)
        assert table is not None
        memory.put(path.stem, table.replace_schema_metadata({b"held": b"nonsense"}))

    assert rows(remembering.field_fill(span(0, 4), WANTS)) == expected


def test_a_memory_that_is_written_for_long_prunes_itself(tmp_path: Path) -> None:
    memory = Memory(tmp_path, max_files=3)
    for number in range(600):
        memory.put(f"k{number}", COUNT_SCHEMA.empty_table())

    assert len(list(tmp_path.iterdir())) < 300


def test_a_memory_stays_within_its_bounds(tmp_path: Path) -> None:
    memory = Memory(tmp_path, max_files=3)
    for number in range(9):
        memory.put(f"k{number}", COUNT_SCHEMA.empty_table())

    memory.prune()

    assert len(list(tmp_path.iterdir())) == 3


def test_counting_by_hand_is_what_a_siem_counts(siem: NamedSiem) -> None:
    window = span(0.3, 1.7)
    found: SearchResult = siem.search(SEARCH, window)

    assert rows(count_by_hour(found)) == rows(siem.counts(SEARCH, window))
    assert set(siem.counts(SEARCH, window).column("host").to_pylist()) == set(HOSTS)


def test_searches_asked_together_are_remembered_one_by_one(tmp_path: Path, siem: NamedSiem) -> None:
    other = SigmaSearch(
        name="none", logsource=SEARCH.logsource,
        detection={"selection": {"EventID": 1}, "condition": "selection"},
    )  # fmt: skip
    window = span(0, 2.25)
    expected = [rows(siem.counts(query, window)) for query in (SEARCH, other)]
    RememberingSiem(siem, tmp_path).counts(SEARCH, span(0, 1))
    siem.asked_for()
    remembering = RememberingSiem(siem, tmp_path)

    for _ in range(2):
        found = remembering.counts_of([SEARCH, other], window)
        assert [rows(table) for table in found if isinstance(table, pa.Table)] == expected
    days_asked = [asked for what, asked in siem.asked_for() if what == "counts"]

    # The known day is not asked again; what cuts a day is asked anew each time.
    assert days_asked.count(span(0, 2)) == 1
    assert days_asked.count(span(1, 2)) == 1
    assert days_asked.count(span(2, 2.25)) == 4


def test_a_search_that_is_refused_is_neither_kept_nor_the_fault_of_others(
    tmp_path: Path, siem: NamedSiem
) -> None:
    wrong = SigmaSearch(name="wrong", logsource={"product": "linux"}, detection={})
    remembering = RememberingSiem(siem, tmp_path)

    for _ in range(2):
        good, bad = remembering.counts_of([SEARCH, wrong], span(0, 3))
        assert isinstance(good, pa.Table)
        assert rows(good) == rows(siem.counts(SEARCH, span(0, 3)))
        assert isinstance(bad, ConnectorError)


def test_an_answer_over_many_days_serves_each_of_them(tmp_path: Path, siem: NamedSiem) -> None:
    expected = rows(siem.inventory(span(1, 2)))
    RememberingSiem(siem, tmp_path).inventory(span(0, 3))
    siem.asked_for()

    assert rows(RememberingSiem(siem, tmp_path).inventory(span(1, 2))) == expected
    assert siem.asked_for() == []

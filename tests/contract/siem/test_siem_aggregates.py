"""What every SIEM counts: the same numbers from each, over the same members as the contract."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from huntonce.models.errors import TerminalError
from huntonce.models.ports import Siem
from huntonce.models.query import (
    COUNT_SCHEMA,
    FILL_SCHEMA,
    INVENTORY_SCHEMA,
    LAG_SCHEMA,
    FieldWant,
    count_by_hour,
)
from huntonce.models.windows import Window
from tests.contract.siem import test_siem_contract as contract
from tests.contract.siem.test_siem_contract import SCHTASKS, START, SYSMON, Open, event, search

open_siem = contract.open_siem

HOUR, TICK = timedelta(hours=1), timedelta(microseconds=1)
MOMENT = timedelta(milliseconds=1)
"""To this the inventory and fill keep a window's edges; an index may hold no finer times."""
WINDOW = Window(START, START + 3 * HOUR)
TOOL = "C:\\a\\schtasks.exe"
EVENTS = [
    event(0, "ws1", SYSMON, 1, Image=TOOL, CommandLine="a", User="eve"),
    event(1, "ws1", "Security", 4688, NewProcessName=TOOL, CommandLine="b"),
    event(2, "ws1", SYSMON, 1, Image=TOOL, CommandLine="-"),
    event(59.5, "ws2", SYSMON, 1, Image=TOOL, CommandLine="d"),
    event(60, "ws2", SYSMON, 1, Image=TOOL),
    event(61, "ws2", SYSMON, 1, Image="C:\\a\\other.exe", CommandLine="f"),
    event(62, "ws3", "Security", 4624, LogonType="3"),
    event(180, "ws1", SYSMON, 1, Image=TOOL, CommandLine="late"),
]
ANY_TOOL = {("WS1", 0): 3, ("WS2", 0): 1, ("WS2", 1): 1}


@pytest.fixture
def siem(open_siem: Open) -> Siem:
    return open_siem(EVENTS)


def counted(table: pa.Table) -> dict[tuple[str, int], int]:
    """Host and hours since the start to events; each only once."""
    assert table.schema.equals(COUNT_SCHEMA)
    rows = [((r["host"], (r["hour"] - START) // HOUR), r["events"]) for r in table.to_pylist()]
    assert len({key for key, _ in rows}) == len(rows)
    return dict(rows)


def fill(siem: Siem, window: Window, *fields: str, event_id: int = 1) -> list[tuple[Any, ...]]:
    table = siem.field_fill(window, [FieldWant(channel=SYSMON, event_id=event_id, fields=fields)])
    assert table.schema.equals(FILL_SCHEMA)
    return sorted(
        tuple(r[k] for k in ("host", "field", "filled", "events")) for r in table.to_pylist()
    )


def test_counts_are_a_row_a_host_and_hour_over_every_place_of_the_log_source(siem: Siem) -> None:
    assert counted(siem.counts(search(SCHTASKS), WINDOW)) == ANY_TOOL


@pytest.mark.parametrize(
    "detection",
    [
        SCHTASKS,
        {"s": {"User": None}, "condition": "s"},
        {"s": SCHTASKS["s"], "f": {"CommandLine|contains": "b"}, "condition": "s and not f"},
        {"s": {"Nowhere": "x"}, "condition": "s"},
        {"s": {"Nowhere": None, "CommandLine": "-"}, "condition": "s"},
    ],
)  # fmt: skip
def test_counts_count_what_a_search_finds(siem: Siem, detection: dict[str, object]) -> None:
    asked = search(detection)

    counts = counted(siem.counts(asked, WINDOW))

    assert counts == counted(count_by_hour(siem.search(asked, WINDOW)))


def test_an_event_without_the_field_counts_as_one_without_it(siem: Siem) -> None:
    detection: dict[str, object] = {"s": {"CommandLine": None}, "condition": "s"}

    assert counted(siem.counts(search(detection), WINDOW)) == {("WS2", 1): 1}


def test_a_limit_of_rows_does_not_cut_a_count(siem: Siem) -> None:
    assert counted(siem.counts(search(SCHTASKS, limit=1), WINDOW)) == ANY_TOOL


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (timedelta(0), TICK, {("WS1", 0): 1}),
        (-HOUR, timedelta(0), {}),
        (TICK, HOUR, {("WS1", 0): 2, ("WS2", 0): 1}),
        (HOUR, HOUR + TICK, {("WS2", 1): 1}),
        (HOUR / 2, 3 * HOUR, {("WS2", 0): 1, ("WS2", 1): 1}),
        (3 * HOUR, 3 * HOUR + TICK, {("WS1", 3): 1}),
    ],
)
def test_a_count_is_of_the_half_open_window_under_its_clock_hours(
    siem: Siem, start: timedelta, end: timedelta, expected: dict[tuple[str, int], int]
) -> None:
    window = Window(START + start, START + end)

    assert counted(siem.counts(search(SCHTASKS), window)) == expected


def test_the_inventory_is_of_the_half_open_window(siem: Siem) -> None:
    table = siem.inventory(Window(START + MOMENT, START + HOUR + MOMENT))

    assert table.schema.equals(INVENTORY_SCHEMA)
    assert [
        (r["host"], r["event_id"], (r["hour"] - START) // HOUR, r["events"])
        for r in table.to_pylist()
    ] == [("WS1", 1, 0, 1), ("WS1", 4688, 0, 1), ("WS2", 1, 0, 1), ("WS2", 1, 1, 1)]
    assert all(r["first"] == r["last"] for r in table.to_pylist())


def test_fill_is_of_the_half_open_window_and_a_missing_field_is_none_filled(siem: Siem) -> None:
    window = Window(START, START + HOUR + MOMENT)

    assert fill(siem, window, "CommandLine", "User", "Nowhere") == [
        ("WS1", "CommandLine", 1, 2),
        ("WS1", "Nowhere", 0, 2),
        ("WS1", "User", 1, 2),
        ("WS2", "CommandLine", 1, 2),
        ("WS2", "Nowhere", 0, 2),
        ("WS2", "User", 0, 2),
    ]
    assert fill(siem, Window(START + MOMENT, START + HOUR), "User") == [
        ("WS1", "User", 0, 1),
        ("WS2", "User", 0, 1),
    ]


def test_where_nothing_is_there_no_row_stands_for_it(siem: Siem) -> None:
    before = Window(START - HOUR, START)
    linux = search(SCHTASKS, product="linux", category="process_creation")

    assert counted(siem.counts(search(SCHTASKS), before)) == {}
    assert counted(siem.counts(linux, WINDOW)) == {}
    assert siem.inventory(before).equals(INVENTORY_SCHEMA.empty_table())
    assert fill(siem, before, "User") == []
    assert fill(siem, WINDOW, "User", event_id=9_999) == []


def test_an_empty_siem_counts_nothing(open_siem: Open) -> None:
    siem = open_siem([])

    assert siem.counts(search(SCHTASKS), WINDOW).equals(COUNT_SCHEMA.empty_table())
    assert siem.lags(WINDOW).equals(LAG_SCHEMA.empty_table())


def test_lag_is_known_of_all_events_where_the_siem_stamps_them_and_else_of_none(
    siem: Siem,
) -> None:
    # The events themselves do not say when they were taken in.
    held = sum(siem.inventory(WINDOW)["events"].to_pylist())
    lags = siem.lags(WINDOW)

    assert lags.schema.equals(LAG_SCHEMA)
    assert sum(lags["events"].to_pylist()) in {0, held}
    assert all(late >= 0 for late in lags["p95"].to_pylist())


def test_what_cannot_be_counted_as_meant_is_refused(siem: Siem) -> None:
    with pytest.raises(TerminalError):
        siem.counts(search({"s": {"Image|re": "(?<=a)b"}, "condition": "s"}), WINDOW)

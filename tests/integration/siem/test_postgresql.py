"""What a real PostgreSQL is asked, how far, and how its faults are told."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from pydantic import ValidationError

from huntonce.connectors.siem.memory import MemorySiem
from huntonce.connectors.siem.warehouse.database import TooSlowError
from huntonce.connectors.siem.warehouse.settings import PostgresSettings
from huntonce.connectors.siem.warehouse.siem import PostgresSiem
from huntonce.models.errors import TerminalError, TransientError, UnsupportedError
from huntonce.models.ports import Siem
from huntonce.models.query import FieldWant, SigmaSearch
from huntonce.models.windows import Window
from tests.support.warehouses import Warehouse, own_time

pytestmark = [pytest.mark.integration, pytest.mark.postgres]

SYSMON = "Microsoft-Windows-Sysmon/Operational"
START = datetime(2026, 5, 1, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=1))
HARD = "ab\"\\{}[]:,%_*?'&<>\n \t/;éÉß\u017f\u212a\u0130#$"


def process(at: int, **fields: object) -> dict[str, Any]:
    moment = START + timedelta(seconds=at)
    return {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "P"}},
                "EventID": 1,
                "TimeCreated": {"#attributes": {"SystemTime": moment.isoformat()}},
                "EventRecordID": at,
                "Channel": SYSMON,
                "Computer": "ws1.corp.example",
            },
            "EventData": fields,
        }
    }


def asked(detection: dict[str, object], **more: Any) -> SigmaSearch:
    source = {"category": "process_creation", "product": "windows"}
    return SigmaSearch(name="t", logsource=source, detection=detection, **more)


def one(**item: object) -> dict[str, object]:
    return {"s": {name.replace("__", "|"): value for name, value in item.items()}, "condition": "s"}


Fill = Callable[[list[dict[str, Any]]], Siem]


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        ("C:\\Temp\\a b.exe", "c:\\temp\\A B.EXE"),
        ('say "no" -- \';DROP TABLE events', 'SAY "no" -- \';DROP table EVENTS'),
        ("100%_sure%s{}", "100%_SURE%s{}"),
        ("Müller ÉTÉ", "mÜLLER été"),
        ("\u212aelvin", "kelvin"),
        ("a\tb\nc", "A\tB\nC"),
        ([1, {"x": "C:\\y"}], '[1,{"x":"C:\\\\y"}]'),
        (7, "7"),
    ],
)
def test_a_value_is_found_however_it_is_written_down(
    in_postgresql: Fill, stored: object, wanted: str
) -> None:
    events = [process(1, CommandLine=stored), process(2, CommandLine="other")]
    detection = one(CommandLine__contains=wanted.replace("\\", "\\\\").replace("*", "\\*"))

    found = in_postgresql(events).search(asked(detection), WINDOW).table
    known = MemorySiem(events).search(asked(detection), WINDOW).table

    assert found.column("record_id").to_pylist() == [1]
    assert found.equals(known)


VALUES = st.text(HARD, min_size=1, max_size=6)


@pytest.fixture(scope="module")
def hard(in_postgresql: Fill) -> tuple[Siem, Siem]:
    texts = [HARD, HARD.upper(), HARD.lower(), HARD[::-1], "".join(sorted(HARD)), "ab", "AB %_"]
    texts += [HARD[at : at + 5] for at in range(len(HARD) - 5)]
    events = [process(at, CommandLine=text) for at, text in enumerate(texts)]
    return MemorySiem(events), in_postgresql(events)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(VALUES, min_size=1, max_size=3),
    modifier=st.sampled_from(["", "|contains", "|startswith", "|endswith", "|contains|cased"]),
    condition=st.sampled_from(["s", "not s", "s and not t", "s or t"]),
)
def test_whatever_is_asked_for_the_server_keeps_back_nothing(
    hard: tuple[Siem, Siem], values: list[str], modifier: str, condition: str
) -> None:
    detection: dict[str, object] = {
        "s": {f"CommandLine{modifier}": values},
        "t": {"CommandLine|contains": values[0][:1], "EventID": 1},
        "condition": condition,
    }
    if "t" not in condition.split():
        del detection["t"]
    ours, theirs = hard

    known = ours.search(asked(detection), WINDOW).table
    assert theirs.search(asked(detection), WINDOW).table.equals(known)


def test_the_server_narrows_down_and_the_query_says_how(in_postgresql: Fill) -> None:
    detection = one(CommandLine__contains="O'Brien")

    (query,) = in_postgresql([process(1, CommandLine="x")]).search(asked(detection), WINDOW).queries

    assert "LIKE '%o%brien%'" in query
    assert "2026-05-01" in query


def test_a_field_is_present_though_the_newest_events_lack_it(in_postgresql: Fill) -> None:
    events = [process(1, **{"Parent User": "eve"})]
    events += [process(at, CommandLine="ParentUser", Note='"Absent"') for at in range(2, 250)]
    detection = {
        "s": {"ParentUser": "eve"},
        "f": {"Absent": "x", "Nowhere": "y"},
        "condition": "s and not f",
    }

    result = in_postgresql(events).search(asked(detection), WINDOW)

    assert result.table.column("record_id").to_pylist() == [1]
    assert result.absent_fields == ("Absent", "Nowhere")


def test_pages_are_put_together(warehouse: Warehouse) -> None:
    events = [process(at, CommandLine=f"run {at % 3}") for at in range(40)]
    table = warehouse.load((event, own_time(event)) for event in [*events, *events[:5]])
    want = FieldWant(channel=SYSMON, event_id=1, fields=("CommandLine", "Image"))

    siem = warehouse.siem(table, page_size=7)
    found = siem.search(asked(one(CommandLine__endswith="1")), WINDOW)
    fill = siem.field_fill(WINDOW, [want]).to_pylist()

    assert found.table.column("record_id").to_pylist() == list(range(1, 40, 3))
    assert {(row["field"], row["filled"], row["events"]) for row in fill} == {
        ("CommandLine", 45, 45),
        ("Image", 0, 45),
    }


def test_a_search_that_would_read_too_much_is_refused(warehouse: Warehouse) -> None:
    events = [process(at, CommandLine="run") for at in range(12)]
    siem = warehouse.siem(warehouse.load((e, own_time(e)) for e in events), max_examined=10)

    with pytest.raises(UnsupportedError, match="more than 10 events"):
        siem.search(asked(one(CommandLine__re="r.n")), WINDOW)


def test_what_takes_too_long_is_given_up_on_the_server(warehouse: Warehouse) -> None:
    with psycopg.connect(warehouse.url) as connection:
        connection.execute(
            "CREATE VIEW slow AS SELECT now() AS time, pg_sleep(60)::text AS computer,"
            " 'x' AS channel, 1 AS event_id, '{}'::jsonb AS event"
        )

    with pytest.raises(TooSlowError, match=r"0\.2 s"):
        warehouse.siem("slow", timeout=0.2).hosts()

    with psycopg.connect(warehouse.url) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'huntonce'"
            " AND state = 'active' AND datname = current_database()"
        ).fetchone()
    assert left == (0,)


def test_nothing_can_be_written(warehouse: Warehouse) -> None:
    siem = warehouse.siem("events")

    with pytest.raises(TerminalError, match="read-only"):
        siem._database.rows(sql.SQL("CREATE TABLE {} ()").format(sql.Identifier("mine")))


@pytest.mark.parametrize(
    ("change", "fault", "words"),
    [
        ({"table": "gone"}, TerminalError, "gone"),
        ({"table": 'x"; DROP TABLE y; --'}, TerminalError, "does not exist"),
        ({"time_column": "when"}, TerminalError, "when"),
        ({"url": "postgresql://u:hush@127.0.0.1:1/db"}, TransientError, "no answer"),
    ],
)
def test_faults_say_what_to_do_and_no_secret(
    warehouse: Warehouse, change: dict[str, str], fault: type[Exception], words: str
) -> None:
    table = warehouse.load(iter([(process(1), START)]))
    given_ = {"url": warehouse.url, "table": table, **change}
    siem = PostgresSiem(PostgresSettings(**given_))

    with pytest.raises(fault, match=words) as caught:
        siem.extent()

    assert getattr(caught.value, "hint", "")
    assert "hush" not in str(caught.value)


def test_an_account_without_the_right_is_told_so(warehouse: Warehouse) -> None:
    table = warehouse.load(iter([(process(1), START)]))
    with psycopg.connect(warehouse.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(table)))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(table)))
    theirs = warehouse.url.replace("postgres@", f"{table}@", 1)

    try:
        with pytest.raises(TerminalError) as caught:
            PostgresSiem(PostgresSettings(url=theirs, table=table)).hosts()
    finally:
        with psycopg.connect(warehouse.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(table)))

    assert "SELECT" in caught.value.hint


@pytest.mark.parametrize("url", ["mysql://a/b", "postgresql://[::1", "postgresql://h/d?nosuch=1"])
def test_an_address_that_is_none_is_refused_unseen(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        PostgresSettings(url=url)

    assert url not in str(caught.value)

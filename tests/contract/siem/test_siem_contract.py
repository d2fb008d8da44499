"""What every SIEM does: one suite over the lake, the one in memory and real servers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest

from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.lake.shapes import normalise
from huntonce.connectors.siem.memory import MemorySiem
from huntonce.models.errors import TerminalError, TransientError
from huntonce.models.finding import EventRef
from huntonce.models.ports import Siem
from huntonce.models.query import (
    COUNT_SCHEMA,
    EVENT_COLUMNS,
    FILL_SCHEMA,
    INVENTORY_SCHEMA,
    FieldWant,
    SigmaSearch,
)
from huntonce.models.windows import Window

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=2))
SYSMON = "Microsoft-Windows-Sysmon/Operational"
XML = (
    "<Task><RegistrationInfo><Author>CORP\\eve</Author></RegistrationInfo>"
    "<Actions><Exec><Command>cmd.exe</Command><Arguments>/c x</Arguments></Exec></Actions></Task>"
)


def event(
    minutes: float, host: str, channel: str, event_id: int, **fields: object
) -> dict[str, Any]:
    moment = START + timedelta(minutes=minutes)
    return {
        "Event": {
            "System": {
                "Provider": {"#attributes": {"Name": "P"}},
                "EventID": event_id,
                "TimeCreated": {"#attributes": {"SystemTime": moment.isoformat()}},
                "EventRecordID": int(minutes * 100) + 1,
                "Channel": channel,
                "Computer": f"{host}.corp.example",
            },
            "EventData": fields,
        }
    }


EVENTS = [
    event(1, "ws1", SYSMON, 1, Image="C:\\a\\schtasks.exe", CommandLine="schtasks /create"),
    event(2, "ws2", "Security", 4688, NewProcessName="C:\\b\\SCHTASKS.EXE", ProcessId="0x4",
          NewProcessId="0x8", CommandLine="", SubjectUserName="bob", MandatoryLabel="S-1-16-12288"),
    event(3, "ws2", "Security", 4688, NewProcessName="C:\\b\\cmd.exe", CommandLine="-"),
    event(4, "ws1", "Security", 4698, TaskName="\\T", TaskContent=XML, SubjectUserName="eve"),
    event(65, "ws1", SYSMON, 3, Image="C:\\a\\x.exe", DestinationIp="10.1.2.3"),
    event(60 * 30, "ws3", SYSMON, 1, Image="C:\\c\\schtasks.exe", CommandLine="schtasks /run"),
    event(60 * 49, "ws4", SYSMON, 1, Image="C:\\late\\schtasks.exe"),
]  # fmt: skip

Open = Callable[[list[dict[str, Any]]], Siem]


@pytest.fixture(
    params=[
        "lake",
        "memory",
        "splunk",
        "sentinel",
        "sentinel_xml",
        pytest.param("opensearch", marks=pytest.mark.integration),
        pytest.param("postgresql", marks=[pytest.mark.integration, pytest.mark.postgres]),
    ]
)
def open_siem(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "memory":
        return MemorySiem
    if request.param in {"opensearch", "postgresql", "sentinel", "sentinel_xml", "splunk"}:
        found: Open = request.getfixturevalue(f"in_{request.param}")
        return found

    def lake(events: list[dict[str, Any]]) -> Siem:
        source = tmp_path / "events.jsonl"
        source.write_bytes(b"\n".join(orjson.dumps(item) for item in events))
        load_paths(tmp_path / "lake", [source])
        return Lake(tmp_path / "lake")

    return lake


@pytest.fixture
def siem(open_siem: Open) -> Siem:
    return open_siem(EVENTS)


def search(
    detection: dict[str, object], *, fields: tuple[str, ...] = (), limit: int = 100, **source: str
) -> SigmaSearch:
    logsource = source or {"category": "process_creation", "product": "windows"}
    return SigmaSearch(
        name="probe", logsource=logsource, detection=detection, fields=fields, limit=limit
    )


SCHTASKS: dict[str, object] = {"s": {"Image|endswith": "\\schtasks.exe"}, "condition": "s"}
RULE = """
title: Schtasks
logsource: {category: process_creation, product: windows}
detection:
    s: {Image|endswith: '\\schtasks.exe'}
    condition: s
"""


def test_an_empty_siem_answers_everything_with_nothing(open_siem: Open) -> None:
    siem = open_siem([])
    want = FieldWant(channel="Security", event_id=4688, fields=("CommandLine",))

    result = siem.search(search(SCHTASKS), WINDOW)

    assert siem.extent() is None
    assert siem.hosts() == frozenset()
    assert siem.inventory(WINDOW).equals(INVENTORY_SCHEMA.empty_table())
    assert siem.field_fill(WINDOW, [want]).equals(FILL_SCHEMA.empty_table())
    assert (len(result.table), result.absent_source) == (0, True)
    assert siem.originals([]) == {}


def test_it_has_a_name_and_says_what_it_can(siem: Siem) -> None:
    assert siem.name
    assert siem.capabilities().query_language


def test_the_extent_ends_just_after_the_last_event(siem: Siem) -> None:
    extent = siem.extent()

    assert extent is not None
    assert extent.start == START + timedelta(minutes=1)
    assert extent.end == START + timedelta(hours=49, microseconds=1)


def test_hosts_are_short_and_upper_case_and_of_all_time(siem: Siem) -> None:
    assert siem.hosts() == {"WS1", "WS2", "WS3", "WS4"}


def test_the_inventory_counts_each_clock_hour(siem: Siem) -> None:
    table = siem.inventory(WINDOW)

    assert table.schema.equals(INVENTORY_SCHEMA)
    rows = {
        (row["host"], row["channel"], row["event_id"], row["hour"]): row
        for row in table.to_pylist()
    }
    assert rows["WS2", "Security", 4688, START]["events"] == 2
    assert rows["WS2", "Security", 4688, START]["first"] == START + timedelta(minutes=2)
    assert rows["WS1", SYSMON, 3, START + timedelta(hours=1)]["events"] == 1
    assert sum(row["events"] for row in rows.values()) == 6


def test_fill_counts_what_is_not_empty(siem: Siem) -> None:
    want = FieldWant(
        channel="security", event_id=4688, fields=("CommandLine", "NewProcessName", "Nowhere")
    )

    table = siem.field_fill(WINDOW, [want])

    assert table.schema.equals(FILL_SCHEMA)
    assert [(row["field"], row["filled"], row["events"]) for row in table.to_pylist()] == [
        ("CommandLine", 0, 2),
        ("NewProcessName", 2, 2),
        ("Nowhere", 0, 2),
    ]


def test_a_log_source_is_searched_in_every_place_that_records_it(siem: Siem) -> None:
    fields = ("Image", "User", "ProcessId", "ParentProcessId", "IntegrityLevel", "Nowhere")

    result = siem.search(search(SCHTASKS, fields=fields), WINDOW)

    assert result.table.column_names == [*(name for name, _ in EVENT_COLUMNS), *fields]
    assert result.table.schema.field("time").type == pa.timestamp("us", tz="UTC")
    rows = result.table.to_pylist()
    assert [row["host"] for row in rows] == ["WS1", "WS2", "WS3"]
    assert (rows[1]["Image"], rows[1]["User"]) == ("C:\\b\\SCHTASKS.EXE", "bob")
    assert (rows[1]["ProcessId"], rows[1]["ParentProcessId"]) == ("0x8", "0x4")
    assert rows[1]["IntegrityLevel"] == "High"
    assert rows[1]["Nowhere"] is None
    assert len(result.queries) == 2


def test_how_a_time_was_got_can_be_asked_for(siem: Siem) -> None:
    result = siem.search(search(SCHTASKS, fields=("@time_note", "@source")), WINDOW)

    assert set(result.table.column("@time_note").to_pylist()) == {"utc"}
    assert result.table.column("@source").null_count == 0


def test_a_rule_is_the_same_search(siem: Siem) -> None:
    by_rule = siem.search_rule(RULE, WINDOW, ("Image",))

    assert by_rule.table.equals(siem.search(search(SCHTASKS, fields=("Image",)), WINDOW).table)


def test_a_window_is_half_open(siem: Siem) -> None:
    first = START + timedelta(minutes=1)
    moment = timedelta(microseconds=1)

    assert len(siem.search(search(SCHTASKS), Window(first, first + moment)).table) == 1
    assert siem.search(search(SCHTASKS), Window(first - moment, first)).absent_source


def counted(siem: Siem, query: SigmaSearch, window: Window) -> dict[tuple[str, datetime], int]:
    table = siem.counts(query, window)
    assert table.schema.equals(COUNT_SCHEMA)
    return {(row["host"], row["hour"]): row["events"] for row in table.to_pylist()}


def test_matches_are_counted_by_host_and_clock_hour(siem: Siem) -> None:
    detection: dict[str, object] = {"s": {"Image|contains": "\\"}, "condition": "s"}

    assert counted(siem, search(detection), WINDOW) == {
        ("WS1", START): 1,
        ("WS2", START): 2,
        ("WS3", START + timedelta(hours=30)): 1,
    }


def test_a_count_is_of_a_half_open_window(siem: Siem) -> None:
    first, moment = START + timedelta(minutes=1), timedelta(microseconds=1)

    assert counted(siem, search(SCHTASKS), Window(first, first + moment)) == {("WS1", START): 1}
    assert counted(siem, search(SCHTASKS), Window(first - moment, first)) == {}


@pytest.mark.parametrize("field", ["Image", "Nowhere"])
def test_a_count_without_matches_is_empty(siem: Siem, field: str) -> None:
    detection: dict[str, object] = {"s": {field: "no such value"}, "condition": "s"}

    assert counted(siem, search(detection), WINDOW) == {}


def test_a_missing_field_is_counted_as_no_value(siem: Siem) -> None:
    detection: dict[str, object] = {
        "s": {"Image|endswith": "\\schtasks.exe"},
        "f": {"Nowhere": "x"},
        "condition": "s and not f",
    }

    assert counted(siem, search(detection), WINDOW) == counted(siem, search(SCHTASKS), WINDOW)


def test_a_cut_result_says_so_and_holds_the_first(siem: Siem) -> None:
    cut = siem.search(search(SCHTASKS, limit=2), WINDOW)
    whole = siem.search(search(SCHTASKS, limit=3), WINDOW)

    assert (cut.truncated, whole.truncated) == (True, False)
    assert cut.table.equals(whole.table.slice(0, 2).combine_chunks())


def test_a_field_that_no_event_has_is_named_and_an_excluded_one_loses_nothing(siem: Siem) -> None:
    detection: dict[str, object] = {
        "s": {"Image|endswith": "\\schtasks.exe"},
        "f": {"SignatureStatus": "Valid"},
        "condition": "s and not f",
    }

    result = siem.search(search(detection), WINDOW)

    assert result.absent_fields == ("SignatureStatus",)
    assert len(result.table) == 3


def test_a_field_of_other_events_on_the_channel_is_absent_here(siem: Siem) -> None:
    detection: dict[str, object] = {
        "s": {"EventID": 4698, "TaskName|contains": "T"},
        "condition": "s",
    }

    on_channel = siem.search(search(detection, product="windows", service="security"), WINDOW)
    on_process = siem.search(
        search({"s": {"DestinationIp|cidr": "10.0.0.0/8"}, "condition": "s"}), WINDOW
    )

    assert (len(on_channel.table), on_channel.absent_fields) == (1, ())
    assert on_process.absent_fields == ("DestinationIp",)


@pytest.mark.parametrize(
    "source",
    [
        {"product": "windows", "category": "driver_load"},
        {"product": "windows", "service": "ntlm"},
        {"product": "linux", "category": "process_creation"},
    ],
)
def test_a_log_source_without_events_is_absent_not_silent(
    siem: Siem, source: dict[str, Any]
) -> None:
    assert siem.search(search(SCHTASKS, **source), WINDOW).absent_source


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("EventID", 4698),
        ("Channel", "security"),
        ("Provider_Name", "P"),
        ("Computer|startswith", "WS1"),
        ("taskname", "\\T"),
    ],
)
def test_fields_of_the_record_itself_can_be_named(siem: Siem, field: str, value: object) -> None:
    detection: dict[str, object] = {
        "s": {field: value, "TaskName|contains": "T"},
        "condition": "s",
    }

    assert len(siem.search(search(detection, product="windows"), WINDOW).table) == 1


def test_a_like_named_field_of_another_event_does_not_stand_for_the_records_own(
    open_siem: Open,
) -> None:
    named_alike = event(2, "ws1", "Security", 4610, ProviderName="Other")
    siem = open_siem([event(1, "ws1", "Security", 1102, SubjectUserName="eve"), named_alike])
    detection: dict[str, object] = {
        "s": {"EventID": 1102, "Provider_Name": "P"},
        "condition": "s",
    }

    found = siem.search(search(detection, product="windows", service="security"), WINDOW)

    assert found.table.column("event_id").to_pylist() == [1102]


def test_the_parts_of_a_scheduled_task_are_fields(siem: Siem) -> None:
    detection: dict[str, object] = {"s": {"TaskCommand": "cmd.exe"}, "condition": "s"}
    fields = ("TaskAuthor", "TaskArguments", "TaskHidden")

    result = siem.search(
        search(detection, fields=fields, product="windows", service="security"), WINDOW
    )

    row = result.table.to_pylist()[0]
    assert [row[field] for field in fields] == ["CORP\\eve", "/c x", "false"]


def test_keywords_are_looked_for_in_every_value(siem: Siem) -> None:
    detection: dict[str, object] = {"k": ["C:\\a\\x"], "condition": "k"}

    result = siem.search(search(detection, product="windows"), WINDOW)

    assert [row["event_id"] for row in result.table.to_pylist()] == [3]


@pytest.mark.parametrize(
    "detection",
    [
        {"s": {"Image|re": "(?<=a)b"}, "condition": "s"},
        {"s": {"Image": "a\x00b"}, "condition": "s"},
        {"s": {"Image": "x"}, "condition": "t"},
        {"s": {"Image|nonsense": "x"}, "condition": "s"},
        {"condition": "s"},
        {},
    ],
)
def test_what_cannot_be_run_as_meant_is_refused_with_a_message(
    siem: Siem, detection: dict[str, object]
) -> None:
    with pytest.raises(TerminalError) as caught:
        siem.search(search(detection), WINDOW)

    assert caught.value.connector == siem.name


@pytest.mark.parametrize(
    "rule", ["", "a: [", RULE.replace("category", "kategory"), RULE + "---" + RULE]
)
def test_a_rule_that_is_none_is_refused(siem: Siem, rule: str) -> None:
    with pytest.raises(TerminalError):
        siem.search_rule(rule, WINDOW)


@pytest.mark.parametrize(
    "field", ['Image" FROM "Security" --', "Time", "UID", "Image; DROP VIEW events", "{}"]
)
def test_a_projected_name_is_a_name_and_nothing_else(siem: Siem, field: str) -> None:
    result = siem.search(search(SCHTASKS, fields=(field,)), WINDOW)

    assert result.table.column_names[-1] == field
    assert result.table.column(len(EVENT_COLUMNS)).null_count == 3


def test_a_column_that_every_result_has_is_not_there_twice(siem: Siem) -> None:
    names = siem.search(search(SCHTASKS, fields=("time", "Image")), WINDOW).table.column_names

    assert names == [*(name for name, _ in EVENT_COLUMNS), "Image"]


def test_originals_come_back_by_reference(siem: Siem) -> None:
    rows = siem.search(search(SCHTASKS), WINDOW).table.to_pylist()
    refs = [EventRef(**{name: row[name] for name, _ in EVENT_COLUMNS}) for row in rows]
    gone = EventRef(
        uid="0" * 32, host="WS1", channel="Nowhere", event_id=1, record_id=None, time=START
    )

    originals = siem.originals([*refs, gone])

    assert set(originals) == {ref.uid for ref in refs}
    for uid, text in originals.items():
        assert normalise(orjson.loads(text)).uid == uid


def test_calls_may_run_side_by_side(siem: Siem) -> None:
    expected = siem.search(search(SCHTASKS), WINDOW).table

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: siem.search(search(SCHTASKS), WINDOW).table, range(12)))

    assert all(result.equals(expected) for result in results)


def test_the_same_event_twice_is_one(open_siem: Open) -> None:
    assert len(open_siem(EVENTS * 2).search(search(SCHTASKS), WINDOW).table) == 3


def test_the_siem_in_memory_fails_on_demand() -> None:
    siem = MemorySiem(EVENTS)

    siem.time_out = 1
    with pytest.raises(TransientError):
        siem.hosts()
    assert siem.hosts()

    siem.cut = 1
    assert siem.search(search(SCHTASKS), WINDOW).truncated

    siem.refuse = True
    with pytest.raises(TerminalError):
        siem.search(search(SCHTASKS), WINDOW)

"""CSV and Parquet tables: known exports by their columns, others by a mapping."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.siem.lake import csvtext
from huntonce.connectors.siem.lake.csvtext import csv_rows
from huntonce.connectors.siem.lake.layout import files, partitions
from huntonce.connectors.siem.lake.loader import LoadReport, load_paths
from huntonce.connectors.siem.lake.mapping import TableMapping, read_mapping
from huntonce.connectors.siem.lake.tables import TableRow
from huntonce.models.errors import ConfigError

pytestmark = pytest.mark.integration

MOMENT = datetime(2026, 1, 5, 22, 0, 1, tzinfo=UTC)
FOUR = TableMapping(
    columns=(("time", "Wann"), ("host", "PC"), ("event_id", "Nr"), ("CommandLine", "Befehl")),
    constants=(("channel", "Security"),),
    zone="Europe/Vienna",
)


def load(tmp_path: Path, content: str | bytes, mapping: TableMapping | None = None,
         name: str = "t.csv") -> tuple[list[dict[str, Any]], LoadReport]:  # fmt: skip
    source = tmp_path / name
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    root = tmp_path / "lake"
    report = load_paths(root, [source], mapping=mapping)
    rows: list[dict[str, Any]] = []
    for partition in partitions(root):
        for path in files(root, partition):
            rows += pq.ParquetFile(path).read().to_pylist()
    return sorted(rows, key=lambda row: (row["@time"], row["@uid"])), report


def reasons(report: LoadReport) -> list[tuple[str, str]]:
    return [(item.place, item.reason) for item in report.set_aside]


GET_WINEVENT = (
    '#TYPE System.Diagnostics.Eventing.Reader.EventLogRecord\r\n"Message","Id","Version","Level",'
    '"RecordId","ProviderName","LogName","ProcessId","ThreadId","MachineName","TimeCreated",'
    '"Properties"\r\n"Process Create:\r\nRuleName: -\r\nUtcTime: 2026-01-05 22:00:01.000\r\n'
    'ProcessId: 77\r\nCommandLine: cmd /c ""a, b""","1","5","4","12","Microsoft-Windows-Sysmon",'
    '"Microsoft-Windows-Sysmon/Operational","4321","9","ws1.corp.example","1/5/2026 11:00:01 PM",'
    '"System.Collections.Generic.List`1[System.Diagnostics.Eventing.Reader.EventProperty]"\r\n'
)


def test_an_export_of_get_winevent_is_known_and_its_clock_is_measured(tmp_path: Path) -> None:
    rows, report = load(tmp_path, GET_WINEVENT)

    assert report.set_aside == ()
    (row,) = rows
    assert (row["@event_id"], row["@record_id"], row["@host"]) == (1, 12, "WS1")
    assert row["@channel"] == "Microsoft-Windows-Sysmon/Operational"
    assert row["CommandLine"] == 'cmd /c "a, b"'
    assert row["ProcessId"] == "77"
    assert (row["@time"], row["@time_note"]) == (MOMENT, "corrected -1.0h")
    assert json.loads(row["@raw"])["ProcessId"] == "4321"
    assert "Properties" not in row


def test_the_same_export_as_json_is_known(tmp_path: Path) -> None:
    event = {
        "Id": 4625, "RecordId": 3, "ProviderName": "Microsoft-Windows-Security-Auditing",
        "LogName": "Security", "MachineName": "ws1", "Message": "An account failed",
        "TimeCreated": f"/Date({int(MOMENT.timestamp() * 1000)})/", "ProcessId": 5,
    }  # fmt: skip

    rows, report = load(tmp_path, json.dumps([event]), name="t.json")

    assert report.set_aside == ()
    assert (rows[0]["@event_id"], rows[0]["@time"], rows[0]["@time_note"]) == (4625, MOMENT, "utc")
    assert "ProcessId" not in rows[0]


def test_evtxecmd_rows_carry_the_events_own_fields(tmp_path: Path) -> None:
    payload = json.dumps(
        {"EventData": {"Data": [{"@Name": "SubjectUserName", "#text": "bob"},
                                {"@Name": "ProcessId", "#text": "0x4"}]}}
    ).replace('"', '""')  # fmt: skip
    text = (
        "RecordNumber,EventRecordId,TimeCreated,EventId,Level,Provider,Channel,ProcessId,ThreadId,"
        "Computer,ChunkNumber,UserId,MapDescription,UserName,PayloadData1,Payload\n"
        "9,15,2026-01-05 22:00:01.0000000,4688,LogAlways,Microsoft-Windows-Security-Auditing,"
        f'Security,4,8,WS1.corp.example,0,,A process,CORP\\bob,Target: x,"{payload}"\n'
    )

    rows, report = load(tmp_path, text)

    assert report.set_aside == ()
    (row,) = rows
    assert (row["SubjectUserName"], row["ProcessId"], row["@record_id"]) == ("bob", "0x4", 15)
    assert (row["@time"], row["@time_note"]) == (MOMENT, "utc")
    assert "PayloadData1" not in row


def test_a_kibana_export_names_fields_behind_dots(tmp_path: Path) -> None:
    text = (
        '"@timestamp","host.name","winlog.channel","winlog.event_id","winlog.record_id",'
        '"winlog.event_data.CommandLine"\n'
        '"Jan 5, 2026 @ 22:00:01.000","ws1","Security","4,688","1,234","whoami"\n'
    ).replace("4,688", "4688")

    rows, _ = load(tmp_path, text)

    (row,) = rows
    assert (row["CommandLine"], row["@record_id"], row["@time"]) == ("whoami", 1234, MOMENT)
    assert row["@time_note"] == "assumed utc"


def test_a_table_of_unknown_columns_says_which_mapping_is_needed(tmp_path: Path) -> None:
    rows, report = load(tmp_path, "Wann;PC;Nr;Befehl\n2026-01-05 23:00:01;ws1;4688;whoami\n")

    assert rows == []
    (item,) = report.set_aside
    assert item.place == "file"
    for what in ("the time", "the host", "the event id", "the channel"):
        assert what in item.reason
    assert "--map time=COLUMN" in item.hint
    assert "Wann, PC, Nr, Befehl" in item.hint


def test_a_mapping_makes_it_events_in_the_zone_it_names(tmp_path: Path) -> None:
    text = (
        "Wann;PC;Nr;Befehl;Rest\n2026-01-05 23:00:01;ws1;4688;whoami;x\n05.07.2026 00:00;ws1;1;;\n"
    )

    rows, report = load(tmp_path, text, FOUR)

    assert report.set_aside == ()
    assert [row["@time"] for row in rows] == [MOMENT, datetime(2026, 7, 4, 22, tzinfo=UTC)]
    assert {row["@time_note"] for row in rows} == {"utc"}
    assert (rows[0]["CommandLine"], rows[0]["Rest"], rows[0]["@channel"]) == (
        "whoami", "x", "Security",
    )  # fmt: skip
    assert rows[1].get("CommandLine") is None
    assert json.loads(rows[0]["@raw"])["Befehl"] == "whoami"


def test_loaded_twice_each_row_is_held_once(tmp_path: Path) -> None:
    load(tmp_path, GET_WINEVENT)

    rows, report = load(tmp_path, GET_WINEVENT, name="again.csv")

    assert (len(rows), report.events, report.duplicates) == (1, 0, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_with_a_mark_are_known(tmp_path: Path, encoding: str) -> None:
    names = "TimeCreated\tComputer\tChannel\tEventID\tTaskName\n"
    text = names + "2026-01-05T22:00:01Z\tws1\tSecurity\t4698\tÜbung\n"

    rows, report = load(tmp_path, text.encode(encoding))

    assert report.set_aside == ()
    assert rows[0]["TaskName"] == "Übung"


def test_another_encoding_is_set_aside_until_it_is_said(tmp_path: Path) -> None:
    names = "TimeCreated,Computer,Channel,EventID,TaskName\n"
    text = names + "2026-01-05T22:00:01Z,ws1,Security,4698,Übung\n"

    rows, report = load(tmp_path, text.encode("cp1252"))
    said, _ = load(tmp_path, text.encode("cp1252"), TableMapping(encoding="cp1252"))

    assert rows == []
    assert "encoding" in reasons(report)[0][1]
    assert "cp1252" in report.set_aside[0].hint
    assert said[0]["TaskName"] == "Übung"


HEAD = "TimeCreated,Computer,Channel,EventID,X\n"


def row(number: int, x: str = "") -> str:
    return f"2026-01-05T22:00:{number:02d}Z,ws1,Security,4698,{x or number}\n"


def test_wrong_rows_are_set_aside_with_their_line_and_the_others_loaded(tmp_path: Path) -> None:
    text = (
        HEAD + row(1)
        + row(2, '"two\nlines, and ""quotes"""') + "too,few\n" + row(3, '"never closed')
        + row(4) + row(5, '"a, ""b"""') + "no time,ws1,Security,1,x\n" + row(6)
    )  # fmt: skip

    rows, report = load(tmp_path, text)

    assert [found["X"] for found in rows] == ["1", 'two\nlines, and "quotes"', "4", 'a, "b"', "6"]
    places = dict(reasons(report))
    assert set(places) == {"row at line 5", "row at line 6", "row at line 9"}
    assert "2 cells" in places["row at line 5"]
    assert "time" in places["row at line 9"]


def test_a_date_that_can_be_two_days_is_refused_where_no_row_tells(tmp_path: Path) -> None:
    def table(*times: str) -> str:
        return HEAD + "".join(f"{time},ws1,Security,1,x\n" for time in times)

    rows, report = load(tmp_path, table("05/01/2026 22:00:01"))
    assert rows == []
    assert "time_format" in reasons(report)[0][1]
    rows, _ = load(tmp_path, table("05/01/2026 22:00:01", "13/01/2026 22:00:01"), name="b.csv")
    assert [found["@time"].strftime("%m-%d") for found in rows] == ["01-05", "01-13"]
    said = TableMapping(time_format="%d/%m/%Y %H:%M:%S")
    rows, _ = load(tmp_path, table("06/01/2026 22:00:01"), said, name="c.csv")
    assert [found["@time"].strftime("%m-%d") for found in rows] == ["01-05", "01-06", "01-13"]


def test_a_parquet_table_takes_a_mapping_too(tmp_path: Path) -> None:
    table = pa.table(
        {
            "Wann": pa.array([MOMENT], pa.timestamp("us", tz="UTC")),
            "PC": ["ws1"], "Nr": [4688], "Befehl": ["whoami"],
        }
    )  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink)

    refused = load(tmp_path, sink.getvalue(), name="t.parquet")[1]
    rows, report = load(tmp_path, sink.getvalue(), FOUR, name="t.parquet")

    assert "mapping" in refused.set_aside[0].reason
    assert report.set_aside == ()
    assert (rows[0]["@time"], rows[0]["CommandLine"]) == (MOMENT, "whoami")


def test_lines_and_rows_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csvtext, "MAX_LINE", 2_000)
    monkeypatch.setattr(csvtext, "_BLOCK", 256)
    text = HEAD + row(1) + row(2, "y" * 20_000) + row(3) + row(4, '"' + "z\n" * 50) + row(5)

    rows, report = load(tmp_path, text)

    assert [found["X"] for found in rows][:2] == ["1", "3"]
    assert rows[-1]["X"] == "5"
    assert "longer than 2000" in reasons(report)[0][1]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8), st.integers(1, 64))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_a_csv_writer_wrote_is_read_back(
    monkeypatch: pytest.MonkeyPatch, rows: list[list[str]], block: int
) -> None:
    import csv  # noqa: PLC0415 - the writer only

    monkeypatch.setattr(csvtext, "_BLOCK", block)
    sink = io.StringIO()
    names = ["time", "host", "event_id", "channel", "a", "b"]
    writer = csv.writer(sink, quoting=csv.QUOTE_ALL)
    writer.writerow(names)
    for one, two, three in rows:
        writer.writerow(["2026-01-01", "pc", "1", one, two, three])
    faults: list[tuple[object, ...]] = []

    found = [
        json.loads(got.text)
        for _, _, got in csv_rows(
            io.BytesIO(sink.getvalue().encode()), b"", lambda *given: faults.append(given), None
        )
        if isinstance(got, TableRow)
    ]

    assert faults == []
    assert [[got.get(name, "") for name in names[3:]] for got in found] == rows


@given(st.binary(max_size=300))
@settings(max_examples=80, deadline=None)
def test_no_bytes_make_the_reader_fail(content: bytes) -> None:
    needed = ("time", "host", "event_id", "channel")
    mapping = TableMapping(constants=tuple((name, "1") for name in needed))

    list(csv_rows(io.BytesIO(b"a,b\n" + content), b"", lambda *_: None, mapping))


def test_a_mapping_file_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "m.yml"

    def wrote(text: str) -> TableMapping:
        path.write_text(text)
        return read_mapping(path)

    assert wrote("columns: {time: Date}\nzone: Europe/Vienna\n").columns == (("time", "Date"),)
    for text in ("colums: {}", "columns: [a]", "zone: Nowhere/Else", "zone: 2", "[", "a\n---\nb",
                 "encoding: klingon", "delimiter: ab"):  # fmt: skip
        with pytest.raises(ConfigError):
            wrote(text)


def test_the_command_takes_a_mapping_by_option_and_by_file(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    source.write_text("Wann,PC,Nr\n2026-01-05 23:00:01,ws1,4688\n")
    (tmp_path / "m.yml").write_text("columns: {time: Wann, host: PC}\nzone: Europe/Vienna\n")

    def call(*words: str) -> tuple[int, dict[str, Any]]:
        command = ["lake", "load", str(source), "--home", str(tmp_path / "home"), "--json"]
        result = CliRunner().invoke(app, [*command, *words])
        return result.exit_code, json.loads(result.stdout) if result.stdout else {}

    assert call()[0] == 3
    assert call("--map", "nonsense")[0] == 2
    more = ("--map", "event_id=Nr", "--constant", "channel=Security")
    code, answer = call("--mapping", str(tmp_path / "m.yml"), *more)
    assert (code, answer["events"]) == (0, 1)

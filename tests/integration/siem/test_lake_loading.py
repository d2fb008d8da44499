"""Loading files of every make into the lake: whole, damaged, twice, and killed in the middle."""

import gzip
import html
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from filelock import FileLock

from huntonce.connectors.siem.lake import plan, pool
from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.loader import LoadReport, load_paths
from huntonce.models.errors import ConfigError, TransientError
from huntonce.models.query import SigmaSearch

pytestmark = pytest.mark.integration

START = datetime(2026, 5, 1, tzinfo=UTC)


def event(number: int, **fields: object) -> dict[str, Any]:
    moment = START + timedelta(minutes=number)
    return {
        "Event": {
            "System": {
                "EventID": 4688,
                "TimeCreated": {"#attributes": {"SystemTime": moment.isoformat()}},
                "EventRecordID": number,
                "Channel": "Security",
                "Computer": f"ws{number % 3}.corp.example",
            },
            "EventData": {"NewProcessName": f"C:\\{number}.exe", **fields},
        }
    }


def lines(*numbers: int) -> bytes:
    return b"".join(orjson.dumps(event(number)) + b"\n" for number in numbers)


def load(root: Path, name: str, content: bytes) -> LoadReport:
    source = root.parent / name
    source.write_bytes(content)
    return load_paths(root, [source])


def uids(root: Path) -> list[str]:
    found: list[str] = []
    for path in (root / "events").rglob("*.parquet"):
        found += pq.ParquetFile(path).read(columns=["@uid"]).column(0).to_pylist()
    return sorted(found)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


WHOLE = [event(number) for number in range(5)]
FILES: dict[str, bytes] = {
    "a.jsonl": lines(*range(5)),
    "a.ndjson": b"\xef\xbb\xbf" + lines(*range(5)).replace(b"\n", b"\r\n\r\n"),
    "a.json": orjson.dumps(WHOLE),
    "b.json": orjson.dumps(WHOLE, option=orjson.OPT_INDENT_2),
    "c.json": b"\n".join(orjson.dumps(item, option=orjson.OPT_INDENT_2) for item in WHOLE),
    "d.json": orjson.dumps({"hits": {"hits": [{"_source": item} for item in WHOLE]}}),
    "utf16.json": lines(*range(5)).decode().encode("utf-16"),
    "a.jsonl.gz": gzip.compress(lines(*range(5))),
    "a.zip": zipped(one=lines(0, 1), two=orjson.dumps(WHOLE[2:])),
    "no-suffix": lines(*range(5)),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_events_in_any_wrapping_are_the_same_events(root: Path, name: str) -> None:
    report = load(root, name, FILES[name])
    again = load(root, "plain.jsonl", lines(*range(5)))

    assert (report.files, report.events, report.set_aside) == (1, 5, ())
    assert (again.events, again.duplicates) == (0, 5)
    assert len(uids(root)) == 5


def test_parquet_is_loaded_and_a_lake_can_be_loaded_into_another(root: Path) -> None:
    load(root, "a.jsonl", lines(*range(5)))
    other = root.parent / "other"

    report = load_paths(other, [root / "events"])

    assert (report.events, report.set_aside) == (5, ())
    assert uids(other) == uids(root)


DAMAGED: dict[str, tuple[bytes, int, str, str]] = {
    "half a line": (lines(0, 1)[:-30], 1, "line 2", "not JSON"),
    "a bad line between": (lines(0) + b'{"Event": \n' + lines(1), 2, "line 2", "not JSON"),
    "a line that is no event": (lines(0) + b'{"a": 1}\n' + lines(1), 2, "line 2", "event id"),
    "an array cut off": (orjson.dumps(WHOLE)[:-40], 4, "event 5", "not JSON"),
    "an array without an end": (orjson.dumps(WHOLE)[:-1], 5, "after event 5", "cut off"),
    "bad bytes in a line": (lines(0) + b'{"a":"\xff\xfe"}\n', 1, "line 2", "not JSON"),
    "deep nesting": (b'{"a":' * 100_000, 0, "event 1", "nested"),
    "no telemetry": (b"hello\nworld\n", 0, "file", "not JSON"),
    "a packed file cut off": (gzip.compress(lines(0, 1))[:-40], -1, "unpacked byte", "damaged"),
    "packed twice": (gzip.compress(gzip.compress(lines(0))), 0, "file", "twice"),
    "a damaged zip": (zipped(one=lines(0))[:-30], 0, "file", "damaged"),
    "a zip with a bad member": (zipped(one=lines(0), two=b"hi"), 1, "two, file", "not JSON"),
    "an EVTX header only": (b"ElfFile\x00" + b"\x00" * 50, 0, "file", "cut off"),
    "EVTX in name only": (b"ElfFile\x00" + b"\x00" * 9000, 0, "", ""),
    "Parquet in name only": (b"PAR1 no", 0, "after row 0", "Parquet"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_is_set_aside_and_the_rest_is_loaded(root: Path, case: str) -> None:
    content, events, place, reason = DAMAGED[case]

    report = load(root, "damaged.dat", content)

    assert events < 0 or report.events == events
    assert report.set_aside
    assert report.set_aside[0].place.startswith(place)
    assert reason in report.set_aside[0].reason
    assert report.set_aside[0].source == "damaged.dat"


def test_refusals_are_bounded_and_counted(root: Path) -> None:
    report = load(root, "bad.jsonl", lines(0) + b"{\n" * 500)

    assert len(report.set_aside) == 101
    assert report.set_aside[-1].reason.startswith("400 more")


def test_an_empty_file_is_said(root: Path) -> None:
    report = load(root, "empty.jsonl", b"")

    assert report.events == 0
    assert [item.reason for item in report.set_aside] == ["it is empty: 0 bytes"]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for host in ("ws01", "ws02"):
        folder = tmp_path / "logs" / host / "winevt"
        folder.mkdir(parents=True)
        (folder / "Security.json").write_text("no event")

    report = load_paths(tmp_path / "lake", [tmp_path / "logs"])

    assert {item.source for item in report.set_aside} == {
        "ws01/winevt/Security.json",
        "ws02/winevt/Security.json",
    }
    assert len({item.key for item in report.set_aside}) == len(report.set_aside)


def test_a_task_with_entities_is_loaded_without_its_parts_and_said(root: Path) -> None:
    xml = '<!DOCTYPE t [<!ENTITY a "b">]><Task><Actions>&a;</Actions></Task>'
    document = event(1, TaskContent=html.escape(xml), TaskName="\\T")
    document["Event"]["System"]["EventID"] = 4698

    report = load(root, "task.json", orjson.dumps(document))

    assert report.events == 1
    assert "DTD" in report.set_aside[0].reason
    search = SigmaSearch(
        name="task",
        logsource={"product": "windows", "service": "security"},
        detection={"s": {"EventID": 4698}, "condition": "s"},
        fields=("TaskName", "TaskContent", "TaskAuthor"),
    )
    lake = Lake(root)
    extent = lake.extent()
    assert extent is not None
    row = lake.search(search, extent).table.to_pylist()[0]
    assert (row["TaskName"], row["TaskContent"], row["TaskAuthor"]) == ("\\T", xml, None)


def test_equal_lines_without_a_record_number_are_events_of_their_own(root: Path) -> None:
    flat = {"EventID": 1, "Channel": "X", "Hostname": "a", "TimeCreated": "2026-05-01T00:00:00.1Z"}
    content = orjson.dumps(flat) + b"\n"

    first = load(root, "a.jsonl", content * 3)
    again = load(root, "b.jsonl", content * 3)

    assert (first.events, again.events, again.duplicates) == (3, 0, 3)


def test_an_event_whose_clock_could_be_measured_later_stays_one_event(root: Path) -> None:
    flat = {"EventID": 9, "Channel": "X", "Hostname": "a", "TimeCreated": "2026-05-01T20:00:00Z"}
    sysmon = {**flat, "EventID": 1, "UtcTime": "2026-05-02 01:00:00.000"}

    load(root, "alone.json", orjson.dumps(flat))
    report = load(root, "both.jsonl", orjson.dumps(flat) + b"\n" + orjson.dumps(sysmon))

    assert (report.events, report.duplicates) == (1, 1)
    times = {
        row["@event_id"]: (row["@time"], row["@time_note"])
        for path in (root / "events").rglob("*.parquet")
        for row in pq.ParquetFile(path).read().to_pylist()
    }
    assert times[9][1] == "assumed utc"
    assert times[1] == (datetime(2026, 5, 2, 1, tzinfo=UTC), "corrected +5.0h")


def test_many_different_field_names_neither_fail_nor_grow_without_bound(root: Path) -> None:
    content = b"".join(
        orjson.dumps(event(number, **{f"F{number}x{part}": "v" for part in range(3)})) + b"\n"
        for number in range(1200)
    )

    report = load(root, "wide.jsonl", content)

    assert report.events == 1200
    widths = [len(pq.read_schema(path).names) for path in (root / "events").rglob("*.parquet")]
    assert max(widths) < 1100


def test_names_that_differ_in_case_only_are_one_field(root: Path) -> None:
    report = load(
        root,
        "case.jsonl",
        orjson.dumps(event(1, Image="a", image="b")) + b"\n" + orjson.dumps(event(2, IMAGE="c")),
    )
    lake = Lake(root)
    extent = lake.extent()
    assert extent is not None
    search = SigmaSearch(
        name="case",
        logsource={"product": "windows"},
        detection={"s": {"Image|exists": True}, "condition": "s"},
        fields=("Image",),
    )

    values = lake.search(search, extent).table.column("Image").to_pylist()

    assert (report.events, values) == (2, ["a", "c"])


def test_a_missing_path_is_the_callers_fault(root: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_paths(root, [root / "nowhere"])


def test_a_second_loader_waits_for_the_first(root: Path) -> None:
    load(root, "a.jsonl", lines(0))

    with FileLock(root / ".writer.lock"), pytest.raises(TransientError, match="another load"):
        load_paths(root, [root.parent / "a.jsonl"], lock_timeout=0.05)


def test_progress_is_told(root: Path) -> None:
    told: list[tuple[str, int]] = []
    source = root.parent / "a.jsonl"
    source.write_bytes(lines(*range(5)))

    load_paths(root, [source], progress=lambda name, events: told.append((name, events)))

    assert told[-1] == ("a.jsonl", 5)


def test_a_large_file_in_pieces_and_processes_is_the_same_lake(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = root.parent / "large.jsonl"
    source.write_bytes(lines(*range(3000)) + b"{broken\n" + lines(3000))
    whole = load_paths(root, [source])
    monkeypatch.setattr(plan, "JOB_BYTES", 100_000)
    monkeypatch.setattr(pool, "WORTH_BYTES", 1)

    pieces = load_paths(root.parent / "pieces", [source])

    assert (pieces.events, pieces.files) == (whole.events, 1) == (3001, 1)
    assert [item.place for item in pieces.set_aside] == ["line 3001"]
    assert uids(root.parent / "pieces") == uids(root)


def test_a_load_killed_in_the_middle_is_made_good_by_the_next(root: Path) -> None:
    source = root.parent / "source.jsonl"
    with source.open("wb") as stream:
        for number in range(120_000):
            stream.write(orjson.dumps(event(number)) + b"\n")
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from huntonce.connectors.siem.lake import plan
        from huntonce.connectors.siem.lake.loader import load_paths
        plan.JOB_BYTES = 2_000_000
        load_paths(Path(sys.argv[1]), [Path(sys.argv[2])])
    """)
    child = subprocess.Popen([sys.executable, "-c", program, str(root), str(source)])
    held = root / "events" / "v1" / "channel=security"
    deadline = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < deadline:
        if len(list(held.rglob("*.parquet"))) > 20:
            break
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()

    report = load_paths(root, [source])

    clean = root.parent / "clean"
    load_paths(clean, [source])
    assert report.events > 0
    assert report.duplicates > 0
    assert report.events + report.duplicates == 120_000
    assert uids(root) == uids(clean)
    assert not (held.parent / ".staging").exists()


def test_readers_see_a_lake_while_it_is_written(root: Path) -> None:
    load(root, "a.jsonl", lines(*range(100)))
    (root / "events" / "v1" / ".staging" / "0").mkdir(parents=True)
    (root / "events" / "v1" / ".staging" / "0" / "half.parquet").write_bytes(b"PAR1half")

    with FileLock(root / ".writer.lock"):
        assert len(Lake(root).hosts()) == 3


def test_a_damaged_file_of_the_lake_is_an_error_that_names_it(root: Path) -> None:
    load(root, "a.jsonl", lines(0))
    path = next((root / "events").rglob("*.parquet"))
    path.write_bytes(b"PAR1 broken")

    with pytest.raises(TransientError, match=path.name):
        Lake(root).hosts()


def test_a_path_that_duckdb_would_take_for_a_pattern_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Lake(tmp_path / "lake[1]")

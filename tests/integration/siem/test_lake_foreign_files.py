"""Recordings as strangers have them: encodings, clocks, archives; loaded, or it is said why."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest

from huntonce.connectors.siem.lake.loader import LoadReport, load_paths

T0 = datetime(2026, 5, 1, 10, tzinfo=UTC)
SECONDS = int(T0.timestamp())


def flat(number: int, **fields: object) -> dict[str, object]:
    moment = (T0 + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "EventTime": moment, "Hostname": "WS1", "Channel": "Security", "EventID": 4688,
        "SourceName": "P", "RecordNumber": number, "NewProcessName": "C:\\ä.exe", **fields,
    }  # fmt: skip


def beat(
    number: int, code: object, stamp: object = "2026-05-01T10:00:00.000Z"
) -> dict[str, object]:
    return {
        "@timestamp": stamp,
        "event": {"code": code},
        "winlog": {"channel": "Security", "computer_name": "ws1", "record_id": number,
                   "event_data": {"A": "b"}},
    }  # fmt: skip


def lines(*documents: object) -> str:
    return "\n".join(orjson.dumps(document).decode() for document in documents)


def tar(members: Mapping[str, bytes], *, kind: bytes = tarfile.REGTYPE, claimed: int = 0) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(content), kind
            archive.addfile(info, io.BytesIO(content))
    made = bytearray(target.getvalue())
    if claimed:
        made[124:136] = b"%011o\x00" % claimed
        made[148:156] = b"%06o\x00 " % (sum(made[:148]) + sum(made[156:512]) + 8 * 32)
    return bytes(made)


TWO = lines(flat(0), flat(1))
CSV = (
    "TimeCreated,EventID,Computer,Channel,CommandLine\n"
    "2026-05-01T10:00:00Z,4688,ws1,Security,ä\n2026-05-01T10:00:01Z,4688,ws1,Security,b\n"
)
DAMAGED = tar({"a.json": TWO.encode()})[:700]


def load(folder: Path, name: str, content: bytes) -> tuple[LoadReport, list[datetime]]:
    source = folder / name
    source.write_bytes(content)
    report = load_paths(folder / "lake", [source])
    found = sorted((folder / "lake" / "events").rglob("*.parquet"))
    read = [pq.ParquetFile(path).read(columns=["@time"]).column(0).to_pylist() for path in found]
    return report, sorted(moment for times in read for moment in times)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"\xef\xbb\xbf" + TWO.encode()),
        ("a.json", TWO.encode("utf-16")),
        ("a.json", b"\xfe\xff" + TWO.encode("utf-16-be")),
        ("a.json", orjson.dumps([flat(0), flat(1)]).decode().encode("utf-16")),
        ("a.csv", b"\xef\xbb\xbf" + CSV.encode()),
        ("a.csv", CSV.encode("utf-16")),
        ("a.json.gz", gzip.compress(TWO.encode("utf-16"))),
        ("a.json", lines(flat(0, EventTime=SECONDS), flat(1, EventTime=SECONDS + 1)).encode()),
        ("a.json", lines(*(flat(n, EventTime=(SECONDS + n) * 1_000) for n in (0, 1))).encode()),
        ("a.json", lines(*(flat(n, EventTime=f"{SECONDS + n}") for n in (0, 1))).encode()),
        ("a.json", lines(*(flat(n, EventTime=f"{SECONDS + n}.0") for n in (0, 1))).encode()),
        ("a.json", lines(*(flat(n, EventTime=f"{SECONDS + n}000") for n in (0, 1))).encode()),
        ("a.json", lines(beat(0, "4688", SECONDS), beat(1, 4688, (SECONDS + 1) * 1_000)).encode()),
        ("a.tar.gz", gzip.compress(tar({"x/a.json": TWO.encode()}))),
        ("a.tgz", gzip.compress(tar({"a.csv": CSV.encode(), "empty.json": b""}))),
        ("a.tar", tar({"../../a.json": lines(flat(0)).encode(), "/b": lines(flat(1)).encode()})),
    ],
)
def test_it_is_loaded_as_it_is_meant(tmp_path: Path, name: str, content: bytes) -> None:
    report, times = load(tmp_path, name, content)

    assert report.set_aside == ()
    assert times == [T0, T0 + timedelta(seconds=1)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (TWO.encode("utf-16-le"), "UTF-16 without its byte-order mark"),
        (CSV.encode("utf-16-be"), "UTF-16 without its byte-order mark"),
        (bz2.compress(TWO.encode()), "packed with bzip2"),
        (lzma.compress(TWO.encode()), "packed with xz"),
        (b"\x28\xb5\x2f\xfd" + b"\x00" * 30, "packed with zstd"),
        (gzip.compress(DAMAGED), "the tar is damaged"),
        (tar({"a": b"x"}, kind=tarfile.XHDTYPE, claimed=2**32), "a header is longer than"),
        (tar({"in.gz": gzip.compress(TWO.encode())}), "packed twice"),
        (lines(flat(0, EventTime="99999999999999")).encode(), "its time is missing"),
    ],
)
def test_what_is_not_loaded_says_why(tmp_path: Path, content: bytes, reason: str) -> None:
    report, times = load(tmp_path, "a.json", content)

    assert times == []
    assert [reason in refusal.reason for refusal in report.set_aside] == [True]


def test_the_digits_of_a_number_are_no_date(tmp_path: Path) -> None:
    moment = datetime(2024, 4, 2, 4, 18, 21, 200_000, tzinfo=UTC)  # also 1712-03-15 12:00

    _, times = load(tmp_path, "a.json", lines(flat(0, EventTime="1712031501200")).encode())

    assert times == [moment]


def test_a_zip_of_many_members_is_read_and_its_strangers_are_named(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(50):
            archive.writestr(f"d{number}/e.json", lines(flat(number)))
        archive.writestr("notes.txt", "hello")
        archive.writestr("empty.json", b"")

    report, times = load(tmp_path, "a.zip", target.getvalue())

    assert len(times) == 50
    assert [refusal.place for refusal in report.set_aside] == ["notes.txt, file"]


def ecs(number: int) -> dict[str, object]:
    return {
        "@timestamp": SECONDS + number,
        "event": {"code": "1", "provider": "Microsoft-Windows-Sysmon"},
        "host": {"name": "ws1"},
        "process": {"executable": "C:\\ä.exe"},
    }


def test_what_a_shape_leaves_out_is_said_once_a_file(tmp_path: Path) -> None:
    report, times = load(tmp_path, "ecs.json", lines(*map(ecs, range(300))).encode())

    assert len(times) == 300
    (said,) = report.set_aside
    assert said.place == "line 1 and the like"
    assert "ECS without winlog" in said.reason


def test_splunks_results_without_the_text_are_read_by_their_columns(tmp_path: Path) -> None:
    result = {
        "_time": "2026-05-01T10:00:00.000+00:00", "EventCode": "4688", "ComputerName": "ws1",
        "LogName": "Security", "SourceName": "P", "RecordNumber": "5",
    }  # fmt: skip

    report, times = load(tmp_path, "r.json", lines({"preview": False, "result": result}).encode())

    assert (report.set_aside, times) == ((), [T0])

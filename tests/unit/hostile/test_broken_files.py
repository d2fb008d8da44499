"""Damaged and hostile telemetry files: told with their place, and what is sound is loaded."""

import gzip
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.lake import csvtext, jsontext, reading
from huntonce.connectors.siem.lake.loader import LoadReport, load_paths
from huntonce.connectors.siem.lake.reading import Piece, originals

GOOD = {
    "EventID": 4688,
    "Channel": "Security",
    "Hostname": "WS1",
    "EventTime": "2026-03-04 05:06:07",
    "RecordNumber": 7,
}


def load(folder: Path, files: dict[str, bytes]) -> LoadReport:
    source = folder / "in"
    source.mkdir()
    for name, data in files.items():
        (source / name).write_bytes(data)
    return load_paths(folder / "lake", [source])


def read(path: Path) -> tuple[int, list[str]]:
    said: list[str] = []
    count = sum(1 for _ in originals(Piece(path), lambda place, why, *_: said.append(place + why)))
    return count, said


def good(host: str) -> bytes:
    return json.dumps({**GOOD, "Hostname": host}).encode() + b"\n"


def parquet(extra: pa.Array) -> bytes:
    rows = len(extra)
    columns = {name: pa.array([str(value)] * rows) for name, value in GOOD.items()}
    columns["Hostname"] = pa.array([f"WS{number}" for number in range(rows)])
    target = io.BytesIO()
    pq.write_table(pa.table({**columns, "Extra": extra}), target)
    return target.getvalue()


def not_utf8() -> pa.Array:
    return pa.Array.from_buffers(pa.string(), 2, pa.array([b"\xff", b"a"]).buffers())


@pytest.mark.parametrize(
    "extra",
    [
        lambda: pa.array([2**60, 1], pa.int64()).cast(pa.timestamp("us")),
        lambda: pa.array([2**30, 1], pa.int32()).cast(pa.date32()),
        lambda: pa.array([2**62, 1], pa.int64()).cast(pa.duration("s")),
        not_utf8,
    ],
    ids=["far-off-time", "far-off-date", "long-duration", "no-utf8"],
)
def test_a_parquet_value_out_of_range_costs_its_row_only(
    tmp_path: Path, extra: Callable[[], pa.Array]
) -> None:
    report = load(tmp_path, {"a.parquet": parquet(extra()), "b.json": good("OTHER")})

    assert report.events == 2
    (refused,) = report.set_aside
    assert (refused.place, "Extra" in refused.reason) == ("row 1", True)


def test_a_zone_that_nobody_knows_is_said_and_ends_nothing(tmp_path: Path) -> None:
    zone = pa.array([1, 2], pa.int64()).cast(pa.timestamp("us", tz="Mars/Base"))

    report = load(tmp_path, {"a.parquet": parquet(zone), "b.json": good("OTHER")})

    assert report.events == 1
    assert [refused.place for refused in report.set_aside] == ["row 1", "row 2"]


def test_a_csv_header_with_bytes_of_another_encoding_costs_no_row(tmp_path: Path) -> None:
    table = (
        b"EventTime,EventID,Channel,Hostname,Gr\xf6\xdfe\n2026-03-04 05:06:07,4688,Security,A,1\n"
    )

    report = load(tmp_path, {"a.csv": table, "b.json": good("B")})

    assert (report.events, report.set_aside) == (2, ())


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_zip_that_is_damaged_anywhere_is_told(
    tmp_path: Path, method: int, data: st.DataObject
) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.writestr("a.jsonl", b"".join(good(f"H{number}") for number in range(200)))
    packed = bytearray(target.getvalue())
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a.zip"
    path.write_bytes(packed)

    count, said = read(path)  # and no exception

    assert count == 200 or said


@pytest.mark.parametrize("name", ["../../x.jsonl", "/etc/x.jsonl", "..\\x.jsonl", "a/../../x"])
def test_a_member_s_name_is_no_path(tmp_path: Path, name: str) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, good("WS1"))
    before = {path for path in tmp_path.parent.rglob("*") if path.is_file()}

    report = load(tmp_path, {"a.zip": target.getvalue()})

    assert report.events == 1
    new = {path for path in tmp_path.parent.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(tmp_path) for path in new)
    assert not [path for path in new if path.name.startswith("x")]


BOUND = 1 << 20
SPACES = b" " * (64 * BOUND)
DEEP = b"[" * (64 * BOUND)


def _zipped(*members: tuple[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return target.getvalue()


BOMBS: dict[str, bytes] = {
    "one line.jsonl.gz": gzip.compress(b'{"a": "' + SPACES),
    "many lines.jsonl.gz": gzip.compress(b"\n" * (64 * BOUND)),
    "deep.json.gz": gzip.compress(DEEP),
    "a quoted cell.csv.gz": gzip.compress(b'TimeCreated,Computer,Channel,EventID\n"' + SPACES),
    "one line.zip": _zipped(("a.jsonl", b'{"a": "' + SPACES)),
    "deep.zip": _zipped(("a.json", DEEP)),
    "gzip in gzip.gz": gzip.compress(gzip.compress(SPACES)),
    "zip in zip.zip": _zipped(("a.zip", _zipped(("b.jsonl", SPACES)))),
    "binary.zip": _zipped(("a.evtx", b"ElfFile\x00" + SPACES)),
    "a table.zip": _zipped(("a.parquet", b"PAR1" + SPACES + b"PAR1")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_told_and_takes_no_more_than_its_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for module in (jsontext, reading, csvtext):
        for bound in ("MAX_LINE", "MAX_ROW", "MAX_DOCUMENT", "MAX_UNPACKED", "MAX_BINARY"):
            monkeypatch.setattr(module, bound, BOUND, raising=False)
    (tmp_path / name).write_bytes(BOMBS[name])
    read(tmp_path / name)  # what is imported once is none of the bomb's
    tracemalloc.start()
    try:
        count, said = read(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 0
    assert said
    assert peak < 32 * BOUND, f"{peak:,} bytes for a bound of {BOUND:,}"


def test_a_zip_of_very_many_members_is_read_to_the_bound_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_MEMBERS", 20)
    path = tmp_path / "a.zip"
    path.write_bytes(_zipped(*((f"{number}.jsonl", good(f"H{number}")) for number in range(50))))

    count, said = read(path)

    assert count == 20
    assert any("first 20 members" in line for line in said)


def test_a_bomb_among_sound_files_costs_them_nothing(tmp_path: Path) -> None:
    report = load(
        tmp_path,
        {"a.jsonl": good("WS1"), "b.json.gz": BOMBS["deep.json.gz"], "c.jsonl": good("WS2")},
    )

    assert report.events == 2
    assert [one.source for one in report.set_aside] == ["b.json.gz"]

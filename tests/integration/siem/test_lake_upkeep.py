"""Compaction and retention: the same events for every reader, whatever is killed, nothing twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from huntonce.cli.main import app
from huntonce.connectors.siem.lake import compaction
from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.lake.layout import files, partitions
from huntonce.connectors.siem.lake.loader import load_paths
from huntonce.connectors.siem.lake.merges import counted
from huntonce.connectors.siem.lake.statistics import measure, read_classes
from huntonce.connectors.siem.lake.upkeep import compact, retain
from huntonce.connectors.siem.sweep.searched import searched_alike
from huntonce.models.errors import TransientError
from tests.support.sweeping import START, Site, event, process, records, rule

pytestmark = pytest.mark.integration

WHOAMI = {"selection": {"Image|endswith": r"\whoami.exe"}, "condition": "selection"}
CMD = {"selection": {"Image|endswith": r"\cmd.exe"}, "condition": "selection"}
DAY = 86_400


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def live(root: Path) -> list[Path]:
    return [path for partition in partitions(root) for path in files(root, partition)]


def uids(root: Path) -> list[str]:
    found: list[str] = []
    for path in live(root):
        found += pq.ParquetFile(path).read(columns=["@uid"]).column(0).to_pylist()
    return sorted(found)


def events(root: Path) -> int:
    return sum(source.events for source in Lake(root).sources())


def test_small_files_become_one_with_the_same_events(site: Site) -> None:
    site.load(process(1, r"C:\whoami.exe", "a", Extra="x"))
    site.load(process(2, r"C:\cmd.exe", "b", extra="y"))
    site.load(event(3, "Security", 4624, LogonType="3"), process(4, r"C:\cmd.exe", "c", extra="z"))
    before = uids(site.lake)

    report = compact(site.lake, grace=0)
    again = compact(site.lake, grace=0)

    assert (report.before, report.after, report.rows) == (3, 1, 3)
    assert (again.before, again.deleted) == (0, 3)
    assert uids(site.lake) == before
    merged = live(site.lake)[0]
    table = pq.ParquetFile(merged).read()
    assert [name for name in table.column_names if name.lower() == "extra"] == ["extra"]
    assert read_classes(merged) == measure(table)
    assert read_classes(merged).ordered
    assert sorted(path.suffix for path in merged.parent.iterdir()) == [".json", ".parquet"]


def test_a_dry_run_changes_nothing(site: Site) -> None:
    for number in (1, 2):
        site.load(process(number, r"C:\cmd.exe", "c"))
    before = sorted(site.lake.rglob("*"))

    report = compact(site.lake, dry_run=True)

    assert (report.before, report.after) == (2, 1)
    assert sorted(site.lake.rglob("*")) == before


def test_events_of_a_merged_file_are_still_known_to_a_load(site: Site) -> None:
    for number in (1, 2, 3):
        site.load(process(number, r"C:\cmd.exe", "c"))
    compact(site.lake, grace=0)
    sources = sorted(site.lake.parent.glob("events-*.jsonl"))

    report = load_paths(site.lake, sources)

    assert (report.events, report.duplicates) == (0, 3)


def test_a_sweep_after_a_compaction_reads_nothing_again_and_keeps_its_hits(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    for number in range(4):
        site.load(process(number, r"C:\whoami.exe", "w"))
    site.sweep()
    compact(site.lake, alike=searched_alike(site.lake), grace=0)
    compact(site.lake, alike=searched_alike(site.lake), grace=0)

    report = site.sweep()

    assert len(live(site.lake)) == 1
    assert (report.scanned, records(report)) == (0, {"Rule 1": [0, 1, 2, 3]})


def test_what_a_sweep_has_not_seen_is_not_merged_with_what_it_has(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    for number in range(2):
        site.load(process(number, r"C:\whoami.exe", "w"))
    site.sweep()
    for number in range(2, 4):
        site.load(process(number, r"C:\whoami.exe", "w"))
    compact(site.lake, alike=searched_alike(site.lake))

    report = site.sweep()

    assert len(live(site.lake)) == 2
    assert (report.scanned, records(report)) == (2, {"Rule 1": [0, 1, 2, 3]})


def test_merged_without_regard_to_sweeps_costs_a_search_but_no_hit_is_lost_or_doubled(
    site: Site,
) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "w"))
    site.sweep()
    site.load(process(2, r"C:\whoami.exe", "w"))
    compact(site.lake)

    report = site.sweep()

    assert (report.scanned, records(report)) == (2, {"Rule 1": [1, 2]})
    assert site.sweep().scanned == 0


STEPS = st.lists(
    st.sampled_from(["load", "load", "load", "sweep", "rule", "compact", "mixed", "tidy"]),
    min_size=4,
    max_size=12,
)


@given(STEPS)
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_of_loads_sweeps_and_compactions_gives_every_hit_once(
    tmp_path: Path, steps: list[str]
) -> None:
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    site = Site(tmp_path / "run")
    site.write("one.yml", rule(1, WHOAMI))
    loaded: list[int] = []
    both = mixed = False
    scanned = 0
    for step in steps:
        if step == "load":
            number = len(loaded)
            site.load(process(number, (r"C:\whoami.exe", r"C:\cmd.exe")[number % 2], "x"))
            loaded.append(number)
        elif step == "sweep":
            scanned += site.sweep().scanned
        elif step == "rule":
            site.write("two.yml", rule(2, CMD))
            both = True
        elif step == "compact":
            compact(site.lake, alike=searched_alike(site.lake), grace=0)
        elif step == "mixed":
            compact(site.lake, grace=0)
            mixed = True
        else:
            compaction.clear(site.lake, grace=0)

    report = site.sweep()
    scanned += report.scanned

    expected = {"Rule 1": [number for number in loaded if number % 2 == 0]}
    if both:
        expected["Rule 2"] = [number for number in loaded if number % 2]
    assert records(report) == {title: numbers for title, numbers in expected.items() if numbers}
    assert scanned <= len(loaded) * (1 + both) or mixed
    assert site.sweep().scanned == 0


def test_a_compaction_killed_at_any_step_leaves_the_same_events(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        site.load(process(number, r"C:\cmd.exe", "c"))
    before = uids(site.lake)

    class KilledError(BaseException):
        pass

    renames = 0
    original = Path.replace

    def run(limit: int) -> None:
        nonlocal renames
        renames = 0

        def replace(self: Path, target: Path) -> Path:
            nonlocal renames
            if renames == limit:
                raise KilledError
            renames += 1
            return original(self, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", replace)
            with pytest.raises(KilledError):
                compact(site.lake, grace=0)

    for limit in (0, 1):
        run(limit)
        assert uids(site.lake) == before
        assert events(site.lake) == 3
    compact(site.lake, grace=0)
    assert uids(site.lake) == before
    assert len(live(site.lake)) == 1


def test_a_process_killed_while_it_compacts_is_made_good_by_the_next(site: Site) -> None:
    for day in range(12):
        for part in range(2):
            numbers = range(day * 20 + part * 10, day * 20 + part * 10 + 10)
            site.load(*(process(n, r"C:\cmd.exe", "c", after=day * DAY) for n in numbers))
    before = uids(site.lake)
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from huntonce.connectors.siem.lake.upkeep import compact
        compact(Path(sys.argv[1]), grace=0)
    """)
    child = subprocess.Popen([sys.executable, "-c", program, str(site.lake)])
    deadline = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < deadline:
        if len(list(site.lake.rglob("merged-*.json"))) >= 2:
            break
        time.sleep(0.001)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()

    assert uids(site.lake) == before
    compact(site.lake, grace=0)
    compact(site.lake, grace=0)
    assert uids(site.lake) == before
    assert len(live(site.lake)) == 12
    assert len(list((site.lake / "events").rglob("*.parquet"))) == 12


def test_hunts_read_the_same_while_files_are_merged_under_them(site: Site) -> None:
    for number in range(6):
        site.load(*(process(number * 10 + n, r"C:\cmd.exe", "c") for n in range(10)))
    seen: set[int] = set()
    faults: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            try:
                seen.add(events(site.lake))
            except Exception as error:  # noqa: BLE001 - whatever a reader sees
                faults.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(6, 12):
            compact(site.lake)
            time.sleep(0.02)
            site.load(process(number * 10, r"C:\cmd.exe", "c"))
    finally:
        done.set()
        reader.join()

    assert faults == []
    assert seen <= set(range(60, 67))
    assert events(site.lake) == 66


def test_replaced_files_stay_for_readers_until_the_grace_is_over(site: Site) -> None:
    for number in range(2):
        site.load(process(number, r"C:\cmd.exe", "c"))
    held = live(site.lake)
    compact(site.lake)
    site.load(process(2, r"C:\cmd.exe", "c"))

    assert all(path.exists() for path in held)
    compaction.clear(site.lake, grace=0)
    assert not any(path.exists() for path in held)


def test_a_merged_file_that_was_lost_can_be_loaded_again(site: Site) -> None:
    for number in range(2):
        site.load(process(number, r"C:\cmd.exe", "c"))
    before = uids(site.lake)
    compact(site.lake, grace=0)
    compaction.clear(site.lake, grace=0)
    live(site.lake)[0].unlink()

    load_paths(site.lake, sorted(site.lake.parent.glob("events-*.jsonl")))

    assert uids(site.lake) == before


def test_a_damaged_note_is_an_error_and_not_a_silent_loss(site: Site) -> None:
    for number in range(2):
        site.load(process(number, r"C:\cmd.exe", "c"))
    compact(site.lake)
    note = next(site.lake.rglob("merged-*.json"))
    note.write_text("{")

    with pytest.raises(TransientError, match=note.name):
        counted(note.parent)


def test_a_damaged_file_is_left_and_named_and_the_others_are_merged(site: Site) -> None:
    for number in range(3):
        site.load(process(number, r"C:\cmd.exe", "c"))
    damaged = live(site.lake)[0]
    damaged.write_bytes(b"PAR1 broken")

    report = compact(site.lake)

    assert (report.before, report.after) == (2, 1)
    assert [item.source for item in report.set_aside] == [damaged.name]


def test_many_loads_merge_by_themselves_and_write_an_event_a_few_times_only(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    original = compaction.merged_table

    def counting(tables: Sequence[pa.Table]) -> pa.Table:
        made = original(tables)
        written.append(len(made))
        return made

    monkeypatch.setattr(compaction, "merged_table", counting)
    for number in range(80):
        site.load(process(number, r"C:\cmd.exe", "c"))

    assert events(site.lake) == 80
    assert len(live(site.lake)) < 2 * compaction.WORTH_FILES
    assert sum(written) <= 80 * 3


def test_retention_deletes_the_days_that_it_names_and_no_other(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    for day in range(4):
        site.load(process(day, r"C:\whoami.exe", "w", after=day * DAY))
        site.load(event(day + 10, "Security", 4624, after=day * DAY))
    site.sweep()
    first = START.date() + timedelta(days=2)

    said = retain(site.lake, first, dry_run=True)
    unchanged = events(site.lake)
    gone = retain(site.lake, first)

    assert [(item.channel, item.day, item.events) for item in gone] == [
        (item.channel, item.day, item.events) for item in said
    ]
    assert {item.day for item in gone} == {START.date(), START.date() + timedelta(days=1)}
    assert (unchanged, events(site.lake)) == (8, 4)
    assert {partition.day for partition in partitions(site.lake)} == {first, date(2026, 1, 8)}
    assert records(site.sweep()) == {"Rule 1": [2, 3]}
    assert not (site.lake / "events" / "v1" / ".trash").exists()


def test_the_commands_say_what_they_do(site: Site) -> None:
    home = site.lake.parent
    for number in range(3):
        site.load(process(number, r"C:\cmd.exe", "c"))

    def call(*words: str) -> tuple[int, dict[str, object]]:
        result = CliRunner().invoke(app, ["lake", *words, "--home", str(home), "--json"])
        return result.exit_code, json.loads(result.stdout) if result.stdout else {}

    code, dry = call("compact", "--dry-run")
    assert (code, dry["files_before"], dry["files_after"], dry["bytes_after"]) == (0, 3, 1, 0)
    code, done = call("compact")
    assert (code, done["files_before"], done["files_after"]) == (0, 3, 1)
    assert call("retain")[0] == 2
    (home / "huntonce.toml").write_text("[lake]\nretention_days = 30\n")
    code, dry = call("retain", "--dry-run")
    assert (code, dry["events"], dry["days"]) == (0, 3, 30)
    assert events(site.lake) == 3
    code, done = call("retain", "--days", "7")
    assert (code, done["events"], events(site.lake)) == (0, 3, 0)

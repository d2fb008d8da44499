"""A disk that is full, a real one: nothing is left half, it is told, and it goes on with room.

Each test has a small file system of its own, which only root may mount; elsewhere the same code is
held to by faults at its writes (tests/unit/siem/test_no_space.py, the campaign of ``make chaos``).
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import Result

from huntonce.cli.main import app
from huntonce.connectors.intel.demo_intel import demo_intel
from huntonce.connectors.intel.taxii_publish import TaxiiDestination
from huntonce.connectors.intel.taxii_server import CollectionSpec, TaxiiServer
from huntonce.connectors.siem.labfiles import write_lab
from huntonce.connectors.siem.lake.layout import files, partitions
from huntonce.models.errors import TransientError
from huntonce.models.lab.company import LabSpec, build_company
from huntonce.models.state.store import open_store, sqlite_url
from tests.integration.care.homes import RUN, run

pytestmark = pytest.mark.integration
KIB = 1024
SIZE = "16m"
NO_ROOM = ("No space left", "disk is full", "disk I/O error")
COLLECTION = "91a7b528-80eb-42ed-a74d-c6fbd5a26116"


@dataclass(frozen=True)
class Disk:
    """A small file system."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @contextmanager
    def full(self, left: int = 0) -> Iterator[None]:
        """No room but for some KiB."""
        filler = self.root / "filler"
        free = shutil.disk_usage(self.root).free - left * KIB
        filler.write_bytes(b"x" * max(0, free))
        try:
            yield
        finally:
            filler.unlink()

    def held(self) -> dict[str, bytes]:
        """Every file of the home but what SQLite and locks keep."""
        return {
            str(path.relative_to(self.home)): path.read_bytes()
            for path in self.home.rglob("*")
            if path.is_file() and ".db" not in path.name and "lock" not in path.name
        }


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    root = tmp_path / "disk"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(root)]
    if os.getuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system here")
    try:
        yield Disk(root)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)  # noqa: S607 - as it is found


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    company = build_company(LabSpec(hosts=20, days=3))
    return list(write_lab(company, tmp_path_factory.mktemp("lab")).paths)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("intel") / "bundle.json"
    head = b'{"type":"bundle","id":"bundle--5f7c1c1e-3d4b-4a57-9c1b-2f0f6a3f1d10","objects":['
    path.write_bytes(head + b",".join(demo_intel()) + b"]}")
    return path


def refused(*words: object) -> Result:
    """A command that found no room: a sentence with what to do, no traceback."""
    done = RUN.invoke(app, list(map(str, words)))
    assert done.exit_code not in (0, None), done.output
    assert isinstance(done.exception, SystemExit), done.exception
    said = " ".join(done.output.split())
    assert any(sign in said for sign in NO_ROOM), done.output
    assert "->" in said
    return done


def uids(home: Path) -> list[str]:
    """Ids of every event that counts."""
    lake = home / "lake"
    found: list[str] = []
    for partition in partitions(lake):
        for path in files(lake, partition):
            found += pq.ParquetFile(path).read(columns=["@uid"]).column(0).to_pylist()
    return sorted(found)


@pytest.mark.parametrize("left", [0, 48, 160])
def test_a_load_goes_on_when_there_is_room_and_takes_each_event_once(
    disk: Disk, logs: list[Path], tmp_path: Path, left: int
) -> None:
    run("lake", "load", *logs, "--home", tmp_path / "roomy")

    with disk.full(left):
        refused("lake", "load", *logs, "--home", disk.home)
        some = uids(disk.home)
        assert not list((disk.home / "lake").rglob(".staging/*")), "what is half takes no room"
    run("lake", "load", *logs, "--home", disk.home)

    assert len(set(some)) == len(some)
    assert uids(disk.home) == uids(tmp_path / "roomy")


def test_compaction_without_room_changes_nothing_and_calls_nothing_damaged(
    disk: Disk, logs: list[Path], tmp_path: Path
) -> None:
    for path in logs:
        lines = path.read_bytes().splitlines(keepends=True)
        for number, part in enumerate((lines[::2], lines[1::2])):
            file = tmp_path / f"{path.stem}-{number}.jsonl"
            file.write_bytes(b"".join(part))
            run("lake", "load", file, "--home", disk.home)
    before = disk.held()

    with disk.full(left=16):
        told = refused("lake", "compact", "--home", disk.home)
        assert "damaged" not in told.output
        assert {n: b for n, b in disk.held().items() if n in before} == before
    found = uids(disk.home)
    run("lake", "compact", "--home", disk.home)

    assert len(set(found)) == len(found)
    assert uids(disk.home) == found
    assert set(disk.held()) - set(before), "with room it merges"


@pytest.mark.parametrize("left", [0, 40, 100])
def test_intel_is_kept_whole_or_not_at_all(disk: Disk, bundle: Path, left: int) -> None:
    run("gaps", "--home", disk.home)  # makes the store
    with disk.full(left):
        refused("intel", "load", bundle, "--home", disk.home)
    with open_store(sqlite_url(disk.home / "huntonce.db")) as store, store.unit() as unit:
        assert unit.log.verify() is None
        assert list(unit.intel.latest()) == []

    done = run("intel", "load", bundle, "--home", disk.home)

    assert str(len(demo_intel())) in str(done)


def test_a_hunt_without_room_is_made_good_by_the_next_one(
    disk: Disk, logs: list[Path], tmp_path: Path
) -> None:
    for home in (disk.home, tmp_path / "roomy"):
        run("lake", "load", *logs, "--home", home)
    sound = run("hunt", "T1053.005", "--home", tmp_path / "roomy")

    with disk.full(left=60):
        refused("hunt", "T1053.005", "--home", disk.home)
    made_good = run("hunt", "T1053.005", "--home", disk.home)

    assert made_good["verdict"] == sound["verdict"]
    for kind in ("gaps", "detections", "cases"):
        there = [len(run(kind, "--home", one)[kind]) for one in (disk.home, tmp_path / "roomy")]
        assert there[0] == there[1], kind


def test_report_pack_and_backup_leave_the_old_file_or_none(disk: Disk, logs: list[Path]) -> None:
    run("lake", "load", *logs, "--home", disk.home)
    run("hunt", "T1053.005", "--home", disk.home)
    pack, page = disk.root / "pack.zip", disk.root / "report"
    written: tuple[tuple[object, ...], ...] = (
        ("report", "--out", page, "--home", disk.home),
        ("visibility", "--out", page, "--home", disk.home),
        ("pack", "H-1", "--out", pack, "--home", disk.home),
        ("backup", disk.root / "saved.tar.gz", "--home", disk.home),
    )
    for words in written[:-1]:
        run(*words)
    before = {p: p.read_bytes() for p in (*page.iterdir(), pack)}

    with disk.full(left=36):  # SQLite's shared memory takes 32
        for words in written:
            refused(*words)
        assert {p: p.read_bytes() for p in (*page.iterdir(), pack)} == before
        assert {p.name for p in disk.root.iterdir()} == {"filler", "home", "pack.zip", "report"}
    for words in written:
        run(*words)


def test_a_taxii_server_without_room_takes_an_object_whole_or_not(disk: Disk) -> None:
    texts = [body.decode() for body in demo_intel()[3:]]
    spec = CollectionSpec(COLLECTION, "Exchange", can_write=True)
    with TaxiiServer(db_url=f"sqlite:///{disk.root / 'taxii.db'}", collections=[spec]) as server:
        url = server.collection_url(COLLECTION)
        peers = TaxiiDestination(name="peers", collection_url=url, sleep=lambda _: None)
        with disk.full(), pytest.raises(TransientError, match=r"50\d"):
            peers.publish(texts)
        answers = peers.publish(texts)
        again = peers.publish(texts)

    assert {one.outcome for one in answers} <= {"sent", "already_present"}
    assert {one.outcome for one in again} == {"already_present"}

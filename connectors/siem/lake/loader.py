"""Loading telemetry into the lake: everything once, whatever happens in the middle."""

import shutil
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from huntonce.connectors.siem.lake.admission import Admission
from huntonce.connectors.siem.lake.compaction import Alike, clear
from huntonce.connectors.siem.lake.layout import day_window, events_folder, staging_folder
from huntonce.connectors.siem.lake.mapping import TableMapping
from huntonce.connectors.siem.lake.plan import jobs, telemetry_files
from huntonce.connectors.siem.lake.pool import run
from huntonce.connectors.siem.lake.space import telling_of_space
from huntonce.connectors.siem.lake.upkeep import LOCK_TIMEOUT, compact_held, writing
from huntonce.models.setaside import SetAside
from huntonce.models.windows import Window

Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReport:
    """What a load did.

    Attributes:
        files: Files read.
        events: Events that are new in the lake.
        duplicates: Events read that it held already, or that came twice.
        bytes: Size of the files as they are on disk.
        merged: Small files of the lake that became fewer, because there were many.
        window: The days that got events, from the first to the last; None where nothing is new.
    """

    files: int
    events: int
    duplicates: int
    set_aside: tuple[SetAside, ...]
    seconds: float
    bytes: int
    merged: int = 0
    window: Window | None = None


def load_paths(
    root: Path,
    paths: Sequence[Path],
    *,
    progress: Progress | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
    alike: Alike | None = None,
    mapping: TableMapping | None = None,
) -> LoadReport:
    """Load files, and folders of files, into the lake at ``root``; running again adds nothing.

    Args:
        root: The lake's folder, made where it is not there.
        paths: EVTX, JSON, XML, CSV, Parquet, gzip or zip of these; folders are searched for them.
        progress: Called with a file's name and the events added so far.
        lock_timeout: Seconds to wait while another load runs.
        alike: Which of the lake's files may be merged with each other, see ``compaction.Alike``.
        mapping: What the columns of tables (CSV, Parquet, flat JSON) mean, where it is not known.

    Raises:
        ConfigError: A path does not exist.
        TransientError: Another load runs and did not end in time, or the disk is full.
    """
    started = time.monotonic()
    files = telemetry_files(paths)
    with telling_of_space(), writing(root, lock_timeout):
        events_folder(root).mkdir(parents=True, exist_ok=True)
        clear(root)  # what a killed load or compaction left
        admission, set_aside, bytes_read = _load(root, files, mapping, progress)
        tidied = compact_held(root, among=admission.touched, alike=alike, only_worthwhile=True)
    return LoadReport(
        files=len(files),
        events=admission.events,
        duplicates=admission.duplicates,
        set_aside=(*set_aside, *tidied.set_aside),
        seconds=time.monotonic() - started,
        bytes=bytes_read,
        merged=tidied.before,
        window=_days({partition.day for partition in admission.touched}),
    )


def _days(days: Collection[date]) -> Window | None:
    if not days:
        return None
    return Window(day_window(min(days)).start, day_window(max(days)).end)


def _load(
    root: Path,
    files: Sequence[Path],
    mapping: TableMapping | None,
    progress: Progress | None,
) -> tuple[Admission, list[SetAside], int]:
    staging = staging_folder(root)
    admission, set_aside = Admission(root), []
    size = sum(path.stat().st_size for path in files)
    try:
        for job, share in run(jobs(files, mapping), staging, size):
            admission.duplicates += share.duplicates
            set_aside += share.set_aside
            for staged in share.staged:
                admission.admit(staged)
            if progress is not None:
                progress(job.pieces[-1][0].path.name, admission.events)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return admission, set_aside, size

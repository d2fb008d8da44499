"""Letting staged files into the lake: only events that it does not hold yet."""

from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from huntonce.connectors.siem.lake.layout import UID, Partition, content_name, files
from huntonce.connectors.siem.lake.staging import StagedFile, write_parquet

_DAY = timedelta(days=1)
_MAX_CACHED = 8_000_000


class Admission:
    """The writer's view of what the lake holds; used under the writer lock only.

    ``touched`` names the partitions that got events.

    The same event can come with another corrected time, where one file let us measure the
    recorder's clock and another did not. Its day then differs by one at most, so the days before
    and after are looked through as well.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._held: dict[Partition, list[pa.Array]] = {}
        self._cached = 0
        self.events = 0
        self.duplicates = 0
        self.touched: set[Partition] = set()

    def admit(self, staged: StagedFile) -> None:
        """Move a staged file's new events into its partition."""
        uids = _uid_column(staged.path)
        known = self._known(staged.partition)
        held = pc.is_in(uids, value_set=known) if len(known) else None
        repeated = pc.sum(held).as_py() if held is not None else 0
        self.duplicates += repeated
        if repeated == len(uids):
            staged.path.unlink()
            return
        path = staged.path
        if repeated:
            fresh = pc.invert(held)
            content = pq.ParquetFile(path).read().filter(fresh)
            uids = uids.filter(fresh)
            path = path.with_suffix(".fresh")
            write_parquet(content, path)
        self._place(path, staged.partition, uids)

    def _place(self, path: Path, partition: Partition, uids: pa.Array) -> None:
        folder = partition.folder(self._root)
        folder.mkdir(parents=True, exist_ok=True)
        path.replace(folder / content_name(uids.to_pylist()))
        self._held.setdefault(partition, []).append(uids)
        self._cached += len(uids)
        self.events += len(uids)
        self.touched.add(partition)

    def _known(self, partition: Partition) -> pa.Array:
        if self._cached > _MAX_CACHED:
            self._held.clear()
            self._cached = 0
        days = _around(partition.day)
        arrays = [array for day in days for array in self._uids(Partition(partition.channel, day))]
        return pa.concat_arrays(arrays) if arrays else pa.array([], pa.string())

    def _uids(self, partition: Partition) -> list[pa.Array]:
        if partition not in self._held:
            found = [_uid_column(path) for path in files(self._root, partition)]
            self._held[partition] = found
            self._cached += sum(len(array) for array in found)
        return self._held[partition]


def _uid_column(path: Path) -> pa.Array:
    return pq.ParquetFile(path).read(columns=[UID]).column(UID).combine_chunks()


def _around(day: date) -> list[date]:
    days = [day]
    if day > date.min:
        days.append(day - _DAY)
    if day < date.max:
        days.append(day + _DAY)
    return days

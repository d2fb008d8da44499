"""Tables by key in a folder, a file each: what a SIEM said of spans that do not change any more."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

MAX_FILES = 20_000
MAX_BYTES = 1024**3
"""What the memory may take on disk; the answers used longest ago go first."""
_PRUNED_EVERY = 256
_SUFFIX = ".arrow"


class Memory:
    """Losing one of the files, or the folder, costs only time.

    Texts are kept as numbers of their values and nothing is compressed, so that a file is used
    where it lies: the inventory of a large estate has millions of rows, and touching new memory
    for each costs as much as asking again.
    """

    def __init__(
        self, folder: Path, *, max_files: int = MAX_FILES, max_bytes: int = MAX_BYTES
    ) -> None:
        self._folder = folder
        self._max_files, self._max_bytes = max_files, max_bytes
        self._kept = 0

    def get(self, key: str) -> pa.Table | None:
        """What was kept, its texts dictionaries; None where nothing is, or it cannot be read."""
        path = self._folder / f"{key}{_SUFFIX}"
        try:
            with pa.memory_map(str(path)) as source:
                table: pa.Table = pa.ipc.open_file(source).read_all()
            os.utime(path)
        except (OSError, pa.ArrowException):
            return None
        return table

    def put(self, key: str, table: pa.Table) -> None:
        """Keep a table; where the folder cannot be written to, nothing is kept.

        Now and then what was used longest ago is dropped.
        """
        self._kept += 1
        if self._kept % _PRUNED_EVERY == 0:
            self.prune()
        path = self._folder / f"{key}{_SUFFIX}"
        fresh = path.with_name(f".{key}.{secrets.token_hex(4)}")
        table = packed(table)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with pa.ipc.new_file(str(fresh), table.schema) as sink:
                sink.write_table(table)
            fresh.replace(path)
        except (OSError, pa.ArrowException):
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def prune(self) -> None:
        """Drop what was used longest ago, where there is too much."""
        with suppress(OSError):
            found = [(e.stat(), e.path) for e in os.scandir(self._folder)]
            found.sort(key=lambda item: item[0].st_mtime, reverse=True)
            size = 0
            for number, (stat, path) in enumerate(found):
                size += stat.st_size
                if number >= self._max_files or size > self._max_bytes:
                    Path(path).unlink(missing_ok=True)


def packed(table: pa.Table) -> pa.Table:
    """The same with texts as numbers of their values, in one piece; its metadata stays."""
    for number, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            column = table.column(number).combine_chunks().dictionary_encode()
            table = table.set_column(number, field.name, column)
    return table.unify_dictionaries().combine_chunks()

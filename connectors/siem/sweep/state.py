"""What sweeps have done, beside the lake: known files, what was searched in them, the hits.

``root/sweep/v1.db`` (SQLite) names the files of hits that count; those are Parquet files in
``root/sweep/hits``, written whole and renamed before the database names them. A sweep that is
killed leaves at most a file that nothing names; the next one deletes it. Where kept hits are gone
or damaged, all that was searched is forgotten: the next sweep searches it again.
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from huntonce.connectors.siem.lake.merges import Tree, replaced, tree_of
from huntonce.connectors.siem.lake.space import telling_of_space
from huntonce.connectors.siem.lake.statistics import ClassRun, read_classes
from huntonce.connectors.siem.sweep.batch import unreadable
from huntonce.connectors.siem.sweep.catalog import FoundFile, LakeFile
from huntonce.connectors.siem.sweep.hits import SCHEMA
from huntonce.connectors.siem.sweep.inheriting import common, renumbered
from huntonce.models.errors import TransientError

LOCK_TIMEOUT = 600.0
FOLDER = "sweep"
DATABASE = "v1.db"
_MANY_FILES = 32
_MOST_PLANS = 4_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS layouts (id INTEGER PRIMARY KEY, columns TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS files (
    -- Never used twice: kept hits name their file by it, also after that is gone.
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, first INTEGER NOT NULL,
    last INTEGER NOT NULL, ordered INTEGER NOT NULL, runs TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS rulesets (
    id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, marks TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS done (
    file INTEGER NOT NULL, ruleset INTEGER NOT NULL, PRIMARY KEY (file, ruleset)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hits (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body BLOB);
"""


class SweepState:
    """The open state of one lake; ``open_state`` makes it."""

    def __init__(self, root: Path, database: sqlite3.Connection) -> None:
        self._database = database
        self._hits = root / FOLDER / "hits"

    # ------------------------------------------------------------ files

    def files(self, found: Sequence[FoundFile]) -> list[LakeFile]:
        """The classes of files that are there; new ones are looked into.

        Raises:
            TransientError: A file cannot be read.
        """
        layouts = {
            number: tuple(orjson.loads(columns))
            for number, columns in self._database.execute("SELECT id, columns FROM layouts")
        }
        known = {row[1]: row for row in self._database.execute("SELECT * FROM files")}
        fresh = [file for file in found if file.name not in known]
        if fresh:
            self._learn(fresh, {name: row[0] for name, row in known.items()})
            return self.files(found)
        return [_lake_file(file, known[file.name], layouts) for file in found]

    def _learn(self, fresh: Sequence[FoundFile], known: Mapping[str, int]) -> None:
        """Note new files; one that was merged of known ones takes over what was done in them."""
        with self._database:
            for file in fresh:
                try:
                    held = read_classes(file.path)
                except (pa.ArrowException, OSError) as error:
                    blank = LakeFile(0, file.name, file.path, file.channel, 0, 0, True, ())  # noqa: FBT003
                    raise unreadable(blank, error) from error
                runs = [
                    (run.event_id, run.start, run.rows, self._layout(run.columns))
                    for run in held.runs
                ]
                self._database.execute(
                    "INSERT INTO files (name, first, last, ordered, runs) VALUES (?, ?, ?, ?, ?)",
                    (file.name, held.first, held.last, held.ordered, orjson.dumps(runs).decode()),
                )
            merged = {file: tree_of(file.path) for file in fresh}
            if any(merged.values()):
                self._inherit({file: made for file, made in merged.items() if made}, known)

    def _inherit(self, merged: Mapping[FoundFile, Tree], known: Mapping[str, int]) -> None:
        """Give merged files the hits of their sources, and the rules that were run over all."""
        done, rulesets = self.searched()
        moved: dict[int, int] = {}
        for file, made in merged.items():
            row = self._database.execute("SELECT id FROM files WHERE name = ?", (file.name,))
            number: int = row.fetchone()[0]
            prefix, _, name = file.name.rpartition("/")
            searched = {
                source: frozenset[str]().union(*(rulesets[at] for at in done.get(held, ())))
                for source in replaced(made)
                if (held := known.get(f"{prefix}/{source}")) is not None
            }
            moved.update({known[f"{prefix}/{source}"]: number for source in searched})
            marks = common(name, made, searched)
            if marks:
                self._database.execute(
                    "INSERT OR IGNORE INTO done VALUES (?, ?)", (number, self._ruleset(marks))
                )
        names = self._hit_files()
        if names and moved:
            hits = renumbered(pa.concat_tables([self._read(name) for name in names]), moved)
            fresh = self._write(hits)
            self._database.execute("DELETE FROM hits")
            self._database.execute("INSERT INTO hits (name) VALUES (?)", (fresh,))

    def _layout(self, columns: Sequence[str]) -> int:
        text = orjson.dumps(columns).decode()
        self._database.execute("INSERT OR IGNORE INTO layouts (columns) VALUES (?)", (text,))
        row = self._database.execute("SELECT id FROM layouts WHERE columns = ?", (text,))
        number: int = row.fetchone()[0]
        return number

    # ------------------------------------------------------------ what was searched

    def searched(self) -> tuple[Mapping[int, tuple[int, ...]], Mapping[int, frozenset[str]]]:
        """File to the rule sets searched in it, and rule set to the marks of its rules."""
        done: dict[int, tuple[int, ...]] = {}
        for file, ruleset in self._database.execute("SELECT file, ruleset FROM done"):
            done[file] = (*done.get(file, ()), ruleset)
        marks = {
            number: frozenset(orjson.loads(text))
            for number, text in self._database.execute("SELECT id, marks FROM rulesets")
        }
        return done, marks

    def commit(self, held: Iterable[int], marks: Collection[str], hits: Sequence[pa.Table]) -> None:
        """Record, in one step, that rules were searched in files, and what they hit."""
        name = self._write(pa.concat_tables(hits)) if hits else None
        with self._database:
            ruleset = self._ruleset(marks)
            self._database.executemany(
                "INSERT OR IGNORE INTO done VALUES (?, ?)", [(file, ruleset) for file in held]
            )
            if name is not None:
                self._database.execute("INSERT INTO hits (name) VALUES (?)", (name,))

    def _ruleset(self, marks: Collection[str]) -> int:
        text = orjson.dumps(sorted(marks)).decode()
        digest = hashlib.sha256(text.encode()).hexdigest()
        self._database.execute(
            "INSERT OR IGNORE INTO rulesets (digest, marks) VALUES (?, ?)", (digest, text)
        )
        row = self._database.execute("SELECT id FROM rulesets WHERE digest = ?", (digest,))
        number: int = row.fetchone()[0]
        return number

    # ------------------------------------------------------------ hits

    def hits(self, marks: Collection[str], held: Collection[int]) -> pa.Table:
        """The hits of some rules in some files."""
        wanted = pa.array(sorted(marks), pa.string())
        files = pa.array(sorted(held), pa.int64())
        parts = [SCHEMA.empty_table()]
        for name in self._hit_files():
            table = self._read(name)
            kept = pc.and_(
                pc.is_in(table.column("mark").cast(pa.string()), value_set=wanted),
                pc.is_in(table.column("file"), value_set=files),
            )
            parts.append(table.filter(kept))
        return pa.concat_tables(parts).unify_dictionaries()

    def tidy(self, there: Collection[str]) -> None:
        """Forget files that are gone, delete hits nothing names, join many small files of hits."""
        with self._database:
            gone = [
                number
                for number, name in self._database.execute("SELECT id, name FROM files")
                if name not in there
            ]
            for table, column in (("files", "id"), ("done", "file")):
                self._database.executemany(
                    f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608 - the two names above
                    [(number,) for number in gone],
                )
        names = self._hit_files()
        if len(names) > _MANY_FILES:
            self._join(names)
        named = set(self._hit_files())
        for path in self._hits.iterdir():
            if path.name not in named:
                path.unlink(missing_ok=True)

    def _join(self, names: Sequence[str]) -> None:
        held = pa.array([row[0] for row in self._database.execute("SELECT id FROM files")])
        tables = [self._read(name) for name in names]
        together = pa.concat_tables(tables).unify_dictionaries()
        together = together.filter(pc.is_in(together.column("file"), value_set=held))
        name = self._write(together)
        with self._database:
            self._database.executemany("DELETE FROM hits WHERE name = ?", [(n,) for n in names])
            self._database.execute("INSERT INTO hits (name) VALUES (?)", (name,))

    def _hit_files(self) -> list[str]:
        return [row[0] for row in self._database.execute("SELECT name FROM hits ORDER BY id")]

    def _write(self, hits: pa.Table) -> str:
        name = f"{secrets.token_hex(12)}.parquet"
        fresh = self._hits / f".{name}"
        pq.write_table(hits.unify_dictionaries(), fresh, compression="zstd")
        fresh.replace(self._hits / name)
        return name

    def _read(self, name: str) -> pa.Table:
        try:
            with pq.ParquetFile(self._hits / name) as file:
                table = file.read()
        except (pa.ArrowException, OSError) as error:
            with self._database:
                self._database.execute("DELETE FROM done")
                self._database.execute("DELETE FROM hits")
            raise TransientError(
                f"hits that were kept cannot be read ({name}: {error}): they are forgotten",
                connector="lake",
                hint="repeat: the sweep then searches everything again",
            ) from error
        columns = []
        for at, field in enumerate(SCHEMA):
            column = table.column(at)
            if pa.types.is_dictionary(field.type) and not pa.types.is_dictionary(column.type):
                column = column.dictionary_encode()
            columns.append(column)
        return pa.table(columns, SCHEMA.names).cast(SCHEMA)

    # ------------------------------------------------------------ plans

    def kept(self, key: str) -> bytes | None:
        """What was kept under a key."""
        row = self._database.execute("SELECT body FROM kept WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def keep(self, items: Mapping[str, bytes]) -> None:
        """Keep plans; the oldest go where there are very many."""
        if not items:
            return
        with self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO kept (key, body) VALUES (?, ?)", list(items.items())
            )
            self._database.execute(
                "DELETE FROM kept WHERE id <= (SELECT max(id) FROM kept) - ?", (_MOST_PLANS,)
            )


def _lake_file(
    file: FoundFile,
    row: tuple[int, str, int, int, int, str],
    layouts: Mapping[int, tuple[str, ...]],
) -> LakeFile:
    number, name, first, last, ordered, runs = row
    return LakeFile(
        id=number,
        name=name,
        path=file.path,
        channel=file.channel,
        first=first,
        last=last,
        ordered=bool(ordered),
        runs=tuple(
            ClassRun(event_id, start, rows, layouts[layout])
            for event_id, start, rows, layout in orjson.loads(runs)
        ),
    )


@contextmanager
def open_state(root: Path, *, lock_timeout: float = LOCK_TIMEOUT) -> Iterator[SweepState]:
    """The sweep state of the lake at ``root``, for one sweep at a time.

    Raises:
        TransientError: Another sweep runs and did not end in time, or the disk is full.
    """
    folder = root / FOLDER
    try:
        with telling_of_space():
            (folder / "hits").mkdir(parents=True, exist_ok=True)
            with (
                FileLock(folder / ".lock", timeout=lock_timeout),
                closing(_open(folder)) as database,
            ):
                yield SweepState(root, database)
    except Timeout as error:
        raise TransientError(
            "another sweep is running", connector="lake", hint="wait until it has ended"
        ) from error


def _open(folder: Path) -> sqlite3.Connection:
    """The database; a damaged one is made anew, which costs one full sweep."""
    path = folder / DATABASE
    database = sqlite3.connect(path)
    try:
        database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;{_SCHEMA}")
    except sqlite3.OperationalError:
        database.close()  # a full disk is no damage
        raise
    except sqlite3.DatabaseError:
        database.close()
        for part in folder.glob(f"{DATABASE}*"):
            part.unlink()
        database = sqlite3.connect(path)
        database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;{_SCHEMA}")
    return database

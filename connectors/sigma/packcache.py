"""Compiled rules kept on disk by the content they were made from.

One SQLite file: what each file held when it was last read, and for each content what it compiles
to, as JSON. Its key is the hash of the rule text, the version of pySigma and of our own form, and
the placeholders' values. A file is read again only where its size or time has changed, or where it
is so new that it may have changed within one tick of the clock.
"""

import glob
import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from huntonce.connectors.sigma.ir import IR_VERSION
from huntonce.connectors.sigma.pack import RulePack, assemble
from huntonce.models.errors import ConfigError

Compile = Callable[[str, str], list[dict[str, Any]]]
"""Compiled documents of a rule text and its source."""

_SUFFIXES = (".yml", ".yaml")
_MAX_BYTES = 4 * 1_048_576
_RACY_NS = 2_000_000_000
_TIMEOUT = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS compiled (key TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (
    name TEXT NOT NULL, salt TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL,
    checked INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (name, salt)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A file of rules.

    Attributes:
        source: Its path below the one that was given, as reports name it.
        mtime: Nanoseconds since 1970.
    """

    path: str
    source: str
    size: int
    mtime: int

    @property
    def name(self) -> str:
        """What the cache knows it by: the same file under another folder has another source."""
        return f"{self.path}\n{self.source}"


def rule_files(paths: Sequence[Path]) -> list[RuleFile]:
    """Every rule file under the paths, once each, in the order of their paths.

    Raises:
        ConfigError: A path does not exist, or a folder cannot be listed.
    """
    found: dict[str, RuleFile] = {}
    for path in paths:
        try:
            _list(path, found)
        except OSError as error:
            place = error.filename or path
            raise ConfigError(
                f"cannot list {place}: {error.strerror}", hint="see that it may be read; repeat"
            ) from error
    return list(found.values())


def _list(path: Path, found: dict[str, RuleFile]) -> None:
    real = os.path.realpath(path)
    if os.path.isdir(real):  # noqa: PTH112 - thousands of files: plain strings are fast
        for name, entry in sorted(_below(real, "")):
            held = entry.stat()
            found[entry.path] = RuleFile(entry.path, name, held.st_size, held.st_mtime_ns)
    elif os.path.isfile(real):  # noqa: PTH113
        held = os.stat(real)  # noqa: PTH116
        found[real] = RuleFile(real, path.name, held.st_size, held.st_mtime_ns)
    else:
        raise ConfigError(f"no such file or folder: {path}", hint="check the path")


def _below(folder: str, prefix: str) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, f"{name}/")
            elif entry.name.endswith(_SUFFIXES) and entry.is_file():
                yield name, entry


def load_pack(
    paths: Sequence[Path],
    cache: Path | None = None,
    placeholders: "dict[str, list[str]] | None" = None,
) -> RulePack:
    """Every rule under the paths, compiled, from the cache file where it was compiled before.

    Args:
        paths: Files and folders; folders are searched for .yml and .yaml.
        cache: SQLite file, made where it is not there; None keeps nothing.
        placeholders: Values for rules with the ``expand`` modifier.

    Raises:
        ConfigError: A path does not exist.
    """
    files = rule_files(paths)
    filled = placeholders or {}
    salt = _salt(filled)

    def compile_(text: str, source: str) -> list[dict[str, Any]]:
        # Parsing is imported where something must be parsed: it takes longer than a cached load.
        from huntonce.connectors.sigma.reading import compile_text  # noqa: PLC0415

        return compile_text(text, source, filled)

    if cache is None:
        bodies = [_read(file, compile_) for file in files]
        return _assembled(bodies, len(files))
    cache.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _assembled(_cached(files, cache, salt, compile_), len(files))
    except sqlite3.OperationalError:
        # Locked, read-only or full: somebody else may be at work in it, so it stays as it is.
        return load_pack(paths, None, placeholders)
    except sqlite3.DatabaseError:
        # A damaged cache is no loss: what it held can be made again.
        for part in cache.parent.glob(f"{glob.escape(cache.name)}*"):
            part.unlink(missing_ok=True)
        return _assembled(_cached(files, cache, salt, compile_), len(files))


def _salt(placeholders: "dict[str, list[str]]") -> str:
    parts = [str(IR_VERSION), version("pysigma"), version("pyarrow"), orjson.dumps(
        placeholders, option=orjson.OPT_SORT_KEYS).decode()]  # fmt: skip
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _assembled(bodies: Iterable[bytes], files: int) -> RulePack:
    documents = orjson.loads(
        b"[" + b",".join(body[1:-1] for body in bodies if body != b"[]") + b"]"
    )
    return assemble(documents, files)


def _cached(files: Sequence[RuleFile], cache: Path, salt: str, compile_: Compile) -> list[bytes]:
    with closing(sqlite3.connect(cache, timeout=_TIMEOUT)) as database:
        database.executescript(f"PRAGMA journal_mode=WAL;{_SCHEMA}")
        known = {
            name: (size, mtime, checked, body)
            for name, size, mtime, checked, body in database.execute(
                "SELECT name, size, mtime, checked, body FROM seen JOIN compiled USING (key)"
                " WHERE salt = ?",
                (salt,),
            )
        }
        now = time.time_ns()
        bodies: list[bytes] = []
        fresh: list[tuple[RuleFile, str, bytes]] = []
        for file in files:
            held = known.get(file.name)
            if held is not None and _unchanged(file, held):
                bodies.append(held[3])
                continue
            try:
                content = _content(file.path)
            except OSError as error:
                bodies.append(_unread(file, error))  # not kept: it may be readable next time
                continue
            key = hashlib.sha256(
                b"\n".join((salt.encode(), file.source.encode("utf-8", "surrogateescape"), content))
            ).hexdigest()
            body = _stored(database, key)
            if body is None:
                body = _body(content, file.source, compile_)
            fresh.append((file, key, body))
            bodies.append(body)
        if fresh:
            _store(database, fresh, salt, now)
    return bodies


def _unchanged(file: RuleFile, held: tuple[int, int, int, bytes]) -> bool:
    size, mtime, checked, _ = held
    return file.size == size and file.mtime == mtime and checked - mtime > _RACY_NS


def _stored(database: sqlite3.Connection, key: str) -> bytes | None:
    row = database.execute("SELECT body FROM compiled WHERE key = ?", (key,)).fetchone()
    return row[0] if row else None


def _store(
    database: sqlite3.Connection,
    fresh: Sequence[tuple[RuleFile, str, bytes]],
    salt: str,
    now: int,
) -> None:
    with database:
        database.executemany(
            "INSERT OR IGNORE INTO compiled VALUES (?, ?)", [(key, body) for _, key, body in fresh]
        )
        database.executemany(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)",
            [(file.name, salt, file.size, file.mtime, now, key) for file, key, _ in fresh],
        )


def _content(path: str) -> bytes:
    with open(path, "rb") as stream:  # noqa: PTH123 - a plain string path
        return stream.read(_MAX_BYTES + 1)


def _read(file: RuleFile, compile_: Compile) -> bytes:
    try:
        return _body(_content(file.path), file.source, compile_)
    except OSError as error:
        return _unread(file, error)


def _unread(file: RuleFile, error: OSError) -> bytes:
    return _fault(file.source, f"cannot be read: {error.strerror or error}")


def _fault(source: str, reason: str) -> bytes:
    return orjson.dumps(
        [{"kind": "fault", "id": "", "title": "", "source": source, "reason": reason}]
    )


def _body(content: bytes, source: str, compile_: Compile) -> bytes:
    try:
        return orjson.dumps(compile_(content.decode("utf-8-sig"), source))
    except UnicodeDecodeError as error:
        return _fault(source, f"not UTF-8: {error.reason} at byte {error.start}")

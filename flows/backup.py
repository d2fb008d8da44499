"""The whole home in one file, and a home out of one. Imports no Prefect.

The file is a zip. ``manifest.json``, its last member, names every other one with size and SHA-256;
what is in the zip and not in the manifest, or the other way round, is refused at restore. Databases
are copied by SQLite's online backup and the lake under its writer lock, the databases first: the
lake may hold more than the store knows, never less. Nothing is encrypted: it holds the home's
secrets and is as worthy of protection as the home.
"""

import hashlib
import json
import os
import secrets
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

from huntonce.flows.bootstrap import Home
from huntonce.models.errors import ConfigError
from huntonce.models.state.copying import copy_database, is_database

MANIFEST, FORMAT = "manifest.json", 1
_DATABASES = ("-wal", "-shm", "-journal")
_PASSING = frozenset({".staging", ".trash", "cache", "__pycache__"})
"""Folders that are made anew: of loads under way, and of what is only kept to be quick."""
_LOCKS = ".lock"
_PACKED = (".parquet", ".arrow", ".gz", ".zip")
_CHUNK = 1024 * 1024
_STORE = "the store is elsewhere (store.url): back it up there, PostgreSQL by pg_dump"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A backup that was written.

    Attributes:
        outside: What the settings name that is not in the home, and so not in the file.
        store: What to do about a store that is not in it; empty where it is.
    """

    path: Path
    files: int
    size: int
    outside: tuple[str, ...]
    store: str


def write_backup(home: Home, path: Path) -> Saved:
    """Put the home into a file that is not there yet; it appears whole or not at all.

    Raises:
        ConfigError: There is no home, or the file is there, lies in the home or cannot be written.
        StateError: A database is damaged or stays locked.
        TransientError: The lake is being written to and that does not end.
    """
    from huntonce.connectors.siem.lake.upkeep import writing

    if not home.path.is_dir():
        raise ConfigError(f"{home.path} is not there", hint="name another --home")
    if path.resolve().is_relative_to(home.path.resolve()):
        raise ConfigError(f"{path} is inside the home", hint="a backup belongs somewhere else")
    if path.exists():
        raise ConfigError(f"{path} exists already", hint="name another file, or remove it first")
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with (
                zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive,
                tempfile.TemporaryDirectory(dir=path.parent, prefix=".huntonce-") as scratch,
            ):
                noted: dict[str, dict[str, object]] = {}
                databases = [one for one in _members(home.path) if is_database(one)]
                for one in databases:
                    copy = Path(scratch, "copy.db")
                    copy_database(one, copy)
                    _pack(archive, copy, _name(home.path, one), noted)
                    copy.unlink()
                known = set(databases)
                if home.lake_path.is_dir():
                    with writing(home.lake_path):
                        _pack_rest(archive, home.path, known, noted)
                else:
                    _pack_rest(archive, home.path, known, noted)
                archive.writestr(MANIFEST, _manifest(home, noted))
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)  # unlike a rename it overwrites nothing
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}",
            hint="see that its folder is there and may be written, and that the disk is not full",
        ) from error
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return Saved(
        path=path,
        files=len(noted),
        size=path.stat().st_size,
        outside=_outside(home),
        store=_STORE if _elsewhere(home) else "",
    )


def _pack_rest(
    archive: zipfile.ZipFile,
    home: Path,
    known: set[Path],
    noted: dict[str, dict[str, object]],
) -> None:
    for one in _members(home):
        if one not in known and not is_database(one):
            with suppress(FileNotFoundError):  # a hunt's memory went meanwhile
                _pack(archive, one, _name(home, one), noted)


def _members(home: Path) -> Iterator[Path]:
    """Regular files that belong into a backup, in order; links are not followed."""
    for folder, folders, names in os.walk(home):
        folders[:] = sorted(name for name in folders if name not in _PASSING)
        for name in sorted(names):
            if name.endswith(_LOCKS) or any(
                name.endswith(end) and name.removesuffix(end) in names for end in _DATABASES
            ):
                continue
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _name(home: Path, path: Path) -> str:
    return path.relative_to(home).as_posix()


def _pack(
    archive: zipfile.ZipFile, path: Path, name: str, noted: dict[str, dict[str, object]]
) -> None:
    info = zipfile.ZipInfo(name)
    packed = path.name.endswith(_PACKED)
    info.compress_type = zipfile.ZIP_STORED if packed else zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | 0o600) << 16
    with path.open("rb") as source, archive.open(info, "w", force_zip64=True) as target:
        size, digest = copy_hashed(source, target)
    noted[name] = {"size": size, "sha256": digest}


def copy_hashed(source: IO[bytes], target: IO[bytes], most: int | None = None) -> tuple[int, str]:
    """Copy and return size and SHA-256; stops after ``most`` bytes and one chunk."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        size += len(chunk)
        if most is not None and size > most:
            break
        digest.update(chunk)
        target.write(chunk)
    return size, digest.hexdigest()


def _manifest(home: Home, noted: Mapping[str, Mapping[str, object]]) -> str:
    return json.dumps(
        {
            "format": FORMAT,
            "huntonce": version("huntonce"),
            "made_at": home.clock().isoformat(),
            "store": "elsewhere" if _elsewhere(home) else "here",
            "files": noted,
        },
        indent=1,
    )


def _elsewhere(home: Home) -> bool:
    return bool(home.settings.store.url.get_secret_value())


def _outside(home: Home) -> tuple[str, ...]:
    """What the settings name, and links in the home, that lie elsewhere."""
    settings = home.settings
    named = [*settings.content, *settings.sigma.rules, settings.rules.folder]
    for part in (*settings.intel.values(), *settings.publish.values()):
        named += [path for path in (part.certificate, part.key, part.ca) if path]
    for desk in settings.desks.values():
        named += [path for path in (desk.token_file, desk.ca) if path]
    if settings.organisation.assets:
        named.append(Path(settings.organisation.assets))
    top = home.path.resolve()
    found = {str(home.path / path) for path in named}
    found |= {str(path) for path in home.path.rglob("*") if path.is_symlink()}
    return tuple(sorted(path for path in found if not Path(path).resolve().is_relative_to(top)))

"""A home out of a backup; nothing in the file is believed before it was checked. No Prefect."""

import json
import secrets
import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from huntonce.flows.backup import FORMAT, MANIFEST, copy_hashed
from huntonce.models.errors import ConfigError, HuntonceError

MOST_FILES, MOST_MANIFEST = 1_000_000, 256 * 1024**2
MOST_TIMES, UNJUDGED = 200, 64 * 1024**2
"""How many times its size a file may unpack to, once that is more than ``UNJUDGED`` bytes: real
homes stay below 20, deflate itself reaches 1000."""
_LEFT_FREE = 64 * 1024**2
_DAMAGED = "it is damaged or was changed: use another backup"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A home that was made from a backup.

    Attributes:
        made_at: When the backup was made.
        rows: Length of the transition log; None where the store is elsewhere.
        broken: First row of the log that does not follow; None where it is whole.
    """

    path: Path
    files: int
    made_at: str
    store: str
    rows: int | None = None
    broken: int | None = None


def restore_backup(path: Path, home: Path) -> Restored:
    """Make a home that is not there, or is empty; it appears whole or not at all.

    Raises:
        ConfigError: There is something in the home, or the file is not a whole backup.
    """
    if home.is_symlink() or (home.exists() and (not home.is_dir() or any(home.iterdir()))):
        raise ConfigError(
            f"{home} is not empty", hint="name a --home that is not there; nothing was changed"
        )
    fresh = home.with_name(f".{home.name}.{secrets.token_hex(4)}")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(path, archive)
            _fits(path, manifest, home.parent)
            fresh.mkdir(mode=0o700)
            for name, told in manifest["files"].items():
                _unpack(path, archive, fresh, name, told)
        if home.is_dir():
            home.rmdir()
        fresh.rename(home)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise ConfigError(f"{path} is not a whole backup: {error}", hint=_DAMAGED) from error
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be restored: {error.strerror or error}",
            hint="see that it may be read, that the home's place may be written, and free space",
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    rows, broken = _chain(home)
    return Restored(
        path=home,
        files=len(manifest["files"]),
        made_at=str(manifest.get("made_at", "")),
        store=str(manifest.get("store", "")),
        rows=rows,
        broken=broken,
    )


def _manifest(path: Path, archive: zipfile.ZipFile) -> Mapping[str, Any]:
    """The manifest, once it and the zip's list agree and no name leads out of the home."""
    members = archive.infolist()
    if len(members) > MOST_FILES:
        raise ConfigError(f"{path} has more than {MOST_FILES:,} files", hint=_DAMAGED)
    names = [info.filename for info in members]
    if len(set(names)) != len(names):
        raise ConfigError(f"{path} has two files of one name", hint=_DAMAGED)
    if MANIFEST not in names:
        raise ConfigError(f"{path} has no {MANIFEST}", hint="it is not a backup of Huntonce")
    with archive.open(MANIFEST) as file:
        text = file.read(MOST_MANIFEST + 1)
    try:
        found = json.loads(text) if len(text) <= MOST_MANIFEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("files"), dict):
        raise ConfigError(f"{path}: its {MANIFEST} cannot be read", hint=_DAMAGED)
    if found.get("format") != FORMAT:
        raise ConfigError(
            f"{path} is a backup of format {found.get('format')!r}, this version reads {FORMAT}",
            hint="use the version of Huntonce that wrote it, or a newer one",
        )
    if set(names) - {MANIFEST} != set(found["files"]):
        raise ConfigError(f"{path} holds other files than it names", hint=_DAMAGED)
    for info in members:
        _check_name(path, info)
    return found


def _check_name(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename
    kind = stat.S_IFMT(info.external_attr >> 16)
    parts = PurePosixPath(name).parts
    if (
        kind not in {0, stat.S_IFREG}
        or not parts
        or name.startswith("/")
        or name != "/".join(parts)
        or any(part in {".", ".."} for part in parts)
        or any(sign in name for sign in ("\\", "\x00"))
        or (len(parts[0]) > 1 and parts[0][1] == ":")
    ):
        raise ConfigError(
            f"{path}: {name!r} is not a plain file inside a home",
            hint="nothing was unpacked; this file was not made by huntonce backup",
        )


def _fits(path: Path, manifest: Mapping[str, Any], place: Path) -> None:
    sizes = [
        told.get("size") if isinstance(told, dict) else None for told in manifest["files"].values()
    ]
    if not all(isinstance(size, int) and size >= 0 for size in sizes):
        raise ConfigError(f"{path}: its {MANIFEST} cannot be read", hint=_DAMAGED)
    total = sum(size for size in sizes if isinstance(size, int))
    if total > max(UNJUDGED, MOST_TIMES * path.stat().st_size):
        raise ConfigError(
            f"{path} would unpack to {total:,} bytes, more than {MOST_TIMES} times its size",
            hint="nothing was unpacked; no backup of a home is like that",
        )
    free = shutil.disk_usage(place).free
    if total + _LEFT_FREE > free:
        raise ConfigError(
            f"{path} needs {total:,} bytes, {free:,} are free at {place}",
            hint="free some space, or name a --home on another disk",
        )


def _unpack(
    path: Path, archive: zipfile.ZipFile, home: Path, name: str, told: Mapping[str, Any]
) -> None:
    target = home / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with archive.open(name) as source, target.open("xb") as file:
        target.chmod(0o600)
        size, digest = copy_hashed(source, file, most=told["size"])
    if (size, digest) != (told["size"], told.get("sha256")):
        raise ConfigError(f"{path}: {name} is not what was backed up", hint=_DAMAGED)


def _chain(home: Path) -> tuple[int | None, int | None]:
    """Length of the log, and its first wrong row; the store is not upgraded by looking."""
    from huntonce.models.state.store import open_store, sqlite_url

    if not (home / "huntonce.db").is_file():
        return None, None
    try:
        with (
            open_store(sqlite_url(home / "huntonce.db"), upgrade=False) as store,
            store.unit() as unit,
        ):
            broken = unit.log.verify()
            return (len(unit.log.rows()) if broken is None else 0), broken
    except HuntonceError:
        return 0, 1

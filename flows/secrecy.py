"""What other accounts of this machine can read or change of a home. Imports no Prefect."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from huntonce.flows.bootstrap import Home
from huntonce.flows.settings import FILE

_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_WRITE = stat.S_IWGRP | stat.S_IWOTH
_ENTER = stat.S_IXGRP | stat.S_IXOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What stands open.

    Attributes:
        worst: Secrets that others can read, things they can change.
        wide: What they can see and need not.
    """

    worst: tuple[str, ...]
    wide: tuple[str, ...]


def open_to_others(home: Home, *, known: bool) -> Exposure:
    """What the permissions of the home let others do.

    A home that only its owner can enter guards all that is in it; files elsewhere stand alone.

    Args:
        home: The home.
        known: Whether its settings can be read: they name files elsewhere.
    """
    worst: list[str] = []
    wide: list[str] = []
    top = home.path.stat()
    mode = stat.S_IMODE(top.st_mode)
    if mode & _WRITE:
        worst.append(f"others may put files into {home.path} ({mode:o})")
    if top.st_uid != os.geteuid():
        wide.append(f"{home.path} belongs to another user ({top.st_uid})")
    if mode & _ENTER:
        if not worst:
            wide.append(f"others may look into {home.path} ({mode:o})")
        worst += _inside(home.path)
    if known:
        worst += [
            f"others may read {path} ({bits:o})"
            for path in _named(home)
            if (bits := _mode(path)) & _OTHERS and (mode & _ENTER or _outside(path, home.path))
        ]
    return Exposure(worst=tuple(dict.fromkeys(worst)), wide=tuple(wide))


def _inside(home: Path) -> Iterator[str]:
    for path in (home / FILE, *sorted((home / "mask-keys").glob("*.key"))):
        if _mode(path) & _OTHERS:
            yield f"others may read {path} ({_mode(path):o})"
    for folder, folders, names in os.walk(home):
        for name in sorted(folders + names):
            path = Path(folder, name)
            if _mode(path) & _WRITE:
                yield f"others may change {path} ({_mode(path):o})"


def _named(home: Home) -> Iterator[Path]:
    """Files with secrets that the settings name."""
    settings = home.settings
    for part in (*settings.intel.values(), *settings.publish.values()):
        yield from (home.path / p for p in (part.key or part.certificate,) if p)
    yield from (home.path / p for p in (settings.taxii.key or settings.taxii.certificate,) if p)
    for desk in settings.desks.values():
        yield from (home.path / p for p in (desk.token_file,) if p)


def _mode(path: Path) -> int:
    """Permission bits; 0 where nothing is, or a link (its bits mean nothing)."""
    try:
        found = path.lstat()
    except OSError:
        return 0
    return 0 if stat.S_ISLNK(found.st_mode) else stat.S_IMODE(found.st_mode)


def _outside(path: Path, home: Path) -> bool:
    return not path.resolve().is_relative_to(home.resolve())

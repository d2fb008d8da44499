"""Which files of a partition count, where small ones were merged into a larger one.

A merged file ``merged-<hash>.parquet`` counts from the moment that its note ``merged-<hash>.json``
is there, and from that moment the files that the note names do not: one rename changes both. The
replaced files stay a while for readers that have listed them already.
"""

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import orjson

from huntonce.models.errors import TransientError

Tree = Mapping[str, tuple[str, ...]]
"""A merged file's name to the names it was made of, and so on for those of them that were merged
before."""

PREFIX = "merged-"
NOTE = ".json"
DATA = ".parquet"
_KEY = "made_of"
_LOOKS = 3


def counted(folder: Path) -> list[str]:
    """Names of the finished files of a partition that count, in order.

    Raises:
        TransientError: A note cannot be read: what it replaces is not known then.
    """
    names = _names(folder)
    for _ in range(_LOOKS):
        # A note is written after its file: one without was seen between the two, or its file is
        # gone, and then it says nothing.
        if all(data_name(name) in names for name in names if name.endswith(NOTE)):
            break
        names = _names(folder)
    noted = {data_name(name): name for name in names if name.endswith(NOTE)}
    gone: set[str] = set()
    for data in noted.keys() & names:
        gone |= replaced(tree(folder / noted[data]))
    return sorted(
        name
        for name in names
        if name.endswith(DATA)
        and name not in gone
        and (name in noted or not name.startswith(PREFIX))
    )


def replaced(found: Tree) -> frozenset[str]:
    """Every name that a merged file stands for."""
    return frozenset(name for names in found.values() for name in names)


def tree_of(data: Path) -> Tree:
    """What a file was made of; empty for one that was not merged."""
    note = note_path(data)
    return tree(note) if data.name.startswith(PREFIX) and note.exists() else {}


def note_path(data: Path) -> Path:
    """Where the note of a merged file is."""
    return data.with_suffix(NOTE)


def data_name(note: str) -> str:
    """The name of the file that a note belongs to."""
    return note.removesuffix(NOTE) + DATA


@lru_cache(maxsize=16_384)
def tree(note: Path) -> Tree:
    """What a note says; it never changes, because its name comes from what it names.

    Raises:
        TransientError: It cannot be read.
    """
    try:
        made_of = orjson.loads(note.read_bytes())[_KEY]
        return {str(name): tuple(map(str, names)) for name, names in made_of.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TransientError(
            f"a note of the lake cannot be read: {note.name}: {error}",
            connector="lake",
            hint="repeat; if it stays, delete that note and the file of the same name, and load "
            "their sources again",
        ) from error


def encode(found: Tree) -> bytes:
    """A note's content."""
    return orjson.dumps({_KEY: {name: list(names) for name, names in found.items()}})


def _names(folder: Path) -> frozenset[str]:
    try:
        listed = [entry.name for entry in os.scandir(folder)]
    except FileNotFoundError:
        return frozenset()
    return frozenset(
        name
        for name in listed
        if name[0] != "."
        and (name.endswith(DATA) or (name.startswith(PREFIX) and name.endswith(NOTE)))
    )

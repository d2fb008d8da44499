"""Which files of the lake the sweeps have searched alike, for whoever merges files."""

import sqlite3
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import closing
from pathlib import Path

from huntonce.connectors.siem.sweep.state import DATABASE, FOLDER


def searched_alike(root: Path) -> Callable[[Iterable[Path]], Mapping[Path, Hashable]]:
    """Tells a compaction which files the sweeps have searched alike.

    Only those may be merged, or else some of their events would be searched again.
    """

    def alike(paths: Iterable[Path]) -> Mapping[Path, Hashable]:
        done = _done_by_name(root)
        return {path: done.get("/".join(path.parts[-3:]), frozenset()) for path in paths}

    return alike


def _done_by_name(root: Path) -> Mapping[str, frozenset[int]]:
    path = root / FOLDER / DATABASE
    if not path.exists():
        return {}
    done: dict[str, frozenset[int]] = {}
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            rows = database.execute(
                "SELECT name, ruleset FROM files JOIN done ON done.file = files.id"
            ).fetchall()
    except sqlite3.Error:
        return {}  # no sweep was finished, or the state is damaged and will be made anew
    for name, ruleset in rows:
        channel, day, file = name.rsplit("/", 2)
        key = f"channel={channel}/day={day}/{file}"
        done[key] = done.get(key, frozenset()) | {ruleset}
    return done

"""Several searches counted over the lake in one pass, by host and hour.

What is asked of a class of events is folded first, as in a sweep: most searches fall away by the
event id alone, and what is left is asked of each different value once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sigma.rule import SigmaRule

from huntonce.connectors.siem.fieldnames import FieldNames
from huntonce.connectors.siem.sweep.batch import batches, class_ids, open_batch
from huntonce.connectors.siem.sweep.catalog import LakeFile
from huntonce.connectors.siem.sweep.folding import (
    ClassContext,
    ColumnKey,
    Folded,
    columns_of,
    fold,
)
from huntonce.connectors.siem.sweep.surveying import HOUR, SurveyFile, Surveyor, Unusual, span_of
from huntonce.connectors.siem.sweep.verifying import holds
from huntonce.connectors.sigma.compiling import compile_detections
from huntonce.connectors.sigma.ir import Condition, Op, atoms
from huntonce.connectors.sigma.logsource import Variant, variants
from huntonce.connectors.sigma.rules import logsource_of
from huntonce.models.query import COUNT_SCHEMA, sum_counts
from huntonce.models.windows import Window

_SURE = frozenset({Op.EQ, Op.CONTAINS, Op.STARTSWITH, Op.ENDSWITH, Op.NUMBER})
"""What is asked here; everything else is left to the lake's own search."""

Files = Callable[[str], Sequence[SurveyFile]]
"""The files of a channel by its folder's name, "" for all."""
_Live = list[tuple[int, Folded | bool]]


@dataclass(frozen=True, slots=True)
class Counted:
    """A search that can be counted here."""

    condition: Condition
    places: tuple[Variant, ...]


def countable(rule: SigmaRule) -> Counted | None:
    """The rule as it is counted here; None where only the lake's search can.

    Raises:
        DomainError: It cannot be run as it is meant.
    """
    condition = compile_detections(rule.detection, {})
    if any(atom.op not in _SURE or atom.field is None for atom in atoms(condition)):
        return None
    return Counted(condition, variants(logsource_of(rule)))


def count_all(
    surveyor: Surveyor, files: Files, searches: Sequence[Counted], window: Window
) -> list[pa.Table]:
    """``COUNT_SCHEMA`` for each search.

    Raises:
        Unusual, pa.ArrowException, OSError: See ``surveying``.
        TransientError: A file cannot be read.
    """
    span = span_of(window)
    parts: list[list[pa.Table]] = [[COUNT_SCHEMA.empty_table()] for _ in searches]
    for place, wanted in _by_place(searches):
        found = [file for file in files(place.channel) if file.touches(span)]
        asked = _Asked(place, {number: searches[number].condition for number in wanted}, found)
        held = [_lake_file(file, asked) for file in found]
        by_path = {file.path: file for file in found}
        for share in batches([file for file in held if file is not None]):
            with closing(open_batch(share)) as batch:
                for event_id in class_ids(share):
                    live = asked.live(event_id)
                    if not live:
                        continue
                    rows = batch.of_class(event_id)
                    names = {key.name for _, one in live for key in _columns(one)}
                    batch.prefetch(sorted(names))
                    every = np.arange(len(rows))
                    for number, one in live:
                        at = every
                        if not isinstance(one, bool):
                            at = np.flatnonzero(holds(one, every, rows.column))
                        for file_at, _, inside in batch.place(rows.rows[at]):
                            file = by_path[batch.files[file_at].path]
                            parts[number].append(_counts(surveyor, file, inside, span))
    return [sum_counts(pa.concat_tables(found)) for found in parts]


class _Asked:
    """What some searches of one place ask of each class, as far as it depends on the event."""

    def __init__(
        self, place: Variant, conditions: Mapping[int, Condition], files: Sequence[SurveyFile]
    ) -> None:
        self._place = place
        self._conditions = conditions
        spellings: dict[str, str] = {}
        columns: dict[int, dict[str, None]] = {}
        layouts: set[tuple[int, tuple[str, ...]]] = set()
        for names in dict.fromkeys(file.names for file in files):
            for name in names:
                if spellings.setdefault(name.lower(), name) != name:
                    raise Unusual  # a field in two spellings
        for file in files:
            for run in file.classes.runs:
                layout = (run.event_id, run.columns)
                if layout not in layouts:
                    layouts.add(layout)
                    columns.setdefault(run.event_id, {}).update(dict.fromkeys(run.columns))
        self._names = FieldNames(place, spellings.values())
        self._columns = columns
        self._live: dict[int, _Live] = {}

    def live(self, event_id: int) -> _Live:
        """The searches that an event of a class can match, with what is left to ask."""
        known = self._live.get(event_id)
        if known is None:
            known = []
            if not self._place.event_ids or event_id in self._place.event_ids:
                context = ClassContext(
                    self._place, event_id, tuple(self._columns[event_id]), self._names
                )
                for number, condition in self._conditions.items():
                    outcome = fold(condition, context)
                    if outcome is not False:
                        known.append((number, outcome))
            self._live[event_id] = known
        return known


def _columns(folded: Folded | bool) -> list[ColumnKey]:
    return [] if isinstance(folded, bool) else columns_of(folded)


def _by_place(searches: Sequence[Counted]) -> Iterable[tuple[Variant, list[int]]]:
    """Each place with the searches that look there."""
    found: list[tuple[Variant, list[int]]] = []
    for number, search in enumerate(searches):
        for place in search.places:
            for known, numbers in found:
                if known == place:
                    numbers.append(number)
                    break
            else:
                found.append((place, [number]))
    return found


def _lake_file(file: SurveyFile, asked: _Asked) -> LakeFile | None:
    """The file as a sweep reads it; None where no search can match in it."""
    classes = file.classes
    if not any(asked.live(run.event_id) for run in classes.runs):
        return None
    return LakeFile(
        id=0,
        name=file.path.name,
        path=file.path,
        channel=file.channel,
        first=classes.first,
        last=classes.last,
        ordered=classes.ordered,
        runs=classes.runs,
    )


def _counts(
    surveyor: Surveyor, file: SurveyFile, rows: npt.NDArray[np.intp], span: tuple[int, int]
) -> pa.Table:
    """Some rows of a file by host and hour."""
    names, codes = surveyor.hosts(file)
    times = surveyor.times(file)[rows]
    host = codes[rows]
    if not file.within(span):
        inside = (times >= span[0]) & (times < span[1])
        times, host = times[inside], host[inside]
    hour = times // HOUR
    first = int(hour.min()) if len(hour) else 0
    width = int(hour.max()) - first + 1 if len(hour) else 1
    key, events = np.unique(host.astype(np.int64) * width + (hour - first), return_counts=True)
    host_at, hour_at = np.divmod(key, width)
    return pa.table(
        [
            pa.DictionaryArray.from_arrays(
                pa.array(host_at.astype(np.int32)), pa.array(names, pa.string())
            ).cast(pa.string()),
            pa.array((hour_at + first) * HOUR).cast(COUNT_SCHEMA.field("hour").type),
            pa.array(events.astype(np.int64)),
        ],
        schema=COUNT_SCHEMA,
    )

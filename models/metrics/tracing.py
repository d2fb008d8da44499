"""Tracing: from a number to the rows of the transition log that it rests on."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from huntonce.models.metrics.measure import Measures
from huntonce.models.metrics.records import EVER, Period, Records
from huntonce.models.transition import Transition

_YIELD = ("hypotheses", "hunts", "gaps_surfaced", "detections_promoted", "cases_opened")
SPLITS: Mapping[str, tuple[str, ...]] = {
    "gaps_open_by_kind_and_age": ("gaps_open",),
    "remediation_by_kind": ("remediation_hours",),
    "remediation_by_owner": ("remediation_hours",),
    "techniques_newly_guarded": ("techniques_newly_guarded",),
    "detections_by_source": ("detections_promoted",),
    "yield_by_feed": (
        "hypotheses",
        "hunts",
        "gaps_surfaced",
        "detections_promoted",
        "cases_opened",
    ),
    "yield_by_actor": (
        "hypotheses",
        "hunts",
        "gaps_surfaced",
        "detections_promoted",
        "cases_opened",
    ),
}
"""A table to the numbers whose things it sorts."""


def things_behind(measures: Measures, name: str) -> tuple[str, ...]:
    """Ids of the things that a number was counted from, or that a table sorts."""
    names = (name,) if name in measures.numbers else SPLITS[name]
    return tuple(dict.fromkeys(item for one in names for item in measures.numbers[one].rows))


def rows_behind(
    records: Records, ids: Iterable[str], period: Period = EVER
) -> tuple[Transition, ...]:
    """The rows that tell the life of each thing up to the end of a period, in order of the log.

    A thing is named as numbers name what they were counted from: by its short id, a published
    object by its STIX id, a technique by the detections of it.
    """
    lives: dict[str, list[Transition]] = defaultdict(list)
    for row in records.log:
        lives[row.subject].append(row)
    also: dict[str, list[str]] = defaultdict(list)
    for publication in records.publications:
        also[publication.object_id].append(publication.id)
    for detection in records.detections:
        for technique in detection.technique_ids:
            also[technique].append(detection.id)
    found = {
        row.seq: row
        for name in ids
        for subject in (name, *also.get(name, ()))
        for row in lives.get(subject, ())
        if period.over(row.at)
    }
    return tuple(found[seq] for seq in sorted(found))

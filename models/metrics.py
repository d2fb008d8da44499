"""Metrics: the three outcomes with equal billing, computed from the transition log."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from huntonce.models.entity import Kind
from huntonce.models.hunt import HuntRun
from huntonce.models.hypothesis import Verdict
from huntonce.models.transition import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Numbers of the programme up to a moment.

    Attributes:
        remediation_hours: Median over closed gaps of surfaced to the first passing probe of the
            run that verified; None where none was closed.
        ruled_out_power: Sum of the powers of the hypotheses ruled out: what they are worth.
    """

    gaps_surfaced: int
    gaps_closed: int
    gaps_open: int
    gaps_regressed: int
    remediation_hours: float | None
    detections_promoted: int
    detections_retired: int
    cases_opened: int
    cases_closed: int
    hypotheses: int
    hunts: int
    confirmed: int
    ruled_out: int
    ruled_out_power: float
    inconclusive: int
    blocked: int


def measure(log: Iterable[Transition], hunts: Sequence[HuntRun]) -> Metrics:
    """Count what the log records; verdicts are those of each hypothesis' last concluded hunt."""
    rows: dict[str, dict[str, list[Transition]]] = defaultdict(lambda: defaultdict(list))
    for row in log:
        rows[row.kind][row.subject].append(row)
    gaps = rows[Kind.GAP].values()
    closed = [life for life in gaps if life[-1].after == "closed"]
    hours = [spent for life in closed if (spent := remediation_hours(life)) is not None]
    detections = list(rows[Kind.DETECTION].values())
    last = {run.hypothesis_key: run for run in hunts if run.verdict is not None}
    verdicts = [run.verdict for run in last.values()]
    ruled_out = [run for run in last.values() if run.verdict is Verdict.RULED_OUT]
    return Metrics(
        gaps_surfaced=len(gaps),
        gaps_closed=len(closed),
        gaps_open=sum(life[-1].after not in {"closed", "risk_accepted"} for life in gaps),
        gaps_regressed=sum(any(row.after == "regressed" for row in life) for life in gaps),
        remediation_hours=median(hours) if hours else None,
        detections_promoted=sum(
            any(row.after in {"experimental", "test", "stable"} for row in life)
            for life in detections
        ),
        detections_retired=sum(life[-1].after == "retired" for life in detections),
        cases_opened=len(rows[Kind.CASE]),
        cases_closed=sum(life[-1].after == "closed" for life in rows[Kind.CASE].values()),
        hypotheses=len(rows[Kind.HYPOTHESIS]),
        hunts=sum(run.verdict is not None for run in hunts),
        confirmed=verdicts.count(Verdict.CONFIRMED_MALICIOUS),
        ruled_out=len(ruled_out),
        ruled_out_power=sum(run.power.value for run in ruled_out if run.power is not None),
        inconclusive=verdicts.count(Verdict.INCONCLUSIVE),
        blocked=verdicts.count(Verdict.BLOCKED),
    )


def remediation_hours(life: Sequence[Transition]) -> float | None:
    """Hours from a gap's surfacing to the first passing probe of the run that verified it.

    None where it was never closed. ``life`` is the gap's rows in order.
    """
    ends = [index for index, row in enumerate(life) if row.after == "closed"]
    if not ends:
        return None
    surfaced = _start(life[: ends[-1]])
    verifying = [row.at for row in life[: ends[-1]] if row.after == "verifying"]
    first_pass = verifying[-1] if verifying else life[ends[-1]].at
    return (first_pass - surfaced).total_seconds() / 3600


def _start(life: Sequence[Transition]) -> datetime:
    """When the gap last came up: its birth, or its last regression."""
    ups = [row.at for row in life if row.before == "" or row.after == "regressed"]
    return ups[-1]

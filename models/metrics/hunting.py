"""Numbers of hunting: cases, verdicts with their power, and how long intel takes to become one."""

from collections.abc import Mapping
from datetime import datetime

from huntonce.models.case import Determination
from huntonce.models.entity import Kind
from huntonce.models.hypothesis import Hypothesis, Verdict
from huntonce.models.metrics.number import Number, counted
from huntonce.models.metrics.records import Period, Records, hours, quantile, state_at

_VERDICTS = {
    "confirmed": Verdict.CONFIRMED_MALICIOUS,
    "ruled_out": Verdict.RULED_OUT,
    "inconclusive": Verdict.INCONCLUSIVE,
    "blocked": Verdict.BLOCKED,
}


def hunt_numbers(records: Records, period: Period) -> Mapping[str, Number]:
    """The numbers of cases, hunts and hypotheses by name."""
    born = records.of(Kind.HYPOTHESIS)
    last = records.last_hunts(period)
    ruled_out = [run for run in last.values() if run.verdict is Verdict.RULED_OUT]
    ids = {h.key: h.id for h in records.hypotheses}
    looked = {ids.get(key, key) for key in records.last_hunts(Period(end=period.end))}
    return {
        **_cases(records, period),
        "hypotheses": counted(h for h, life in born.items() if period.has(life[0].at)),
        "not_hunted": counted(
            h
            for h, life in born.items()
            if h not in looked and state_at(life, period) not in {"", "superseded"}
        ),
        "hunts": counted(run.id for at, run in records.concluded if period.has(at)),
        **{
            name: counted(ids.get(k, k) for k, run in last.items() if run.verdict is verdict)
            for name, verdict in _VERDICTS.items()
        },
        "ruled_out_power": Number(
            value=sum(run.power.value for run in ruled_out if run.power is not None),
            rows=tuple(run.id for run in ruled_out),
        ),
        **_latencies(records, period),
    }


def _cases(records: Records, period: Period) -> Mapping[str, Number]:
    lives = records.of(Kind.CASE)
    closed = {
        case: life[-1].at
        for case, life in lives.items()
        if life[-1].after == "closed" and period.has(life[-1].at)
    }
    by_id = {case.id: case.determination for case in records.cases}
    spent = [hours(at - lives[case][0].at) for case, at in closed.items()]
    return {
        "cases_opened": counted(c for c, life in lives.items() if period.has(life[0].at)),
        "cases_closed": counted(closed),
        "cases_confirmed": counted(c for c in closed if by_id.get(c) is Determination.CONFIRMED),
        "cases_false": counted(c for c in closed if by_id.get(c) is Determination.FALSE_POSITIVE),
        "case_hours": Number(value=quantile(spent, 0.5), rows=tuple(closed)),
    }


def _latencies(records: Records, period: Period) -> Mapping[str, Number]:
    """Medians over the hypotheses that got their first verdict, or were born, in the period."""
    first: dict[str, datetime] = {}
    for at, run in records.concluded:
        first.setdefault(run.hypothesis_key, at)
    derived: dict[str, float] = {}
    decided: dict[str, float] = {}
    whole: dict[str, float] = {}
    for hypothesis in records.hypotheses:
        born = records.born(Kind.HYPOTHESIS, hypothesis.id)
        if born is None:
            continue
        published = _published(hypothesis, born)
        if published is not None and period.has(born):
            derived[hypothesis.id] = hours(born - published)
        verdict = first.get(hypothesis.key)
        if verdict is None or not period.has(verdict):
            continue
        decided[hypothesis.id] = max(0.0, hours(verdict - born))
        if published is not None:
            whole[hypothesis.id] = max(0.0, hours(verdict - published))
    return {
        name: Number(value=quantile(values.values(), 0.5), rows=tuple(values))
        for name, values in (
            ("intel_to_hypothesis_hours", derived),
            ("hypothesis_to_verdict_hours", decided),
            ("intel_to_verdict_hours", whole),
        )
    }


def _published(hypothesis: Hypothesis, born: datetime) -> datetime | None:
    """The newest of its sources that was there when it was born."""
    return max((s.modified for s in hypothesis.sources if s.modified <= born), default=None)

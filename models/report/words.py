"""Words: states and numbers as people read them. No verdict reads like another one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from huntonce.models.case import Case, Determination
from huntonce.models.detection import Certificate, Detection
from huntonce.models.gap import Gap, GapKind, GapState
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Verdict
from huntonce.models.intel import SourceRef
from huntonce.models.publication import PublicationState
from huntonce.models.wording import duration as duration  # noqa: PLC0414 - the page's words are here
from huntonce.models.wording import percent as percent  # noqa: PLC0414 - as above

_IRREGULAR = {"hypothesis": "hypotheses", "case": "cases"}

VERDICTS: Mapping[Verdict, str] = {
    Verdict.CONFIRMED_MALICIOUS: "Found: malicious activity",
    Verdict.CONFIRMED_BENIGN: "Found: benign activity",
    Verdict.RULED_OUT: "Ruled out, as far as it could be seen",
    Verdict.INCONCLUSIVE: "Inconclusive: not ruled out",
    Verdict.BLOCKED: "Blocked: could not look",
}
_TONES: Mapping[Verdict, str] = {
    Verdict.CONFIRMED_MALICIOUS: "evil",
    Verdict.CONFIRMED_BENIGN: "good",
    Verdict.RULED_OUT: "good",
    Verdict.INCONCLUSIVE: "unsure",
    Verdict.BLOCKED: "stop",
}
_STATES: Mapping[HypothesisState, str] = {
    HypothesisState.PROPOSED: "Proposed: no hunt for it is at hand",
    HypothesisState.READY: "Ready: not hunted yet",
    HypothesisState.BLOCKED: "Blocked: could not look",
    HypothesisState.HUNTING: "A hunt is under way",
    HypothesisState.CONCLUDED: "Concluded",
    HypothesisState.SUPERSEDED: "Superseded by another hypothesis",
}
_WRONG: Mapping[GapKind, str] = {
    GapKind.NO_SOURCE: "does not arrive",
    GapKind.PARTIAL_POPULATION: "does not arrive from a part of the hosts",
    GapKind.LAG: "arrives too late",
    GapKind.RETENTION: "is not kept long enough",
    GapKind.PARSE: "cannot be read by the SIEM",
    GapKind.PERMISSION: "could not be asked for",
}
_DETERMINATIONS: Mapping[Determination, str] = {
    Determination.SUSPECTED: "suspected, not proven",
    Determination.CONFIRMED: "confirmed incident",
    Determination.BLOCKED: "attack was blocked",
    Determination.FAILED_ATTEMPT: "failed attempt",
    Determination.FALSE_POSITIVE: "false positive",
}
_PUBLICATIONS: Mapping[PublicationState, str] = {
    PublicationState.PLANNED: "planned, waits for a decision",
    PublicationState.APPROVED: "approved, not sent yet",
    PublicationState.SKIPPED_TLP: "withheld by the sharing rules",
    PublicationState.REJECTED_FIELD: "withheld: a property must not leave as it is",
    PublicationState.SENT: "sent",
    PublicationState.ALREADY_PRESENT: "was there already",
    PublicationState.FAILED: "failed",
    PublicationState.RETRACTED: "retracted",
    PublicationState.SUPERSEDED: "replaced before it left",
}


def count(number: int, noun: str) -> str:
    """A number and its noun: "1 hunt", "1,200 hosts"."""
    several = _IRREGULAR.get(noun, f"{noun}s")
    return f"{number:,} {noun if number == 1 else several}"


def valued(value: float | None, unit: str) -> str:
    """A number of the programme in its unit, as ``definitions`` names it; "none yet" for None."""
    if value is None:
        return "none yet"
    match unit:
        case "hours":
            return duration(value) if value else "0 h"
        case "share":
            return percent(value)
        case "rate":
            return f"{rate(value)} a day"
        case "sum":
            return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"  # noqa: PLR2004 - digits
        case _:
            return f"{value:,.0f}"


def rate(value: float) -> str:
    """A rate to two digits that is never 0 unless it is."""
    if 0 < value < 0.01:  # noqa: PLR2004 - the last digit shown
        return "under 0.01"
    return f"{value:,.2f}" if value else "0"


def moment(at: datetime) -> str:
    """Date and time to the minute, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def instant(at: datetime) -> str:
    """Date and time to the second, in UTC, without saying so (for table columns)."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def some(names: Sequence[str], shown: int = 3) -> str:
    """The first few names and how many more there are."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more:,} more" if more > 0 else "")


def opening(text: str, limit: int) -> str:
    """The first words of a text that is longer than the limit."""
    return f"{text[:limit].rsplit(' ', 1)[0]} …"


def plain(name: str) -> str:
    """An enumeration value without its underscores."""
    return name.replace("_", " ")


def verdict(run: HuntRun) -> str:
    """What a hunt ended with."""
    if run.verdict is not None:
        return VERDICTS[run.verdict]
    running = run.state is HuntState.RUNNING
    return "Under way: no verdict yet" if running else "Abandoned: no verdict"


def why(run: HuntRun) -> str:
    """The reason of a verdict, without the statement of its power."""
    told = run.why.removesuffix(f": {run.power.words}") if run.power is not None else run.why
    return f"{told[:1].upper()}{told[1:]}"


def tone(value: Verdict | None) -> str:
    """Name of the look that a verdict has: evil, good, unsure, stop, calm."""
    return _TONES[value] if value is not None else "calm"


def nothing_found(run: HuntRun) -> str:
    """What it means that a hunt has no findings."""
    match run.verdict:
        case Verdict.BLOCKED:
            return "Not looked at, so nothing is known. No finding here does not mean no adversary."
        case Verdict.INCONCLUSIVE:
            return "Nothing was seen, but too little could be seen to rule it out."
        case Verdict.RULED_OUT:
            return "Nothing was found where it could have been seen."
        case None:
            return "No result yet."
        case _:
            return "No finding was recorded."


def standing(hypothesis: Hypothesis) -> str:
    """Where a hypothesis stands, its verdict where it has one that still counts."""
    if hypothesis.state is HypothesisState.CONCLUDED and hypothesis.verdict is not None:
        return VERDICTS[hypothesis.verdict]
    words = _STATES[hypothesis.state]
    if hypothesis.verdict not in {None, Verdict.BLOCKED}:
        earlier = VERDICTS[hypothesis.verdict] if hypothesis.verdict else ""
        words = f"{words.replace(': not hunted yet', ' to be hunted again')} (before: {earlier})"
    return words


def standing_tone(hypothesis: Hypothesis) -> str:
    """The look that goes with ``standing``."""
    if hypothesis.state is HypothesisState.BLOCKED:
        return "stop"
    return tone(hypothesis.verdict) if hypothesis.state is HypothesisState.CONCLUDED else "calm"


def source(reference: SourceRef) -> str:
    """A source of intel by name, kind and feed."""
    return f"{reference.name or reference.object_id} ({reference.object_type}, {reference.feed})"


def check(value: Check) -> str:
    """What became of one query."""
    if not value.executed:
        return f"not run: {value.why}" if value.why else "not run"
    told = count(value.events, "event")
    return told if value.complete else f"{told}, not complete: {value.why}"


def gap_wrong(gap: Gap) -> str:
    """What is wrong, of which trace; says so where it is mended."""
    wrong = _WRONG.get(gap.gap_kind, f"arrives without {gap.field_name or 'a needed field'}")
    mended = "Mended: " if gap.state is GapState.CLOSED else ""
    return f"{mended}{gap.atom_label} {wrong}"


def gap_where(gap: Gap) -> str:
    """On how many hosts of how many."""
    if gap.population and len(gap.hosts) >= gap.population:
        return f"all {count(gap.population, 'host')}"
    return f"{len(gap.hosts):,} of {count(gap.population, 'host')}"


def gap_state(gap: Gap) -> str:
    """Where a gap stands."""
    if gap.state is GapState.VERIFYING:
        return f"verifying: {count(gap.passes, 'passing probe')} so far"
    if gap.state is GapState.REGRESSED:
        return "regressed: it was closed and came back"
    return plain(gap.state.value)


def certificate(value: Certificate | None) -> str:
    """What a certificate proves, in a sentence or two."""
    if value is None:
        return "No certificate: nothing is proven of it."
    low, high = value.interval
    return (
        f"Fires on {value.fired:,} of {value.expected:,} malicious events and on "
        f"{value.benign_hits:,} of {value.benign_events:,} benign records. "
        f"{rate(value.alerts_a_day)} false alerts a day "
        f"(95 % interval {rate(low)} to {rate(high)}) over {value.days:.1f} days."
    )


def runs_on(detection: Detection) -> str:
    """Where a detection runs, and where it should but does not."""
    if not detection.deployments:
        return "nowhere yet"
    return ", ".join(
        f"{d.siem}: {d.observed or 'not observed'}"
        + (f" (should be {d.desired})" if d.desired != d.observed else "")
        for d in detection.deployments
    )


def health(detection: Detection) -> str:
    """Whether a detection still sees."""
    match detection.healthy:
        case True:
            return "healthy: its evidence arrives"
        case False:
            return "blind: its evidence does not arrive"
        case None:
            return "health not checked yet"


def determination(case: Case) -> str:
    """What IR says of a case."""
    if case.determination is None:
        return f"{case.state.value}: with incident response"
    return f"{case.state.value}: {_DETERMINATIONS[case.determination]}"


def publication(state: PublicationState) -> str:
    """Where an object stands on its way out."""
    return _PUBLICATIONS[state]

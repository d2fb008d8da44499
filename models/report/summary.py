"""Summary: the programme in a few sentences, and what would help most next."""

from dataclasses import dataclass

from huntonce.models.hypothesis import HypothesisState
from huntonce.models.report.programme import Programme
from huntonce.models.report.views import GapView
from huntonce.models.report.words import count, duration, gap_where, gap_wrong, some

NEXT_STEPS = 3
NOTHING_KNOWN = (
    "No hunt has been concluded. Nothing is known yet: neither that an adversary is here, nor that "
    "none is."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something to do.

    Attributes:
        about: Id of the thing it is about; the text goes on from it. "" where there is none.
        command: What does it; "" where no command does.
    """

    about: str = ""
    text: str
    command: str = ""


def in_short(programme: Programme) -> tuple[str, ...]:
    """The state of the programme, a sentence a fact; what is not known is said first."""
    number = programme.whole
    if not number("hunts"):
        return (NOTHING_KNOWN, *_gaps(programme))
    of_all = count(len(programme.hypotheses), "hypothesis")
    hunted = len({view.run.hypothesis_key for view in programme.hunts if view.run.verdict})
    lines = [f"{count(number('hunts'), 'hunt')} concluded, on {hunted:,} of {of_all}."]
    if number("confirmed"):
        hosts = count(len(programme.evil_hosts), "host")
        cases = programme.measures.numbers["cases_opened"].rows[::-1]
        handed = f", handed to incident response as {some(cases)}" if cases else ""
        verb = "was" if number("confirmed") == 1 else "were"
        lines.append(
            f"{count(number('confirmed'), 'hypothesis')} {verb} confirmed: malicious activity on "
            f"{hosts}{handed}."
        )
    if number("ruled_out"):
        lines.append(
            f"{count(number('ruled_out'), 'hypothesis')} ruled out, as far as the hosts could be "
            "seen."
        )
    if number("inconclusive"):
        lines.append(f"{count(number('inconclusive'), 'hypothesis')} hunted but not ruled out.")
    if number("blocked"):
        lines.append(
            f"{count(number('blocked'), 'hypothesis')} could not be looked at: nothing is known of "
            "them."
        )
    if never := number("not_hunted"):
        verb = "has" if never == 1 else "have"
        lines.append(f"{count(never, 'hypothesis')} {verb} never been hunted.")
    return (*lines, *_gaps(programme), *_detections(programme))


def _gaps(programme: Programme) -> tuple[str, ...]:
    number = programme.whole
    if not number("gaps_surfaced"):
        return ()
    spent = programme.numbers["remediation_hours"]
    median = f" (median {duration(spent)})" if spent is not None else ""
    surfaced = count(number("gaps_surfaced"), "gap")
    rest = f"{number('gaps_closed'):,} closed{median}, {number('gaps_open'):,} open"
    return (f"{surfaced} surfaced, {rest}.",)


def _detections(programme: Programme) -> tuple[str, ...]:
    number = programme.whole
    if not number("detections_promoted"):
        return ()
    known = programme.numbers["detections_guarding"] is not None
    standing = f", {number('detections_guarding'):,} standing guard now" if known else ""
    return (f"{count(number('detections_promoted'), 'detection')} promoted{standing}.",)


def next_steps(programme: Programme) -> tuple[Step, ...]:
    """What would help most, first things first; at most ``NEXT_STEPS``."""
    down = [view for view in programme.detections if view.guard.promoted and view.guard.faults()]
    steps = []
    if len(down) == 1:
        why = ", ".join(down[0].guard.faults())
        steps.append(Step(about=down[0].detection.id, text=f"does not stand guard: {why}."))
    elif down:
        names = some([view.detection.id for view in down])
        why = ", ".join(sorted({fault for view in down for fault in view.guard.faults()}))
        text = f"{count(len(down), 'detection')} do not stand guard ({names}): {why}."
        steps.append(Step(text=text, command="huntonce detections"))
    # In the order of "What to mend first": the page must not name two firsts.
    order = {fix.gap.id: place for place, fix in enumerate(programme.fixes)}
    mends = sorted(
        (view for view in programme.gaps if view.open),
        key=lambda view: order.get(view.gap.id, len(order)),
    )
    steps += [_mend(view) for view in mends[:1]]
    if programme.proposals:
        waiting = count(len(programme.proposals), "proposal")
        verb = "waits" if len(programme.proposals) == 1 else "wait"
        text = f"{waiting} {verb} for a person's decision."
        steps.append(Step(text=text, command="huntonce proposals"))
    steps += [
        Step(
            about=view.hypothesis.id,
            text=f"is ready to be hunted: {view.hypothesis.technique_id} "
            f"{view.hypothesis.technique_name}.",
            command=f"huntonce hunt {view.hypothesis.id}",
        )
        for view in programme.hypotheses
        if view.hypothesis.state is HypothesisState.READY
    ]
    steps += [_mend(view) for view in mends[1:]]
    return tuple(steps[:NEXT_STEPS])


def _mend(view: GapView) -> Step:
    gap = view.gap
    waits = f" Closing it helps {some(view.weakens)}." if view.weakens else ""
    return Step(
        about=gap.id,
        text=f"{gap_wrong(gap)} ({gap_where(gap)}).{waits}",
        command=next(iter(gap.remedy.commands), ""),
    )

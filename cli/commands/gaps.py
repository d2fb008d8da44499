"""``huntonce gaps``: what we cannot see, what to mend first, and what people decide of it."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import Output, cell, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session

if TYPE_CHECKING:
    from collections.abc import Callable

    from huntonce.flows.bootstrap import Home
    from huntonce.models.demand import Fix
    from huntonce.models.detection import Detection
    from huntonce.models.gap import Gap
    from huntonce.models.stages.kit import Kit

gaps = typer.Typer(help="What we cannot see.", invoke_without_command=True)
RANKED = 5
Found = TypeVar("Found")

GapArgument = Annotated[str, typer.Argument(help="GAP-1.")]
ByOption = Annotated[str, typer.Option("--by", help="Who decides.")]


@gaps.callback()
def list_gaps(
    context: typer.Context,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    every: Annotated[bool, typer.Option("--all", help="Also closed ones, with reasons.")] = False,
) -> None:
    """List visibility gaps, first the one whose mending would help most."""
    if context.invoked_subcommand:
        return
    from huntonce.cli import views

    with session(home, as_json=as_json) as (opened, output):
        stored, fixes = _ranked(opened)
        output.answer(
            {"gaps": [views.gap(g) for g in stored], "fix_first": [views.fix(f) for f in fixes]},
            lambda console: _show(console, stored, fixes, every=every),
        )


def _ranked(opened: "Home") -> "tuple[tuple[Gap, ...], tuple[Fix, ...]]":
    from huntonce.models.demand import rank

    with opened.store.unit() as unit:
        stored, hypotheses = unit.gaps.list(), unit.hypotheses.list()
    return stored, rank(stored, hypotheses, floor=opened.settings.policy.power_floor)


def _show(
    console: Console, stored: "tuple[Gap, ...]", fixes: "tuple[Fix, ...]", *, every: bool
) -> None:
    from huntonce.cli.gapscreen import show_fix, show_gaps
    from huntonce.models.gap import GapState

    if not stored:
        console.print("No gaps are known. A hunt or `huntonce gaps probe` surfaces them.")
        return
    for number, fix in enumerate(fixes[:RANKED], start=1):
        show_fix(console, fix, number=number)
    if fixes:
        console.print()
    shown = [g for g in stored if every or g.state is not GapState.CLOSED]
    rows = [
        (
            g.id,
            cell(g.state.value),
            cell(g.severity),
            f"{len(g.hosts)}/{g.population}",
            g.owner,
            g.ticket,
            _evidence(g),
        )
        for g in shown
    ]
    columns = ("id", "state", "severity", "hosts", "owner", "ticket", "evidence")
    console.print(table(columns, rows))
    closed = len(stored) - len(shown)
    if closed:
        console.print(Text(f"{closed} closed by evidence are not shown (--all)", style="dim"))
    if every:
        show_gaps(console, shown)
    else:
        console.print(Text("what is wrong and how to mend it: huntonce gaps show ID", style="dim"))


def _evidence(gap: "Gap") -> str:
    words = f"{gap.gap_kind.value.replace('_', ' ')}: {gap.atom_label}"
    if gap.field_name:
        words += f" without {gap.field_name}"
    return f"{words}, lived with until {gap.risk_until}" if gap.risk_until else words


@gaps.command("show")
def show(gap_id: GapArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """One gap: where, why it matters, how to mend it, its life so far."""
    from huntonce.cli import views
    from huntonce.models.errors import DomainError

    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            gap = unit.gaps.get(gap_id.upper())
            life = [row for row in unit.log.rows() if row.subject == gap_id.upper()]
        if gap is None:
            raise DomainError(f"nothing has the id {gap_id!r}", hint="huntonce gaps lists them")
        _, fixes = _ranked(opened)
        own = next((f for f in fixes if f.gap.id == gap.id), None)
        document = {
            **views.gap(gap),
            "fix": views.fix(own) if own else None,
            "life": [
                {"at": r.at.isoformat(), "state": r.after, "by": r.actor, "why": r.why}
                for r in life
            ],
        }
        output.answer(document, lambda console: _show_one(console, gap, own, document["life"]))


def _show_one(console: Console, gap: "Gap", fix: "Fix | None", life: list[dict[str, Any]]) -> None:
    from huntonce.cli.showing import at_desk_rows
    from huntonce.models.demand import told

    state = gap.state.value.replace("_", " ")
    until = f" until {gap.risk_until}: {gap.risk_reason} ({gap.risk_by})" if gap.risk_until else ""
    rows = [
        ("state", f"{state}{until}"),
        ("what", gap.reason),
        ("worth", gap.business or "nothing waits on it"),
        ("mending", told(fix) if fix else "frees nothing by itself"),
        ("owner", gap.owner or f"nobody: huntonce gaps accept {gap.id} --owner NAME"),
        ("ticket", gap.ticket or "none yet"),
        *at_desk_rows(gap.at_desk),
        ("fix", gap.remedy.text),
        *(("", command) for command in gap.remedy.commands),
        ("hosts", f"{len(gap.hosts)} of {gap.population}: {', '.join(gap.hosts[:20])}"
         + (f" and {len(gap.hosts) - 20} more (--json)" if len(gap.hosts) > 20 else "")),  # noqa: PLR2004 - shown
        ("probes", f"{gap.passes} passed in a row; {_measured(gap)}"),
        *(
            ("life" if n == 0 else "", f"{r['at'][:16]} {r['state']} by {r['by']}: {r['why']}")
            for n, r in enumerate(life)
        ),
    ]  # fmt: skip
    console.print(Text(f"{gap.id} {gap.atom_label} ({gap.siem})", style="bold"))
    console.print(table(("", ""), [(name, clean(text, 600)) for name, text in rows]))


def _measured(gap: "Gap") -> str:
    if not gap.measured_to:
        return "none since it was surfaced"
    return f"telemetry seen until {gap.measured_to[:16].replace('T', ' ')} UTC"


@gaps.command("probe")
def probe(
    home: HomeOption = DEFAULT_HOME, siem: SiemOption = "lake", as_json: JsonOption = False
) -> None:
    """Measure the evidence of every technique, and surface gaps before a hunt runs into them."""
    from huntonce.cli import views
    from huntonce.models.stages.survey import survey

    with session(home, as_json=as_json, writes=True) as (opened, output):
        surveyed, changed = _measure(opened.kit(siem), survey)
        stored, fixes = _ranked(opened)
        found = {gap.id for gap in surveyed.gaps}
        document = {
            "window": [surveyed.window.start.isoformat(), surveyed.window.end.isoformat()],
            "techniques": [
                {"technique": s.model.technique_id, **views.power(s.power)} for s in surveyed.sights
            ],
            "gaps": [views.gap(g) for g in stored if g.id in found],
            "blocked": list(surveyed.blocked),
            "detections_changed": [d.id for d in changed],
            "fix_first": [views.fix(f) for f in fixes],
        }

        def show_it(console: Console) -> None:
            number = len(surveyed.sights)
            noun = "technique" if number == 1 else "techniques"
            console.print(f"{number} {noun} probed over {surveyed.window}")
            if surveyed.blocked:
                console.print(f"cannot be looked at yet: {', '.join(surveyed.blocked)}")
            _show_changed(console, changed)
            _show(console, stored, fixes, every=False)

        output.answer(document, show_it)


@gaps.command("verify")
def verify(
    home: HomeOption = DEFAULT_HOME, siem: SiemOption = "lake", as_json: JsonOption = False
) -> None:
    """Probe again for every open gap; those that pass often enough in a row are closed."""
    from huntonce.cli import views
    from huntonce.models.stages.watch import verify_gaps

    with session(home, as_json=as_json, writes=True) as (opened, output):
        verified, changed = _measure(opened.kit(siem), verify_gaps)
        passes = opened.settings.policy.gap_passes
        groups = {
            name: [views.gap(g) for g in getattr(verified, name)]
            for name in ("passed", "closed", "failed", "waiting", "regressed", "expired")
        }

        def show_it(console: Console) -> None:
            for name in groups:
                told = [_in_short(name, gap, passes) for gap in getattr(verified, name)]
                if told:
                    console.print(Text(f"{name}: {', '.join(told)}"))
            if verified.waiting:
                console.print(
                    "waiting ones are not proven yet: no newer telemetry than their last probe "
                    "saw, too few of their hosts sent any, or the SIEM would not say"
                )
            if verified.requeued:
                console.print(f"ready to be hunted again: {', '.join(verified.requeued)}")
            _show_changed(console, changed)
            if not any(groups.values()):
                console.print("No gap is open, and no closed one was seen to be back.")

        document = {
            **groups,
            "requeued": list(verified.requeued),
            "detections_changed": [d.id for d in changed],
        }
        output.answer(document, show_it)


def _in_short(outcome: str, gap: "Gap", passes: int) -> str:
    """A gap with how far it is: how often it passed, or on how many hosts it is still wrong."""
    if outcome == "passed":
        return f"{gap.id} ({gap.passes} of {passes})"
    if outcome in {"failed", "regressed"}:
        return f"{gap.id} ({len(gap.hosts)} of {gap.population} hosts)"
    return gap.id


def _measure(kit: "Kit", look: "Callable[[Kit], Found]") -> "tuple[Found, tuple[Detection, ...]]":
    """Look at the telemetry, then whether what stands guard still sees, and tell the desks."""
    from huntonce.models.stages.dispatch import dispatch
    from huntonce.models.stages.guarding import watch_detections

    found = look(kit)
    changed = watch_detections(kit)  # after: one whose evidence is back is not to be called blind
    dispatch(kit)
    return found, tuple(changed)


def _show_changed(console: Console, changed: "tuple[Detection, ...]") -> None:
    for detection in changed:
        sees = "sees again" if detection.healthy else "does not see any more"
        console.print(f"{detection.id} {sees}: {clean(detection.title)}")


@gaps.command("accept")
def accept(
    gap_id: GapArgument,
    owner: Annotated[str, typer.Option(help="Who mends it.")] = "",
    by: ByOption = "operator",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take a gap on: it gets an owner."""
    from huntonce.models.stages.gapwork import accept as accept_gap

    with session(home, as_json=as_json, writes=True) as (opened, output):
        gap = accept_gap(opened.kit(), gap_id, owner=owner, by=by)
        _answer(output, gap, f"accepted by {gap.owner}")


@gaps.command("remediate")
def remediate(
    gap_id: GapArgument,
    note: Annotated[str, typer.Option(help="What is being done.")] = "",
    by: ByOption = "operator",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say that a gap is being mended; only probes close it."""
    from huntonce.models.stages.gapwork import remediate as remediate_gap

    with session(home, as_json=as_json, writes=True) as (opened, output):
        gap = remediate_gap(opened.kit(), gap_id, by=by, note=note)
        _answer(output, gap, "is being mended; probes will tell")


@gaps.command("risk")
def risk(
    gap_id: GapArgument,
    until: Annotated[str, typer.Option(help="Last day, such as 2027-01-31.")],
    reason: Annotated[str, typer.Option(help="Why we live with it.")],
    by: ByOption = "operator",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Live with a gap until a day; then it is open again by itself."""
    from huntonce.models.stages.dispatch import dispatch
    from huntonce.models.stages.gapwork import accept_risk

    try:
        day = date.fromisoformat(until)
    except ValueError as error:
        raise typer.BadParameter(
            f"{until!r} is not a date such as 2027-01-31", param_hint="--until"
        ) from error
    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        gap = accept_risk(kit, gap_id, until=day, reason=reason, by=by)
        dispatch(kit)
        _answer(
            output, gap, f"risk accepted until {gap.risk_until}; what waits on it goes on waiting"
        )


def _answer(output: Output, gap: "Gap", words: str) -> None:
    from huntonce.cli import views

    output.answer(views.gap(gap), lambda console: console.print(f"{gap.id} {clean(words)}"))

"""A concluded hunt on one screen: what was looked for, where it could be seen, what would help."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from huntonce.cli.gapscreen import show_fix, show_gaps
from huntonce.cli.output import cell, clean
from huntonce.models.demand import rank
from huntonce.models.finding import Disposition
from huntonce.models.wording import percent

if TYPE_CHECKING:
    from huntonce.models.demand import Fix
    from huntonce.models.finding import Finding
    from huntonce.models.hunt import HuntRun
    from huntonce.models.ledger import LedgerAnswer
    from huntonce.models.stages.settle import Settled
    from huntonce.models.visibility import Power

GAPS_SHOWN = 4
FIXES_SHOWN = 2
FINDINGS_SHOWN = 4
FINDINGS_NAMED = 8
HOSTS_SHOWN = 2
DISPOSITION = max(len(each.value) for each in Disposition)
BLIND_SHOWN = 4
BLIND = 2
"""Received rules that are named where several could not look."""
WIDTH = 10


def fixes_for(settled: "Settled", floor: float) -> "tuple[Fix, ...]":
    """The gaps of a hunt in the order in which mending them helps its hypothesis."""
    return rank(settled.gaps, [settled.hypothesis], floor=floor)


def show_hunt(
    console: Console, answer: "LedgerAnswer", settled: "Settled", fixes: "Sequence[Fix]"
) -> None:
    """A hunt on one screen."""
    run, hypothesis = settled.run, settled.hypothesis
    console.print(
        Text(f"{hypothesis.technique_id} {hypothesis.technique_name}", style="bold"),
        Text(f"  {run.id}, {hypothesis.id}, {run.siem}", style="dim"),
    )
    console.print(Text(clean(hypothesis.statement, 400)))
    console.print()
    _line(console, "Looked", Text(_looked(run)))
    if run.power is not None:
        _line(console, "Seen", Text(clean(run.power.words)))
        show_groups(console, run.power)
    verdict = run.verdict.value if run.verdict else ""
    why = run.why.removesuffix(f": {run.power.words}") if run.power else run.why
    _line(console, "Verdict", Text.assemble(cell(verdict), f": {clean(why)}"))
    _line(console, "Ledger", Text(f"{answer.answer.value}: {answer.why}", style="dim"))
    for number, fix in enumerate(fixes[:FIXES_SHOWN], start=1):
        show_fix(console, fix, number=number)
    show_findings(console, settled.findings)
    first = {fix.gap.id for fix in fixes[:1]}
    show_gaps(console, settled.gaps, limit=GAPS_SHOWN, told_above=first)
    _show_promoted(console, settled)
    ids = [finding.id for finding in settled.findings[:1]] + [run.id]
    shown = " | ".join(f"huntonce show {item}" for item in ids)
    console.print(Text(f"Events and queries as sent: {shown}", "dim"))


def _line(console: Console, name: str, text: Text) -> None:
    """A named line whose rest is indented below its own text."""
    row = Table.grid(padding=0)
    row.add_column(width=WIDTH, no_wrap=True)
    row.add_column(ratio=1, overflow="fold")
    row.add_row(Text(name), text)
    console.print(row)


def _looked(run: "HuntRun") -> str:
    """Which searches ran, and which could not."""
    ran = [check for check in run.checks if check.executed]
    events = sum(check.events for check in ran)
    words = f"{len(ran)} of {len(run.checks)} searches ran, {events:,} events"
    cut = [check.name for check in ran if not check.complete]
    idle = [check.name for check in run.checks if not check.executed and not check.origin]
    blind = [check.name for check in run.checks if not check.executed and check.origin]
    if cut:
        words += f"; not complete: {', '.join(cut)}"
    if idle:
        words += f"; nothing to search for: {', '.join(idle)}"
    if blind:
        more = f" and {len(blind) - BLIND} more" if len(blind) > BLIND else ""
        words += f"; could not look: {', '.join(blind[:BLIND])}{more}"
    return words


def show_groups(console: Console, power: "Power") -> None:
    """What shows each part of the behaviour, on how many hosts, and which hosts show none."""
    for group in power.groups:
        traces = ", ".join(
            f"{t.label} {'nowhere' if not t.hosts else f'on {t.hosts}/{power.population}'}"
            for t in group.traces
        )
        note = "" if group.required else " (extra)"
        style = "yellow" if group.required and group.value < 1 else ""
        row = Table.grid(padding=(0, 1, 0, 0))
        row.add_column(width=16, no_wrap=True)
        row.add_column(width=6, no_wrap=True)
        row.add_column(ratio=1, overflow="fold")
        row.add_row(
            Text(f"{group.name}{note}"[:16]), Text(percent(group.value), style=style), Text(traces)
        )
        console.print(Padding(row, (0, 0, 0, WIDTH)))
    if power.blind:
        names = ", ".join(clean(host, 40) for host in power.blind[:BLIND_SHOWN])
        rest = len(power.blind) - BLIND_SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        console.print(
            Padding(Text(f"blind: {names}{more}", style="yellow"), (0, 0, 0, WIDTH)),
        )


def show_findings(console: Console, findings: "tuple[Finding, ...]") -> None:
    """The gravest, with a reason where we call it evil; what could not be seen stays in sight."""
    if not findings:
        return
    ranked = sorted(findings, key=lambda f: -f.score)
    console.print()
    width = max(len(finding.id) for finding in ranked[:FINDINGS_SHOWN])
    for finding in ranked[:FINDINGS_SHOWN]:
        said = finding.disposition.value
        head = Text.assemble(
            (f"{finding.id:<{width}} ", "bold"),
            cell(said),
            " " * (DISPOSITION - len(said) + 1),
            f"{finding.score:.2f} {clean(finding.title)}",
        )
        console.print(head, no_wrap=True, overflow="ellipsis")
        if finding.disposition is Disposition.MALICIOUS:
            told = Text(f"{'':<{width + 1}}{_in_short(finding)}", "dim")
            console.print(told, no_wrap=True, overflow="ellipsis")
    rest = ranked[FINDINGS_SHOWN:]
    if rest:
        names = ", ".join(finding.id for finding in rest[:FINDINGS_NAMED])
        names += ", ..." if len(rest) > FINDINGS_NAMED else ""
        lead = f"and {len(rest)} more, none above {rest[0].score:.2f}: {names}"
        console.print(Text(lead, "dim"), no_wrap=True, overflow="ellipsis")


def _in_short(finding: "Finding") -> str:
    """Where and when, and what weighs most."""
    hosts = ", ".join(finding.hosts[:HOSTS_SHOWN])
    if len(finding.hosts) > HOSTS_SHOWN:
        hosts += f" and {len(finding.hosts) - HOSTS_SHOWN} more"
    first = max(finding.terms, key=lambda term: term.value, default=None)
    why = f"; {clean(first.why, 200)}" if first is not None else ""
    return f"{hosts} {finding.first:%m-%d %H:%M}{why}"


def _show_promoted(console: Console, settled: "Settled") -> None:
    if settled.detections or settled.cases or settled.not_automated:
        console.print()
    for detection in settled.detections:
        console.print(
            Text.assemble((f"{detection.id} ", "bold"), f"detection {clean(detection.title)}")
        )
        certificate = detection.certificate
        if certificate:
            low, high = certificate.interval
            console.print(
                Text(
                    f"      {detection.state.value}: fires on {certificate.fired} of "
                    f"{certificate.expected}, {certificate.benign_hits} false among "
                    f"{certificate.benign_events} usual, "
                    f"{certificate.alerts_a_day:.2f} alerts a day [{low:.2f} to {high:.2f}]"
                )
            )
    for reason in settled.not_automated:
        console.print(Text(f"not automated: {clean(reason, 400)}", style="yellow"))
    for case in settled.cases:
        console.print(
            Text.assemble(
                (f"{case.id} ", "bold red"), f"IR case at {case.desk}: {clean(case.title)}"
            ),
            no_wrap=True,
            overflow="ellipsis",
        )

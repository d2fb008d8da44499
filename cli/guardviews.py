"""What the commands on detections show: rows for programs, lines for people."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from huntonce.cli import views
from huntonce.cli.alertviews import alert_rows
from huntonce.cli.output import cell, clean, table
from huntonce.models.detection import ON_DUTY, Detection
from huntonce.models.guarding import Record, filter_facts, record, sole_cover, staleness
from huntonce.models.keeping import UnitOfWork
from huntonce.models.sealing import broken
from huntonce.models.stages.certify import Certified, find
from huntonce.models.stages.drifting import DriftLine, Sort
from huntonce.models.stages.guard import now_of
from huntonce.models.stages.kit import Kit

Row = dict[str, Any]
_LEAST_ROOM = 20


def list_rows(kit: Kit) -> list[Row]:
    """Every detection with its condition and its record of service."""
    with kit.open_unit() as unit:
        stored = unit.detections.list()
        return [_row(kit, unit, detection, stored) for detection in stored]


def _row(kit: Kit, unit: UnitOfWork, detection: Detection, everything: Sequence[Detection]) -> Row:
    watches = unit.proofs.watches(detection.rule_id)
    served = record(detection, unit.alerts.list(), watches, unit.cases.list())
    faults = broken(detection, unit.proofs.fixtures(detection.rule_id))
    return {
        **views.detection(detection),
        "stale": list(staleness(detection, now_of(kit), watches)),
        "broken": list(faults),
        "sole_cover": list(sole_cover(detection, everything)),
        "service": _served(served),
        "filters": filter_rows(detection),
    }


def _served(served: Record) -> Row:
    return {
        "days": round(served.days, 2),
        "alerts": served.alerts,
        "alerts_a_day": round(served.alerts / served.days, 4) if served.days else None,
        "interval": [round(b, 4) for b in served.interval] if served.interval else None,
        "hosts": served.hosts,
        "last": served.last,
        "real": served.real,
        "false": served.false,
        "unjudged": served.open,
        "precision": round(served.precision, 4) if served.precision is not None else None,
    }


def condition(row: Row) -> tuple[str, str]:
    """The one thing to know of a detection, and the style that it is shown in."""
    certificate = row["certificate"]
    if row["state"] not in [state.value for state in ON_DUTY]:
        return "off duty", "dim"
    if row["broken"]:
        return "proof broken", "bold red"
    if certificate is None or not certificate["holds"]:
        return "proof fails", "bold red"
    if row["healthy"] is False:
        return "blind", "yellow"
    if row["stale"]:
        return "stale", "yellow"
    return ("unchecked", "") if row["healthy"] is None else ("healthy", "green")


def show_list(console: Console, rows: list[Row]) -> None:
    """The list, and under it what needs somebody."""
    if not rows:
        console.print("No detections yet. A hunt that characterises a pattern makes them.")
        return
    shown = []
    for row in rows:
        words, style = condition(row)
        service = row["service"]
        shown.append(
            (row["id"], row["state"], cell(words, style), row["level"], _noise(row),
             f"{service['alerts']} in {service['days']:.0f} d" if service["days"] else "not run",
             row["title"])
        )  # fmt: skip
    columns = ("id", "status", "condition", "level", "false/day", "since", "title")
    console.print(table(columns, shown))
    for row in rows:
        for why in (*row["broken"], *row["stale"]):
            if row["state"] in [state.value for state in ON_DUTY]:
                console.print(Text(f"{row['id']}: {clean(why)}", style="yellow"))
    console.print(Text("the proof of one: huntonce detections show D-1", style="dim"))


def _noise(row: Row) -> str:
    certificate = row["certificate"]
    if certificate is None:
        return ""
    return f"{certificate['alerts_a_day']:.1f} [{certificate['interval'][1]:.1f}]"


def detail(kit: Kit, name: str) -> Row:
    """One detection with its rule, and every part of its proof."""
    with kit.open_unit() as unit:
        detection = find(unit, name)
        row = _row(kit, unit, detection, unit.detections.list())
        fixtures = unit.proofs.fixtures(detection.rule_id)
        alerts = alert_rows(unit, detection.rule_id)
    return {
        **row,
        "rule": detection.rule,
        "filter_rules": list(detection.filters),
        "origin": dict(detection.origin),
        "fixtures": [
            {**views.event(f.ref), "malicious": f.malicious, "original": f.body} for f in fixtures
        ],
        "alerts": alerts,
    }


def show_detail(console: Console, row: Row) -> None:
    """The detection as a person judges it."""
    words, style = condition(row)
    console.print(Text(f"{row['id']} {clean(row['title'])}", style="bold"))
    techniques = ", ".join(row["techniques"])
    console.print(Text.assemble(f"{row['state']}, {row['level']}, {techniques}, ", (words, style)))
    for why in (*row["broken"], *row["stale"]):
        console.print(Text(f"  {clean(why)}", style="yellow"))
    if row["sole_cover"]:
        console.print(f"the only detection on duty for {', '.join(row['sole_cover'])}")
    console.print(f"from the hunt {clean(row['hunt'])}; rule {row['rule_id']}")
    if row["certificate"]:
        show_proof(console, row["certificate"])
    _show_service(console, row)
    if row["filters"]:
        show_filters(console, str(row["id"]), row["filters"])
    console.print()
    show_rule(console, row["rule"])
    console.print(Text("kept events and filters whole: --json", style="dim"))


def show_rule(console: Console, rule: str) -> None:
    """A rule in colours; what is wider than a terminal goes on below its own beginning.

    In a pipe every line stays whole, so that the rule can be taken from there.
    """
    text = Syntax("", "yaml", background_color="default").highlight(clean(rule))
    for line in text.split("\n"):
        plain = line.plain
        body = plain.lstrip(" ")
        indent = len(plain) - len(body) + (2 if body.startswith("- ") else 0)
        room = console.width - indent
        if not console.is_terminal or len(plain) <= console.width or room < _LEAST_ROOM:
            console.print(line, soft_wrap=True)
            continue
        head, margin = line[:indent], Text(" " * indent)
        for part in line[indent:].wrap(console, room):
            part.rstrip()
            console.print(Text.assemble(head, part), soft_wrap=True)
            head = margin


def _show_service(console: Console, row: Row) -> None:
    service = row["service"]
    if not service["days"]:
        console.print("since then   not run yet: huntonce detections run")
        return
    low, high = service["interval"]
    line = (
        f"since then   {service['alerts']} alerts in {service['days']:.1f} days"
        f" [{low:.2f} to {high:.2f} a day] on {service['hosts']} hosts"
    )
    if service["precision"] is not None:
        line += f"; of those judged, {service['precision']:.0%} real"
    console.print(line)
    if service["unjudged"]:
        console.print(
            Text(
                f"             {service['unjudged']} not judged: huntonce detections alerts"
                f" {row['id']}",
                style="yellow",
            )
        )


# ---------------------------------------------------------------- proof


def show_proof(console: Console, proof: Row) -> None:
    """A certificate, a line for each thing that was run."""
    low, high = proof["interval"]
    verdict = "holds" if proof["holds"] else "does not hold"
    console.print(
        Text.assemble(
            ("proof        ", ""),
            (verdict, "green" if proof["holds"] else "bold red"),
            f", supports status {proof['allows']}",
        )
    )
    console.print(
        f"  fires      on {proof['fired']} of {proof['expected']} events it is meant for;"
        f" silent on the {proof['kept_usual']} usual events kept beside them"
    )
    console.print(
        f"  noise      {proof['benign_hits']} false alerts in {proof['days']:.1f} days ="
        f" {proof['alerts_a_day']:.2f} a day [{low:.2f} to {high:.2f}, 95 %]"
    )
    console.print(
        f"  where      {proof['hosts']} hosts alerted, the loudest with {proof['top_share']:.0%}"
    )
    branches = ", ".join(f"{name} {count}" for name, count in proof["branches"].items())
    console.print(Text(f"  branches   {clean(branches) or 'none counted'}"))
    if proof["unexercised"]:
        names = clean(", ".join(proof["unexercised"]))
        console.print(Text(f"             never exercised: {names}", style="yellow"))
    console.print(Text(f"  engines    {_engines(proof)}"))
    for limit in proof["limits"]:
        console.print(Text(f"  - {clean(limit)}", style="dim" if proof["holds"] else "red"))


def _engines(proof: Row) -> str:
    siems = {name: found for name, found in proof["siems"].items() if found}
    silent = [name for name in proof["siems"] if name not in siems]
    unasked = f"; no answer from {', '.join(silent)}" if silent else ""
    if len(siems) < 2:  # noqa: PLR2004 - one engine has nobody to agree with
        return f"only one was asked{unasked}"
    same = len(set(siems.values())) == 1
    verdict = "the same events" if same else "NOT the same events"
    return f"{verdict} on {', '.join(siems)}, of a sample of {proof['sample']}{unasked}"


# ---------------------------------------------------------------- certify


def certified(made: Certified) -> Row:
    """The answer of a certification for programs."""
    return {
        **views.detection(made.after),
        "proof": views.certificate(made.proof),
        "stored": made.stored,
        "broken": list(made.broken),
        "changes": list(made.changes),
        "status_before": made.before.state.value,
    }


def show_certified(console: Console, made: Certified) -> None:
    """The answer of a certification for people."""
    console.print(Text(f"{made.after.id} {clean(made.after.title)}", style="bold"))
    for fault in made.broken:
        console.print(Text(f"  {clean(fault)}", style="bold red"))
    show_proof(console, views.certificate(made.proof))
    for change in made.changes or ("nothing differs from the earlier certificate",):
        console.print(Text(f"  since: {clean(change)}"))
    if made.before.state is not made.after.state:
        console.print(f"status: {made.before.state.value} -> {made.after.state.value}")
    if not made.stored:
        console.print(
            Text(
                "not stored: look at what was changed, then --accept this proof, or bring the"
                " earlier state back",
                style="yellow",
            )
        )


# ---------------------------------------------------------------- drift and filters

_ADVICE = {
    "changed": "huntonce detections drift --adopt {id}, or deploy {id} --restore",
    "layout": "its meaning is the same; deploy {id} --restore brings the text back",
    "missing": "huntonce detections deploy {id} --restore",
    "unknown": "not made here: left alone",
    "still there": "huntonce detections retire {id}",
}
_SAID = {
    Sort.SWITCH: "its operators' to decide: never switched from here",
    Sort.UNSEEN: "look again when it answers; nothing is known of it now",
}


def drift_rows(lines: Sequence[DriftLine]) -> list[Row]:
    """Drift for programs."""
    return [
        {
            "id": line.detection,
            "rule_id": line.rule_id,
            "part": line.part,
            "where": line.where,
            "why": line.why,
            "kind": line.sort.value,
            "advice": _SAID.get(line.sort)
            or _ADVICE.get(line.why, "huntonce proposals, or deploy {id}").format(
                id=line.detection or line.rule_id
            ),
        }
        for line in lines
    ]


def show_drift(console: Console, rows: list[Row]) -> None:
    """Drift for people."""
    if not any(row["kind"] == Sort.DRIFT for row in rows):
        unseen = any(row["kind"] == Sort.UNSEEN for row in rows)
        seen = " where it could be looked" if unseen else ""
        console.print(f"No drift{seen}: rules, filters, kept events and certificates are as"
                      " recorded.")  # fmt: skip
    if not rows:
        return
    shown = [
        (row["id"] or row["rule_id"][:8] or "-", row["part"], row["where"],
         cell(row["why"], "yellow"), row["advice"])
        for row in rows
    ]  # fmt: skip
    console.print(table(("id", "part", "where", "is", "what to do"), shown))


def filter_rows(detection: Detection) -> list[Row]:
    """Filters for programs."""
    return [dict(filter_facts(text)) for text in detection.filters]


def show_filters(console: Console, name: str, rows: list[Row]) -> None:
    """Filters for people."""
    if not rows:
        console.print(f"{name} has no filters.")
        return
    shown = [(row["id"], row["owner"], row["expires"] or "open", row["reason"]) for row in rows]
    console.print(table(("filter", "owner", "until", "reason"), shown))

"""What the commands on alerts show: rows for programs, lines for people."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from huntonce.cli.output import cell, table
from huntonce.models.alert import cases_of
from huntonce.models.keeping import UnitOfWork

Row = dict[str, Any]


def alert_rows(unit: UnitOfWork, rule_id: str = "", *states: str) -> list[Row]:
    """Alerts for programs, those of one rule or of all, newest day last."""
    names = {d.rule_id: (d.id, d.title, d.level) for d in unit.detections.list()}
    cases = unit.cases.list()
    rows = []
    for alert in unit.alerts.list(*states):
        if rule_id and alert.rule_id != rule_id:
            continue
        name, title, level = names.get(alert.rule_id, (alert.rule_id, "", ""))
        rows.append(
            {
                "id": alert.id,
                "state": alert.state.value,
                "detection": name,
                "title": title,
                "level": level,
                "siem": alert.siem,
                "day": alert.day.isoformat(),
                "events": alert.count,
                "hosts": list(alert.hosts),
                "first": alert.first,
                "last": alert.last,
                "uids": list(alert.uids),
                "cases": list(cases_of(alert, cases)),
                "judged_by": alert.judged_by,
                "why": alert.why,
            }
        )
    return sorted(rows, key=lambda row: (row["day"], row["detection"], row["siem"]))


_ALERT_STYLES = {"open": "yellow", "true": "bold red", "false": "dim"}


def show_alerts(console: Console, rows: list[Row]) -> None:
    """Alerts for people."""
    if not rows:
        console.print("No alerts. huntonce detections run looks for new ones; --all shows judged.")
        return
    shown = [
        (row["id"], row["day"], row["detection"], cell(row["state"], _ALERT_STYLES[row["state"]]),
         row["events"], _some(row["hosts"]), ", ".join(row["cases"]), row["why"] or row["title"])
        for row in rows
    ]  # fmt: skip
    columns = ("id", "day", "of", "is", "events", "hosts", "case", "why, or what it is for")
    console.print(table(columns, shown))
    console.print(
        Text(
            "say what they are: huntonce detections judge ALERT-1 --as true|false --by NAME"
            " --why TEXT",
            style="dim",
        )
    )


def _some(hosts: Sequence[str]) -> str:
    return ", ".join(hosts[:2]) + (f" +{len(hosts) - 2}" if len(hosts) > 2 else "")  # noqa: PLR2004

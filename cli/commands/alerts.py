"""``huntonce detections alerts`` and ``judge``: what promoted detections found."""

from enum import StrEnum
from typing import Annotated

import typer

from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session


def alerts(
    name: Annotated[
        str, typer.Argument(help="D-1, or the rule's UUID; every one's if left out.")
    ] = "",
    everything: Annotated[bool, typer.Option("--all", help="Judged ones too.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """What the detections on duty found and nobody has judged: one alert a day and SIEM."""
    from huntonce.cli.alertviews import alert_rows, show_alerts
    from huntonce.models.alert import AlertState
    from huntonce.models.stages.certify import find

    with session(home, as_json=as_json) as (opened, output):
        states = () if everything else (AlertState.OPEN,)
        with opened.store.unit() as unit:
            rows = alert_rows(unit, find(unit, name).rule_id if name else "", *states)
        output.answer({"alerts": rows}, lambda console: show_alerts(console, rows))


class Verdict(StrEnum):
    """What an alert is."""

    TRUE = "true"
    FALSE = "false"


def judge(
    names: Annotated[list[str], typer.Argument(metavar="ALERT...", help="ALERT-1 ALERT-2 ...")],
    verdict: Annotated[
        Verdict,
        typer.Option("--as", help="true: any of its events is what the detection is for."),
    ],
    by: Annotated[str, typer.Option("--by", help="Who looked at it.")],
    why: Annotated[str, typer.Option("--why", help="What it was, in words.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say what alerts were; the detection's precision is computed from this and closed cases."""
    from huntonce.cli.alertviews import alert_rows, show_alerts
    from huntonce.models.stages.alerts import judge as judge_alerts

    with session(home, as_json=as_json, writes=True) as (opened, output):
        judged = {
            alert.id
            for alert in judge_alerts(
                opened.kit(), names, real=verdict is Verdict.TRUE, by=by, why=why
            )
        }
        with opened.store.unit() as unit:
            rows = [row for row in alert_rows(unit) if row["id"] in judged]
        output.answer({"alerts": rows}, lambda console: show_alerts(console, rows))

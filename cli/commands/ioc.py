"""``huntonce ioc``: look for the stored indicators of compromise."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import cell, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session

if TYPE_CHECKING:
    from huntonce.models.indicators.warninglists import Warninglists
    from huntonce.models.stages.ioctypes import Languages, Result, Swept

_SHOWN = 15


def ioc(
    home: HomeOption = DEFAULT_HOME,
    since: Annotated[str, typer.Option(help="Start, UTC; default: all that is held.")] = "",
    until: Annotated[str, typer.Option(help="End, UTC.")] = "",
    siem: SiemOption = "lake",
    as_json: JsonOption = False,
) -> None:
    """Look for every stored indicator: hit, miss, could not look, not matchable or left out.

    Evil becomes a case for incident response, as from any hunt.
    """
    from huntonce.cli.commands.hunting import window_of
    from huntonce.models.stages.dispatch import dispatch
    from huntonce.models.stages.ioc import sweep

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit(siem)
        window = window_of(kit, since, until)
        swept = sweep(kit, languages(), _lists(opened), window)
        dispatch(kit)
        output.answer(_view(swept), lambda console: _show(console, swept))


def languages() -> "Languages":
    """How the patterns of indicators are read."""
    from huntonce.connectors.sigma.rule_values import rule_observables, rule_place
    from huntonce.connectors.sigma.stix_patterns import compile_pattern, parse_pattern
    from huntonce.models.stages.ioctypes import Languages

    return Languages(
        parse_stix=parse_pattern,
        compile_stix=compile_pattern,
        rule_values=rule_observables,
        rule_place=rule_place,
    )


def _lists(opened: Any) -> "Warninglists":  # noqa: ANN401 - a Home; flows are imported late
    from huntonce.models.indicators.warninglists import load_warninglists

    folders = [opened.path / folder for folder in opened.settings.content]
    return load_warninglists(folders)


def _view(swept: "Swept") -> dict[str, Any]:
    from huntonce.cli import views

    run = swept.run
    return {
        "id": run.id if run else "",
        "window": [swept.window.start.isoformat(), swept.window.end.isoformat()],
        "verdict": run.verdict.value if run and run.verdict else None,
        "why": run.why if run else "no indicator can be looked for",
        "power": views.power(run.power if run else None),
        "counts": swept.counts(),
        "indicators": [_result(one) for one in swept.results],
        "findings": [views.finding(finding) for finding in swept.findings],
        "cases": [views.case(case) for case in swept.cases],
        "queries": [views.check(check) for check in swept.checks],
    }


def _result(one: "Result") -> dict[str, Any]:
    from huntonce.cli import views

    return {
        "ids": list(one.ids),
        "name": one.name,
        "pattern_type": one.pattern_type,
        "status": one.status.value,
        "why": one.why,
        "confidence": one.confidence,
        "terms": [views.term(term) for term in one.terms],
        "feeds": list(one.feeds),
        "looked_in": list(one.looked),
        "blind_in": list(one.blind),
        "hosts_seen": one.hosts_seen,
        "hosts_in_scope": one.population,
        "events": one.count,
        "hosts": list(one.hosts),
    }


def _show(console: Console, swept: "Swept") -> None:
    from huntonce.models.stages.ioctypes import Status

    counts = ", ".join(
        f"{number} {name.replace('_', ' ')}" for name, number in swept.counts().items()
    )
    searches = f"{len(swept.checks)} searches"
    console.print(f"{len(swept.results)} indicators over {swept.window}: {counts} ({searches})")
    hits = [one for one in swept.results if one.status is Status.HIT]
    if hits:
        rows = [
            (f"{one.confidence:.2f}", one.count, ", ".join(one.hosts[:5]), clean(one.name, 200))
            for one in hits[:_SHOWN]
        ]
        console.print(table(("trust", "events", "hosts", "indicator"), rows))
        _more(console, len(hits))
    for finding in swept.findings[:_SHOWN]:
        console.print(
            Text.assemble(
                (f"{finding.id} ", "bold"),
                cell(finding.disposition.value),
                f" {finding.score:.2f}  {clean(finding.title, 200)}",
            )
        )
    for case in swept.cases:
        console.print(Text.assemble((f"{case.id} ", "bold"), clean(case.title, 200)))
    if swept.run is not None and swept.run.verdict is not None:
        verdict = swept.run.verdict.value.replace("_", " ")
        console.print(Text(f"\n{swept.run.id}: {verdict}: {clean(swept.run.why, 400)}"))
    for status in (Status.MISS, Status.COULD_NOT_LOOK, Status.NOT_MATCHABLE, Status.LEFT_OUT):
        _show_status(console, status.value, [r for r in swept.results if r.status is status])


def _show_status(console: Console, name: str, results: "list[Result]") -> None:
    """The reasons, those that many share once."""
    if not results:
        return
    console.print(Text(f"\n{name.replace('_', ' ')}: {len(results)}", style="bold"))
    reasons = Counter(clean(one.why, 240) for one in results)
    examples = {clean(one.why, 240): one.name for one in reversed(results)}
    for why, number in reasons.most_common(_SHOWN):
        of = f"{number} x " if number > 1 else f"{clean(examples[why], 80)}: "
        console.print(Text(f"  {of}{why}"))
    _more(console, len(reasons))


def _more(console: Console, number: int) -> None:
    if number > _SHOWN:
        console.print(f"  ... and {number - _SHOWN} more (--json has all)")

"""``huntonce sweep``: every Sigma rule over what a SIEM holds."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.text import Text

from huntonce.cli.output import DONE, SET_ASIDE, Output, cell, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session

if TYPE_CHECKING:
    from huntonce.connectors.siem.sweep.report import BlindRule, RuleHits, SweepReport
    from huntonce.flows.bootstrap import Home
    from huntonce.models.windows import Window

CACHE = Path("cache") / "sigma.db"
"""Compiled rules, below the home."""

_SHOWN_HITS = 60
_SHOWN_REASONS = 8
_SHOWN_HOSTS = 2
_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow"}


def sweep(
    rules: Annotated[
        list[Path], typer.Argument(help="Sigma rules: files, or folders searched for them.")
    ],
    siem: SiemOption = "lake",
    since: Annotated[str, typer.Option(help="Only events from then on (UTC), ISO 8601.")] = "",
    until: Annotated[str, typer.Option(help="Only events before then (UTC), ISO 8601.")] = "",
    values: Annotated[
        Path | None,
        typer.Option(help="YAML file: values of the placeholders of rules that use expand."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every rule that hit.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Run every rule over the lake; data that a rule has seen is not read again."""
    with session(home, as_json=as_json) as (opened, output):
        window = _window(since, until)
        report = _sweep(opened, output, rules, siem, window, _placeholders(values))
        output.answer(document(report), lambda console: _show(console, report, every=every))
        raise typer.Exit(SET_ASIDE if report.unsupported else DONE)


def _sweep(
    opened: "Home",
    output: Output,
    rules: list[Path],
    siem: str,
    window: "Window | None",
    placeholders: dict[str, list[str]],
) -> "SweepReport":
    from huntonce.connectors.siem.sweep.sweeping import sweep as sweep_lake
    from huntonce.connectors.sigma.packcache import load_pack

    pack = load_pack(rules, opened.path / CACHE, placeholders)
    if siem != "lake":
        from huntonce.connectors.siem.sweep.bysearch import sweep_by_search

        return sweep_by_search(opened.siem(siem), rules, pack, window)
    if output.as_json or not output.errors.is_terminal:
        return sweep_lake(opened.lake_path, pack, window=window)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, console=output.errors, transient=True) as progress:
        task = progress.add_task(f"{len(pack.rules)} rules", total=None)
        return sweep_lake(
            opened.lake_path,
            pack,
            window=window,
            progress=lambda seen, total: progress.update(task, completed=seen, total=total),
        )


def _window(since: str, until: str) -> "Window | None":
    from huntonce.models.windows import Window

    if not since and not until:
        return None
    first = _moment(since, "--since") if since else datetime(1, 1, 1, tzinfo=UTC)
    last = _moment(until, "--until") if until else datetime(9999, 12, 31, tzinfo=UTC)
    return Window(first, last)


def _moment(text: str, option: str) -> datetime:
    from huntonce.models.errors import ConfigError
    from huntonce.models.windows import utc

    try:
        return utc(datetime.fromisoformat(text))
    except ValueError:
        raise ConfigError(
            f"{option} {text!r} is no time", hint="write it like 2026-11-01 or 2026-11-01T08:00"
        ) from None


def _placeholders(path: Path | None) -> dict[str, list[str]]:
    if path is None:
        return {}
    from huntonce.connectors.sigma.placeholders import read_placeholders

    return read_placeholders(path)


def document(report: "SweepReport") -> dict[str, Any]:
    """The answer as scripts read it."""
    return {
        "rules": report.rules,
        "evaluated": report.evaluated,
        "unsupported": [
            {"id": rule.id, "title": rule.title, "source": rule.source, "reason": rule.reason}
            for rule in report.unsupported
        ],
        "blind": [
            {
                "id": rule.id,
                "title": rule.title,
                "level": rule.level,
                "reason": rule.reason,
                "sources": list(rule.sources),
                "fields": list(rule.fields),
                "partly": rule.partly,
            }
            for rule in report.blind
        ],
        "hits": [_hit(hits) for hits in report.hits],
        "events": report.events,
        "scanned": report.scanned,
        "seconds": round(report.seconds, 3),
    }


def _hit(hits: "RuleHits") -> dict[str, Any]:
    return {
        "id": hits.id,
        "title": hits.title,
        "level": hits.level,
        "author": hits.author,
        "count": hits.count,
        "events": [
            {
                "host": event.host,
                "channel": event.channel,
                "event_id": event.event_id,
                "record_id": event.record_id,
                "time": event.time.isoformat(),
                "uid": event.uid,
                "branch": branch,
            }
            for event, branch in hits.events()
        ],
    }


def _show(console: Console, report: "SweepReport", *, every: bool) -> None:
    total = sum(hits.count for hits in report.hits)
    over = ""
    if report.events is not None:
        over = f" over {report.events} events ({report.scanned} of them new to some rule)"
    console.print(
        f"{report.evaluated} rules{over}: {len(report.hits)} rules hit {total} times, "
        f"in {report.seconds:.1f} s"
    )
    if report.events == 0:
        console.print("The lake holds no events in that window. Load logs: huntonce lake load ...")
    shown = report.hits if every else report.hits[:_SHOWN_HITS]
    if shown:
        columns = ("level", "hits", "hosts", "first", "rule")
        console.print(table(columns, [_row(hits) for hits in shown]))
    if len(shown) < len(report.hits):
        console.print(f"... and {len(report.hits) - len(shown)} more rules (--all shows them)")
    _show_blind(console, report.blind)
    _show_unsupported(console, report)


def _row(hits: "RuleHits") -> tuple[object, ...]:
    hosts = hits.hosts
    names = ", ".join(hosts[:_SHOWN_HOSTS])
    more = f" +{len(hosts) - _SHOWN_HOSTS}" if len(hosts) > _SHOWN_HOSTS else ""
    rule = cell(hits.title, limit=100)
    if hits.author:
        rule.append(f" by {clean(hits.author, 30)}", style="dim")
    first = next(hits.events(), None)
    return (
        cell(hits.level or "-", _STYLES.get(hits.level, "")),
        hits.count,
        cell(names + more),
        f"{first[0].time:%Y-%m-%d}" if first else None,
        rule,
    )


def _show_blind(console: Console, blind: "tuple[BlindRule, ...]") -> None:
    """Reasons by how many rules each keeps from firing."""
    if not blind:
        return
    partly = sum(rule.partly for rule in blind)
    console.print(
        Text(
            f"{len(blind) - partly} rules could not fire on what is here, {partly} more not in "
            "one of their sources: these are visibility gaps, not clean results",
            style="yellow",
        )
    )
    reasons: dict[str, int] = {}
    for rule in blind:
        where = " or ".join(rule.sources[:2])
        what = f"no {', '.join(rule.fields[:4])}" if rule.fields else rule.reason
        reasons[f"{where}: {what}"] = reasons.get(f"{where}: {what}", 0) + 1
    _show_reasons(console, reasons)


def _show_unsupported(console: Console, report: "SweepReport") -> None:
    if not report.unsupported:
        return
    console.print(Text(f"{len(report.unsupported)} rules were set aside:", style="yellow"))
    reasons: dict[str, int] = {}
    for rule in report.unsupported:
        text = f"{rule.source}: {rule.reason}"
        reasons[text] = reasons.get(text, 0) + 1
    _show_reasons(console, reasons)


def _show_reasons(console: Console, reasons: dict[str, int]) -> None:
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    for reason, count in ranked[:_SHOWN_REASONS]:
        console.print(Text(f"  {count:>5}  {clean(reason, 200)}"))
    if len(ranked) > _SHOWN_REASONS:
        rest = sum(count for _, count in ranked[_SHOWN_REASONS:])
        console.print(Text(f"  {rest:>5}  for other reasons (--json has all)", style="dim"))

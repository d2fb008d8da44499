"""``huntonce sweep``: every Sigma rule over what a SIEM holds."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from huntonce.cli.commands.sweep_views import show_sweep
from huntonce.cli.output import DONE, SET_ASIDE, Output
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session

if TYPE_CHECKING:
    from huntonce.connectors.siem.sweep.report import RuleHits, SweepReport
    from huntonce.flows.bootstrap import Home
    from huntonce.models.windows import Window

CACHE = Path("cache") / "sigma.db"
"""Compiled rules, below the home."""


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
        output.answer(document(report), lambda console: show_sweep(console, report, every=every))
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

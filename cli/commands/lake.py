"""``huntonce lake``: telemetry into the embedded SIEM, and what it holds."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from huntonce.cli.output import DONE, SET_ASIDE, Output, set_aside_rows, show_set_aside, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.connectors.siem.lake.loader import LoadReport
    from huntonce.connectors.siem.lake.mapping import TableMapping
    from huntonce.connectors.siem.lake.upkeep import Expired
    from huntonce.flows.bootstrap import Home

app = typer.Typer(help="The embedded SIEM.", no_args_is_help=True)

_LARGE = 100_000
"""Events of a load from which reading what arrived is worth doing before anybody asks."""

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]


@app.command("load")
def load(
    paths: Annotated[
        list[Path], typer.Argument(help="Files or folders: EVTX, JSON, XML, CSV, Parquet, gz, zip.")
    ],
    mapping: Annotated[
        Path | None,
        typer.Option(help="YAML file: what the columns of tables (CSV, Parquet) mean."),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="FIELD=COLUMN",
            help="A column's meaning: time, host, channel, provider, event_id, record_id, or the "
            "name of a field in Sigma rules. Repeatable; wins over the file.",
        ),
    ] = None,
    constants: Annotated[
        list[str] | None,
        typer.Option(
            "--constant", metavar="FIELD=VALUE", help="A value that no column holds. Repeatable."
        ),
    ] = None,
    zone: Annotated[
        str, typer.Option(help="Zone of tables' times that name none: UTC, +02:00, Europe/Vienna.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Load Windows logs; what is loaded twice is kept once."""
    with session(home, as_json=as_json, writes=True) as (opened, output):
        meaning = _mapping(mapping, columns or [], constants or [], zone)
        report = _load(opened, output, paths, meaning)
        _remember(opened, output, report)
        with opened.store.unit() as unit:
            unit.set_aside.add(report.set_aside, at=opened.clock())
            unit.commit()

        def show(console: Console) -> None:
            console.print(
                f"{report.files} files: {report.events} events loaded, "
                f"{report.duplicates} held already, in {report.seconds:.1f} s"
            )
            if report.merged:
                console.print(f"{report.merged} small files of the lake were merged")
            show_set_aside(console, report.set_aside)

        output.answer(
            {
                "files": report.files,
                "events": report.events,
                "duplicates": report.duplicates,
                "set_aside": set_aside_rows(report.set_aside),
                "seconds": round(report.seconds, 3),
                "merged": report.merged,
            },
            show,
        )
        raise typer.Exit(SET_ASIDE if report.set_aside else DONE)


def _mapping(
    path: Path | None, columns: list[str], constants: list[str], zone: str
) -> "TableMapping | None":
    """What was said of the columns of tables; None where nothing was."""
    from huntonce.connectors.siem.lake.mapping import TableMapping, checked, read_mapping

    if path is None and not columns and not constants and not zone:
        return None
    base = read_mapping(path) if path is not None else TableMapping()
    made = replace(
        base,
        columns=tuple({**dict(base.columns), **_pairs("--map", columns)}.items()),
        constants=tuple({**dict(base.constants), **_pairs("--constant", constants)}.items()),
        zone=zone or base.zone,
    )
    return checked(made)


def _pairs(option: str, given: list[str]) -> dict[str, str]:
    from huntonce.models.errors import ConfigError

    pairs = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise ConfigError(f"{option} {text!r} is no pair", hint=f"write {option} host=Computer")
        pairs[name.strip()] = value.strip()
    return pairs


def _load(
    opened: "Home", output: Output, paths: list[Path], mapping: "TableMapping | None"
) -> "LoadReport":
    from huntonce.connectors.siem.lake.loader import load_paths
    from huntonce.connectors.siem.sweep.searched import searched_alike

    alike = searched_alike(opened.lake_path)
    if output.as_json or not output.errors.is_terminal:
        return load_paths(opened.lake_path, paths, alike=alike, mapping=mapping)
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=output.errors, transient=True) as progress:
        task = progress.add_task("loading")
        return load_paths(
            opened.lake_path,
            paths,
            alike=alike,
            mapping=mapping,
            progress=lambda name, events: progress.update(
                task, description=f"{events} events  {name}"
            ),
        )


def _remember(opened: "Home", output: Output, report: "LoadReport") -> None:
    """Read a large load's inventory and fills now, so that the first hunt need not."""
    from huntonce.models.errors import HuntonceError
    from huntonce.models.stages.probe import remember

    if report.window is None or report.events < _LARGE:
        return
    with suppress(HuntonceError), output.errors.status("reading what arrived"):
        evidence = opened.library.evidence
        remember(opened.siem(), list(evidence.values()), report.window)


@app.command("show")
def show_lake(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Log sources, hosts, windows and volume."""
    from huntonce.connectors.siem.lake.lake import Lake

    with session(home, as_json=as_json) as (opened, output):
        lake = Lake(opened.lake_path)
        sources, hosts, extent = lake.sources(), sorted(lake.hosts()), lake.extent()

        def show(console: Console) -> None:
            if extent is None:
                console.print("The lake is empty. Load logs with: huntonce lake load PATH...")
                return
            console.print(f"{len(hosts)} hosts, {extent}")
            rows = [
                (s.channel, s.events, s.hosts, s.first, s.last, _ids(s.event_ids)) for s in sources
            ]
            console.print(table(("channel", "events", "hosts", "first", "last", "event ids"), rows))

        output.answer({"sources": sources, "hosts": hosts}, show)


@app.command("compact")
def compact_lake(
    dry_run: DryRunOption = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Merge small files; hunts may go on, and nothing is searched twice by a sweep."""
    from huntonce.connectors.siem.lake.upkeep import compact
    from huntonce.connectors.siem.sweep.searched import searched_alike

    with session(home, as_json=as_json, writes=not dry_run) as (opened, output):
        root = opened.lake_path
        report = compact(root, alike=searched_alike(root), dry_run=dry_run)

        def show(console: Console) -> None:
            if not report.before:
                console.print("No small files to merge.")
            else:
                verb = "would become" if dry_run else "became"
                sizes = "" if dry_run else f" -> {_size(report.bytes_after)}"
                console.print(
                    f"{report.before} small files {verb} {report.after} in {report.partitions} "
                    f"days of channels: {report.rows} events, {_size(report.bytes_before)}{sizes}"
                )
                if not dry_run:
                    console.print(
                        "The files replaced stay 15 minutes for searches under way; the next load "
                        "or compaction deletes them."
                    )
            if report.deleted:
                console.print(f"{report.deleted} files replaced earlier were deleted.")
            show_set_aside(console, report.set_aside)

        output.answer(
            {
                "dry_run": dry_run,
                "partitions": report.partitions,
                "files_before": report.before,
                "files_after": report.after,
                "events": report.rows,
                "bytes_before": report.bytes_before,
                "bytes_after": report.bytes_after,
                "deleted": report.deleted,
                "set_aside": set_aside_rows(report.set_aside),
            },
            show,
        )
        raise typer.Exit(SET_ASIDE if report.set_aside else DONE)


@app.command("retain")
def retain_lake(
    days: Annotated[
        int | None,
        typer.Option(
            min=1, help="Days of events to keep; default: retention_days of the settings."
        ),
    ] = None,
    dry_run: DryRunOption = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Delete the days of events that are older, by the time of the events (UTC)."""
    from huntonce.connectors.siem.lake.upkeep import retain
    from huntonce.models.errors import ConfigError

    with session(home, as_json=as_json, writes=not dry_run) as (opened, output):
        kept = days or opened.settings.lake.retention_days
        if kept is None:
            raise ConfigError(
                "how many days to keep is not said",
                hint="give --days N, or retention_days below [lake] in huntonce.toml",
            )
        first = opened.clock().date() - timedelta(days=kept - 1)
        gone = retain(opened.lake_path, first, dry_run=dry_run)
        channels: dict[str, list[Expired]] = {}
        for item in gone:
            channels.setdefault(item.channel, []).append(item)
        verb = "would be deleted" if dry_run else "deleted"

        def show(console: Console) -> None:
            if not gone:
                console.print(f"Nothing is older than {first}, the first of {kept} days kept.")
                return
            rows = [
                (name, len(found), min(found).day, max(found).day,
                 sum(one.events for one in found), _size(sum(one.size for one in found)))
                for name, found in channels.items()
            ]  # fmt: skip
            console.print(table(("channel", "days", "first", "last", "events", "size"), rows))
            console.print(
                f"{sum(one.events for one in gone)} events before {first} {verb}; {kept} days "
                "are kept, today among them."
            )

        output.answer(
            {
                "dry_run": dry_run,
                "keeps_from": first.isoformat(),
                "days": kept,
                "events": sum(item.events for item in gone),
                "bytes": sum(item.size for item in gone),
                "deleted": [
                    {"channel": item.channel, "day": item.day.isoformat(), "files": item.files,
                     "events": item.events, "bytes": item.size}
                    for item in gone
                ],
            },
            show,
        )  # fmt: skip


def _size(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 - units
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _ids(counts: object) -> str:
    if not isinstance(counts, dict):
        return str(counts)
    top = sorted(counts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{event_id} ({count})" for event_id, count in top[:12])
    return f"{shown} ..." if len(top) > 12 else shown  # noqa: PLR2004

"""``huntonce detections``: what stands guard, its proof, its life, and what it did."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import DONE, FAILED, SET_ASIDE, cell, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session

if TYPE_CHECKING:
    from huntonce.flows.bootstrap import Home
    from huntonce.models.stages.kit import Kit

app = typer.Typer(help="What stands guard.", invoke_without_command=True)

NameArgument = Annotated[str, typer.Argument(help="D-1, or the rule's UUID.")]
SourceOption = Annotated[
    Path | None, typer.Option("--from", help="A Sigma filter (YAML) to put beside the rule.")
]


@app.callback()
def list_detections(
    context: typer.Context, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """List detections with their proof, health and what they did since."""
    if context.invoked_subcommand:
        return
    from huntonce.cli.guardviews import list_rows, show_list

    with session(home, as_json=as_json) as (opened, output):
        rows = list_rows(opened.kit())
        output.answer({"detections": rows}, lambda console: show_list(console, rows))


@app.command("show")
def show(name: NameArgument, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """One detection: its proof line by line, its record of service, its rule."""
    from huntonce.cli.guardviews import detail, show_detail

    with session(home, as_json=as_json) as (opened, output):
        document = detail(opened.kit(), name)
        output.answer(document, lambda console: show_detail(console, document))


@app.command("certify")
def certify(
    name: NameArgument,
    accept: Annotated[
        bool, typer.Option("--accept", help="Store the new proof though something was changed.")
    ] = False,
    siem: SiemOption = "lake",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Run a detection's proof again and show what has changed since it was issued."""
    from huntonce.cli.guardviews import certified, show_certified
    from huntonce.models.stages.certify import certify_again
    from huntonce.models.stages.dispatch import dispatch

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit(siem)
        made = certify_again(kit, name, accept=accept)
        dispatch(kit)
        output.answer(certified(made), lambda console: show_certified(console, made))
        raise typer.Exit(DONE if made.stored and made.proof.holds else FAILED)


@app.command("promote")
def promote(
    name: NameArgument,
    status: Annotated[
        str, typer.Argument(help="experimental, test, stable, deprecated, or draft again.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Move a detection's status one step; upwards only as far as its certificate carries."""
    from huntonce.cli import views
    from huntonce.models.detection import DetectionState
    from huntonce.models.stages.certify import move
    from huntonce.models.stages.dispatch import dispatch

    allowed = [state.value for state in DetectionState if state is not DetectionState.RETIRED]
    if status not in allowed:
        raise typer.BadParameter(f"say one of {', '.join(allowed)}", param_hint="status")
    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        moved = move(kit, name, DetectionState(status))
        dispatch(kit)
        output.answer(
            views.detection(moved),
            lambda console: console.print(f"{moved.id} is {moved.state.value}: {moved.title}"),
        )


@app.command("deploy")
def deploy(
    name: NameArgument,
    overwrite: Annotated[
        bool, typer.Option("--restore", help="Also over what people changed in the store.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Bring a detection to the store of rules again."""
    from huntonce.models.stages.certify import deploy as deploy_again

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        sent = deploy_again(kit, name, overwrite=overwrite)
        failed = _send(kit)
        document = {"id": sent.id, "rule_id": sent.rule_id, "store": kit.rules.name,
                    "failed": failed}  # fmt: skip

        def show_it(console: Console) -> None:
            if not failed:
                console.print(f"{sent.id} is in the store {kit.rules.name}")
            for why in failed:
                console.print(Text(clean(why), style="yellow"))

        output.answer(document, show_it)
        raise typer.Exit(FAILED if failed else DONE)


def _send(kit: "Kit") -> list[str]:
    from huntonce.models.outbox import Channel
    from huntonce.models.stages.dispatch import dispatch

    return [why for _, why in dispatch(kit, Channel.DETECTION).failed]


@app.command("retire")
def retire(
    name: NameArgument,
    reason: Annotated[str, typer.Option("--reason", help="Why, for the log.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Though nothing else watches its technique.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Retire a detection; the only one of a technique only with --force and --reason."""
    from huntonce.cli import views
    from huntonce.models.stages.guard import retire as retire_it

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit()
        gone = retire_it(kit, name, reason=reason, force=force)
        _send(kit)
        output.answer(
            views.detection(gone), lambda console: console.print(f"{gone.id} retired: {gone.title}")
        )


@app.command("drift")
def drift(
    adopt: Annotated[
        str, typer.Option("--adopt", metavar="ID", help="Take over what people changed of it.")
    ] = "",
    siem: SiemOption = "lake",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show where the store of rules and the SIEMs differ from the record; adopt what holds.

    A rule that is switched off at a SIEM is shown, and is no drift: that is its operators' to do.
    """
    from huntonce.cli.guardviews import certified, drift_rows, show_certified, show_drift
    from huntonce.models.stages.certify import adopt as adopt_change
    from huntonce.models.stages.drifting import drift as find_drift

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit(siem)
        if adopt:
            made = adopt_change(kit, adopt)
            _send(kit)
            output.answer(certified(made), lambda console: show_certified(console, made))
            return
        rows = drift_rows(find_drift(kit))
        output.answer({"drift": rows}, lambda console: show_drift(console, rows))
        raise typer.Exit(SET_ASIDE if any(row["kind"] != "switch" for row in rows) else DONE)


@app.command("filter")
def filter_(  # noqa: PLR0913, PLR0917 - each is an option of the command
    name: NameArgument,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="FIELD=VALUE", help="All must match; repeat for more."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why this is fine.")] = "",
    owner: Annotated[str, typer.Option("--owner", help="Who says so.")] = "",
    expires: Annotated[str, typer.Option("--expires", help="Until when, like 2027-03-31.")] = "",
    source: SourceOption = None,
    remove: Annotated[str, typer.Option("--remove", metavar="FILTER", help="Its id.")] = "",
    siem: SiemOption = "lake",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List, add or remove Sigma filters: tuning stands beside a rule and never edits it."""
    from huntonce.cli.guardviews import certified, filter_rows, show_certified, show_filters
    from huntonce.models.stages.certify import find, retune

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit(siem)
        with kit.open_unit() as unit:
            detection = find(unit, name)
        if not (where or source or remove):
            rows = filter_rows(detection)
            output.answer(
                {"id": detection.id, "filters": rows},
                lambda console: show_filters(console, detection.id, rows),
            )
            return
        filters = _filters(opened, name, where or [], source, remove,
                           owner=owner, reason=reason, expires=expires)  # fmt: skip
        made = retune(kit, detection.id, filters)
        _send(kit)
        output.answer(certified(made), lambda console: show_certified(console, made))


def _filters(
    opened: "Home",
    name: str,
    where: list[str],
    source: Path | None,
    remove: str,
    *,
    owner: str,
    reason: str,
    expires: str,
) -> list[str]:
    """The filters that a detection is to have."""
    from huntonce.models.errors import ConfigError
    from huntonce.models.guarding import filter_facts, write_filter
    from huntonce.models.stages.certify import find

    with opened.store.unit() as unit:
        detection = find(unit, name)
    kept = [text for text in detection.filters if filter_facts(text)["id"] != remove]
    if remove and len(kept) == len(detection.filters):
        raise ConfigError(f"{detection.id} has no filter {remove}")
    if source is not None:
        try:
            kept.append(source.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{source}: {error}", hint="name a YAML file") from error
    if where:
        fields: dict[str, list[str]] = {}
        for item in where:
            field, equals, value = item.partition("=")
            if not equals or not field.strip():
                raise ConfigError(f"--where {item!r}", hint="write it like SubjectUserName=svc")
            fields.setdefault(field.strip(), []).append(value)
        kept.append(
            write_filter(
                detection,
                fields,
                owner=owner,
                reason=reason,
                today=opened.clock().date(),
                expires=expires,
            )
        )
    return kept


@app.command("run")
def run(
    siem: SiemOption = "lake", home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Run every detection on duty over what came in since, and record its alerts."""
    from huntonce.models.stages.guard import run_detections

    with session(home, as_json=as_json, writes=True) as (opened, output):
        ran = run_detections(opened.kit(siem))
        rows = [
            {
                "id": row.detection.id,
                "title": row.detection.title,
                "level": row.detection.level,
                "new": row.fresh,
                "alerts": row.alerts,
                "hosts": list(row.hosts),
                "fault": row.fault,
            }
            for row in ran.rows
        ]

        def show_it(console: Console) -> None:
            if not rows:
                console.print("No detection is on duty, or nothing is held to run it over.")
                return
            console.print(f"{len(rows)} detections run up to {ran.until:%Y-%m-%d %H:%M} UTC")
            columns = ("id", "new", "in all", "hosts", "title")
            shown = [
                (row.detection.id, cell(row.fresh, "bold red" if row.fresh else ""), row.alerts,
                 len(row.hosts), row.detection.title)
                for row in ran.rows
            ]  # fmt: skip
            console.print(table(columns, shown))
            if any(row["new"] for row in rows):
                console.print(Text("look at them: huntonce detections alerts", style="dim"))
            for row in rows:
                if row["fault"]:
                    text = f"{row['id']} could not be run: {clean(row['fault'])}"
                    console.print(Text(text, style="yellow"))

        document = {"until": ran.until, "scanned": ran.scanned, "detections": rows}
        output.answer(document, show_it)
        raise typer.Exit(SET_ASIDE if any(row["fault"] for row in rows) else DONE)

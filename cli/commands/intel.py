"""``huntonce intel`` and ``huntonce taxii``: intelligence in and out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import (
    DONE,
    FAILED,
    SET_ASIDE,
    UNREACHABLE,
    clean,
    set_aside_rows,
    show_set_aside,
    table,
)
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.models.publication import Publication
    from huntonce.models.stages.collect import Collected

app = typer.Typer(help="Threat intelligence in and out.", no_args_is_help=True)
taxii = typer.Typer(help="Our own TAXII 2.1 server.", no_args_is_help=True)


@app.command("load")
def load(
    files: Annotated[list[Path], typer.Argument(help="STIX 2.1 or 2.0 bundles, or folders.")],
    source: Annotated[
        str, typer.Option("--source", help="Who it is from; kept with each object.")
    ] = "file",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Load STIX bundles; what is loaded twice is kept once."""
    from huntonce.models.errors import ConfigError
    from huntonce.models.stages.collect import collect

    with session(home, as_json=as_json, writes=True) as (opened, output):
        if source in opened.settings.intel:
            raise ConfigError(
                f"{source!r} is the name of a TAXII source", hint="give the files another name"
            )
        bundles = opened.bundles(files, source)
        collected = collect(bundles, opened.store.unit, opened.clock)
        output.answer(_collected([collected]), lambda console: _show(console, [collected]))
        raise typer.Exit(SET_ASIDE if collected.set_aside else DONE)


@app.command("pull")
def pull(
    source: Annotated[str, typer.Argument(help="Name of a source; all without it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Pull from the configured TAXII sources, from where the last complete pull ended.

    One that cannot be read does not keep the others from it; the command then ends with code 4.
    """
    from huntonce.models.errors import ConfigError
    from huntonce.models.stages.collect import collect_all

    with session(home, as_json=as_json, writes=True) as (opened, output):
        sources = (opened.source(source),) if source else opened.sources()
        if not sources:
            raise ConfigError(
                "no intel source is configured",
                hint="huntonce init writes huntonce.toml with an example [intel.NAME]",
            )
        collected = collect_all(sources, opened.store.unit, opened.clock)
        output.answer(_collected(collected), lambda console: _show(console, collected))
        for one in collected:
            if one.error is not None:
                output.problem(f"{one.feed}: {one.error}", one.error.hint)
        if any(one.error is not None for one in collected):
            raise typer.Exit(UNREACHABLE)
        raise typer.Exit(SET_ASIDE if any(c.set_aside for c in collected) else DONE)


def _collected(items: "Sequence[Collected]") -> dict[str, object]:
    from huntonce.models.stages.collect import failures_of

    refused = [item for collected in items for item in collected.set_aside]
    return {
        "objects": sum(c.counts.objects for c in items),
        "new": sum(c.counts.new for c in items),
        "updated": sum(c.counts.updated for c in items),
        "duplicate": sum(c.counts.duplicate for c in items),
        "skipped": sum(c.skipped for c in items),
        "set_aside": set_aside_rows(refused),
        "feeds": [c.feed for c in items],
        "failed": failures_of(items),
    }


def _show(console: Console, items: "Sequence[Collected]") -> None:
    for c in items:
        skipped = f", {c.skipped} not wanted" if c.skipped else ""
        console.print(
            Text(
                f"{clean(c.feed)}: {c.counts.objects} objects: {c.counts.new} new, "
                f"{c.counts.updated} updated, {c.counts.duplicate} held already{skipped}"
            )
        )
        show_set_aside(console, c.set_aside)


@app.command("sources")
def sources(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """How each source of intel does: last pull, last success, whose fault, what it brought."""
    from huntonce.cli.commands.intel_views import feed_row, feed_states, show_feeds

    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            healths = unit.feeds.health()
        states = feed_states(healths, opened.settings.intel, opened.clock())
        output.answer(
            {"sources": [feed_row(one) for one in states]},
            lambda console: show_feeds(console, states),
        )


@app.command("revoked")
def revoked(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List what its makers have withdrawn: it is kept, and neither hunted nor swept for."""
    from huntonce.cli.commands.intel_views import revoked_row, show_revoked

    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            gone = [item for item in unit.intel.latest(revoked=True) if item.revoked]
            feeds = unit.intel.feeds_of(item.id for item in gone)
        rows = [revoked_row(item, feeds.get(item.id, ())) for item in gone]
        output.answer({"revoked": rows}, lambda console: show_revoked(console, rows))


@app.command("quarantine")
def quarantine(
    taken: Annotated[
        bool, typer.Option("--taken", help="Show what passed when it was tried again.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the intel that was set aside, with the reason, what to do, and its first bytes."""
    from huntonce.cli.commands.intel_views import quarantine_row, show_quarantine
    from huntonce.models.setaside import InputKind

    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            kept = unit.quarantine.kept(InputKind.INTEL, taken=taken)
        output.answer(
            {"quarantine": [quarantine_row(one) for one in kept]},
            lambda console: show_quarantine(console, kept),
        )


@app.command("replay")
def replay_command(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Try again what was set aside, after an upgrade or a changed setting; take what passes."""
    from huntonce.models.stages.collect import replay

    with session(home, as_json=as_json, writes=True) as (opened, output):
        done = replay(opened.store.unit, opened.check_again(), opened.clock)
        document = {
            "tried": done.tried,
            "taken": done.taken,
            "new": done.counts.new,
            "updated": done.counts.updated,
            "duplicate": done.counts.duplicate,
            "cut": done.cut,
            "set_aside": set_aside_rows(done.refused),
        }

        def show(console: Console) -> None:
            console.print(
                f"{done.tried} tried again: {done.taken} passed now ({done.counts.new} new, "
                f"{done.counts.updated} updated, {done.counts.duplicate} held already)"
            )
            if done.cut:
                console.print(f"{done.cut} were kept without all of their bytes: load them again")
            show_set_aside(console, done.refused)

        output.answer(document, show)
        raise typer.Exit(SET_ASIDE if done.refused or done.cut else DONE)


@app.command("publish")
def publish(
    files: Annotated[
        list[Path] | None, typer.Argument(help="STIX bundles of the CTI team's own.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would leave.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send approved publications; with files, plan them under the same sharing rules first."""
    from huntonce.cli import views
    from huntonce.models.errors import ConfigError
    from huntonce.models.stages.learn import (
        keep_approved,
        plan_objects,
        send_publications,
        waiting,
    )

    with session(home, as_json=as_json, writes=not dry_run) as (opened, output):
        kit, outlets = opened.kit(), opened.outlets()
        if not outlets:
            raise ConfigError(
                "no destination is configured",
                hint="huntonce init writes huntonce.toml with an example [publish.NAME]",
            )
        if files:
            subject = ", ".join(path.name for path in files)
            planned = plan_objects(kit, opened.read_bundles(files), outlets, subject=subject)
        else:
            planned = waiting(kit)
        if dry_run:
            rows = [
                (p.state.value, p.destination, p.tlp.value, p.object_type, p.name, p.why)
                for p in planned
            ]
            columns = ("state", "to", "tlp", "type", "name", "why")
            output.answer(
                {"would_send": [views.publication(p) for p in planned]},
                lambda console: console.print(table(columns, rows)),
            )
            return
        kept = keep_approved(kit, planned, by="operator") if files else ()
        answers = send_publications(kit, outlets)
        answered = {publication.id for publication in answers}
        before = tuple(p for p in kept if p.id not in answered)
        counts = _tally(answers, before)
        output.answer(
            {**counts, "publications": [views.publication(p) for p in (*answers, *before)]},
            lambda console: _show_published(console, counts, (*answers, *before)),
        )
        raise typer.Exit(FAILED if counts["failed"] else DONE)


def _tally(answers: "tuple[Publication, ...]", before: "tuple[Publication, ...]") -> dict[str, int]:
    """How many ended how; what an earlier call sent is there already."""
    counts = {
        name: sum(p.state.value == name for p in answers)
        for name in ("sent", "already_present", "failed")
    }
    counts["already_present"] += sum(p.state.value in {"sent", "already_present"} for p in before)
    for name in ("skipped_tlp", "rejected_field"):
        counts[name] = sum(p.state.value == name for p in before)
    return counts


def _show_published(
    console: Console, counts: dict[str, int], publications: "tuple[Publication, ...]"
) -> None:
    for name, count in counts.items():
        if count:
            console.print(f"{count} {name.replace('_', ' ')}")
    if not any(counts.values()):
        console.print("Nothing is approved for publication (huntonce proposals).")
    for p in publications:
        if p.why:
            console.print(Text(f"  {p.object_id}: {clean(p.why)}", style="yellow"))


@taxii.command("serve")
def serve(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Serve our TAXII 2.1 collections until stopped."""
    with session(home, as_json=as_json, writes=True) as (opened, output):

        def ready(url: str) -> None:
            output.answer({"url": url}, lambda console: console.print(f"TAXII 2.1 at {url}"))

        opened.serve_taxii(ready)

"""``huntonce intel`` and ``huntonce taxii``: intelligence in and out."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.commands import publishing
from huntonce.cli.output import (
    DONE,
    SET_ASIDE,
    UNREACHABLE,
    clean,
    set_aside_rows,
    show_set_aside,
)
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.flows.bootstrap import Home
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
        _tell_of_news(opened, [collected])
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
        _tell_of_news(opened, collected)
        output.answer(_collected(collected), lambda console: _show(console, collected))
        for one in collected:
            if one.error is not None:
                output.problem(f"{one.feed}: {one.error}", one.error.hint)
        if any(one.error is not None for one in collected):
            raise typer.Exit(UNREACHABLE)
        raise typer.Exit(SET_ASIDE if any(c.set_aside for c in collected) else DONE)


def _tell_of_news(opened: "Home", collected: "Sequence[Collected]") -> None:
    from huntonce.flows.signals import signal

    for one in collected:
        if one.counts.new or one.counts.updated:
            counts = {"new": one.counts.new, "updated": one.counts.updated}
            signal(opened, "intel.updated", one.feed, **counts)


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


app.command("publish")(publishing.publish)
app.command("publications")(publishing.publications)
app.command("retract")(publishing.retract)
app.command("down-mark")(publishing.down_mark)
app.command("opinion")(publishing.opinion)


@taxii.command("serve")
def serve(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Serve our TAXII 2.1 collections until stopped."""
    with session(home, as_json=as_json, writes=True) as (opened, output):

        def ready(url: str) -> None:
            output.answer({"url": url}, lambda console: console.print(f"TAXII 2.1 at {url}"))

        opened.serve_taxii(ready)

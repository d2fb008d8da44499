"""``huntonce intel`` and ``huntonce taxii``: intelligence in and out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import (
    DONE,
    FAILED,
    SET_ASIDE,
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
    files: Annotated[list[Path], typer.Argument(help="STIX 2.1 bundles or folders of them.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Load STIX bundles; what is loaded twice is kept once."""
    from huntonce.connectors.intel.bundles import BundleFiles
    from huntonce.models.stages.collect import collect

    with session(home, as_json=as_json, writes=True) as (opened, output):
        source = BundleFiles(files, default_tlp=opened.settings.policy.default_tlp)
        collected = collect(source, opened.store.unit, opened.clock)
        output.answer(_collected([collected]), lambda console: _show(console, [collected]))
        raise typer.Exit(SET_ASIDE if collected.set_aside else DONE)


@app.command("pull")
def pull(
    source: Annotated[str, typer.Argument(help="Name of a source; all without it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Pull from the configured TAXII sources, from where the last complete pull ended."""
    from huntonce.models.errors import ConfigError
    from huntonce.models.stages.collect import collect

    with session(home, as_json=as_json, writes=True) as (opened, output):
        sources = (opened.source(source),) if source else opened.sources()
        if not sources:
            raise ConfigError(
                "no intel source is configured",
                hint="huntonce init writes huntonce.toml with an example [intel.NAME]",
            )
        collected = [collect(one, opened.store.unit, opened.clock) for one in sources]
        output.answer(_collected(collected), lambda console: _show(console, collected))
        raise typer.Exit(SET_ASIDE if any(c.set_aside for c in collected) else DONE)


def _collected(items: "list[Collected]") -> dict[str, object]:
    refused = [item for collected in items for item in collected.set_aside]
    return {
        "objects": sum(c.counts.objects for c in items),
        "new": sum(c.counts.new for c in items),
        "updated": sum(c.counts.updated for c in items),
        "duplicate": sum(c.counts.duplicate for c in items),
        "set_aside": set_aside_rows(refused),
        "feeds": [c.feed for c in items],
    }


def _show(console: Console, items: "list[Collected]") -> None:
    for c in items:
        console.print(
            f"{c.feed}: {c.counts.objects} objects: {c.counts.new} new, "
            f"{c.counts.updated} updated, {c.counts.duplicate} held already"
        )
        show_set_aside(console, c.set_aside)


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

"""``huntonce hypotheses``, ``hunt`` and ``hunts``: from what intel claims to what was seen."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from huntonce.cli.commands.huntfiles import export_hunt, import_hunt, write_new
from huntonce.cli.output import FAILED, cell, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session

if TYPE_CHECKING:
    from huntonce.models.hypothesis import Hypothesis
    from huntonce.models.stages.hypothesise import Hypothesised
    from huntonce.models.stages.kit import Kit
    from huntonce.models.windows import Window

hypotheses = typer.Typer(help="What intel makes us suspect.", invoke_without_command=True)
hunts = typer.Typer(help="Hunt definitions.", invoke_without_command=True)


@hypotheses.callback()
def list_hypotheses(
    context: typer.Context,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Most rows to show.")] = 30,
    every: Annotated[
        bool,
        typer.Option("--all", help="Also superseded ones, and those that narrower ones cover."),
    ] = False,
) -> None:
    """List hypotheses, most urgent first; ``derive`` makes them from the stored intel."""
    if context.invoked_subcommand:
        return
    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            stored = unit.hypotheses.list()
        if not stored:
            derived = _derive(opened.kit())
            stored = derived.hypotheses
        ranked = sorted(stored, key=lambda h: (-h.priority, h.technique_id, h.scope))
        output.answer(
            {"hypotheses": _hypothesis_views(ranked)},
            lambda console: _show_hypotheses(console, ranked, limit, every=every),
        )


def _hypothesis_views(ranked: "Sequence[Hypothesis]") -> "list[dict[str, Any]]":
    """All of them; ``narrower`` names those that are to be hunted in place of a broad one."""
    from huntonce.cli import views
    from huntonce.models.deriving.hypotheses import broader

    ids = {h.key: h.id for h in ranked}
    covered = broader(ranked)
    return [
        {**views.hypothesis(h), "narrower": [ids[key] for key in covered.get(h.key, ())]}
        for h in ranked
    ]


def _derive(kit: "Kit") -> "Hypothesised":
    from huntonce.models.stages.hypothesise import hypothesise

    return hypothesise(kit)


@hypotheses.command("derive")
def derive(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Derive hypotheses from the stored intel and merge them with those that are known."""
    with session(home, as_json=as_json, writes=True) as (opened, output):
        made = _derive(opened.kit())

        def show(console: Console) -> None:
            console.print(
                f"{made.claims} claims of intel give {len(made.hypotheses)} hypotheses, "
                f"{len(made.new)} of them new"
            )
            if made.unplaced or made.elsewhere:
                console.print(
                    f"{len(made.unplaced)} claims could not be placed, {len(made.elsewhere)} "
                    "techniques are about platforms that are not ours (--json has them)"
                )
            for moved in made.moved:
                console.print(
                    Text(
                        f"{moved.hypothesis_id} {moved.before} -> {moved.after}: {clean(moved.why)}"
                    )
                )
            _show_hypotheses(console, made.hypotheses, 30)

        output.answer(
            {
                "claims": made.claims,
                "new": list(made.new),
                "hypotheses": _hypothesis_views(made.hypotheses),
                "moved": [
                    {"from": m.before, "to": m.after, "hypothesis": m.hypothesis_id, "why": m.why}
                    for m in made.moved
                ],
                "unplaced": [
                    {
                        "object": u.object_id,
                        "claim": u.claim,
                        "technique": u.technique,
                        "why": u.why,
                    }
                    for u in made.unplaced
                ],
                "elsewhere": [{"technique": t, "why": why} for t, why in made.elsewhere],
            },
            show,
        )


def _show_hypotheses(
    console: Console, ranked: "Sequence[Hypothesis]", limit: int, *, every: bool = False
) -> None:
    """A hypothesis in a few lines: the claim, and why it stands where it stands."""
    from huntonce.models.deriving.hypotheses import broader
    from huntonce.models.hypothesis import HypothesisState

    ready = HypothesisState.READY
    if not ranked:
        console.print("No hypotheses. Load intel with: huntonce intel load FILE...")
        return
    covered = {} if every else broader(ranked)
    superseded = [h for h in ranked if h.state is HypothesisState.SUPERSEDED and not every]
    shown = [h for h in ranked if h.key not in covered and h not in superseded]
    for h in shown[:limit]:
        state = cell(h.verdict.value if h.verdict else h.state.value)
        again = ", ready to be hunted again" if h.verdict and h.state is ready else ""
        console.print(
            Text.assemble(
                (h.id, "bold"), f"  {h.priority:.2f}  {h.technique_id} {h.scope}  ", state, again
            )
        )
        console.print(Padding(Text(clean(h.statement, 700)), (0, 0, 0, 5)))
        terms = " + ".join(f"{t.name} {t.value:.2f} ({t.why})" for t in h.terms if t.value)
        console.print(Padding(Text(f"= {clean(terms, 700)}", style="dim"), (0, 0, 1, 5)))
    if len(shown) > limit:
        console.print(f"... and {len(shown) - limit} more (--limit)")
    if covered:
        console.print(
            f"{len(covered)} about a whole technique are not shown: narrower ones of the same "
            "technique are (--all)"
        )
    if superseded:
        console.print(f"{len(superseded)} superseded are not shown (--all)")


def parse_time(text: str) -> datetime:
    """A moment from ISO text; a date alone is its midnight, no zone is UTC."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a date such as 2026-11-02") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def hunt(
    target: Annotated[str, typer.Argument(help="Technique (T1053.005), hypothesis (H-1) or hunt.")],
    home: HomeOption = DEFAULT_HOME,
    since: Annotated[str, typer.Option(help="Start, UTC; default: all that is held.")] = "",
    until: Annotated[str, typer.Option(help="End, UTC.")] = "",
    siem: SiemOption = "lake",
    as_json: JsonOption = False,
) -> None:
    """Hunt for one behaviour now: what can be seen, what was found, and what comes of it."""
    from huntonce.cli import views
    from huntonce.cli.huntscreen import fixes_for, show_hunt
    from huntonce.models.stages.operate import carry_out, find_target

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit = opened.kit(siem)
        hypothesis = find_target(kit, target)
        window = window_of(kit, since, until)
        answer, settled = carry_out(kit, hypothesis, window)
        fixes = fixes_for(settled, kit.policy.power_floor)
        output.answer(
            views.hunt(answer, settled, fixes),
            lambda console: show_hunt(console, answer, settled, fixes),
        )


def window_of(kit: "Kit", since: str, until: str) -> "Window":
    """The window asked for, the SIEM's whole extent where it was not."""
    from huntonce.models.stages.operate import default_window
    from huntonce.models.windows import Window

    if since and until:
        return Window(parse_time(since), parse_time(until))
    extent = default_window(kit)
    return Window(
        parse_time(since) if since else extent.start, parse_time(until) if until else extent.end
    )


@hunts.callback()
def list_hunts(
    context: typer.Context, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """List the hunt definitions at hand."""
    if not context.invoked_subcommand:
        _list_hunts(home, as_json=as_json)


@hunts.command("list")
def list_hunts_by_name(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """The same as `huntonce hunts`."""
    _list_hunts(home, as_json=as_json)


def _list_hunts(home: Path, *, as_json: bool) -> None:
    with session(home, as_json=as_json) as (opened, output):
        library = opened.library

        def show(console: Console) -> None:
            rows = [(h.name, ", ".join(h.techniques), h.version, h.title) for h in library.hunts]
            console.print(table(("name", "techniques", "version", "title"), rows))
            for item in library.set_aside:
                console.print(Text(f"{item.source}, {item.place}: {item.reason}", style="yellow"))

        output.answer(
            {
                "hunts": [
                    {
                        "name": h.name,
                        "title": h.title,
                        "techniques": list(h.techniques),
                        "version": h.version,
                        "searches": [search.name for search in h.searches],
                        "analytics": [spec.name for spec in h.analytics],
                        "detections": [template.title for template in h.detections],
                    }
                    for h in library.hunts
                ]
            },
            show,
        )


@hunts.command("check")
def check(
    path: Annotated[Path, typer.Argument(help="A hunt definition (YAML).")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Check a hunt definition; says where and what is wrong."""
    from huntonce.models.content import check_hunt
    from huntonce.models.errors import DomainError

    with session(home, as_json=as_json) as (_, output):
        try:
            definition = check_hunt(path)
        except DomainError as error:
            output.problem(str(error))
            raise typer.Exit(FAILED) from None
        output.answer(
            {"name": definition.name, "sound": True},
            lambda console: console.print(f"{definition.name}: sound"),
        )


@hunts.command("show")
def show_definition(
    name: Annotated[str, typer.Argument(help="Name of a hunt, or a technique.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show a hunt definition: what it supposes, looks at, and takes for abnormal."""
    from dataclasses import asdict

    from huntonce.models.errors import DomainError

    with session(home, as_json=as_json) as (opened, output):
        library = opened.library
        found = library.hunt(name) or library.hunt_for(name.upper())
        if found is None:
            raise DomainError(f"no hunt is called {name!r}", hint="huntonce hunts lists them")

        def show(console: Console) -> None:
            console.print(Text(f"{found.name}  {', '.join(found.techniques)}", style="bold"))
            console.print(Text(" ".join(found.hypothesis.split())))
            console.print(Text(f"\nAbnormal  {' '.join(found.abnormal.split())}"))
            console.print(table(("search", "looks at"), [
                (one.name, " ".join(str(part) for part in one.logsource.values()))
                for one in found.searches
            ]))  # fmt: skip
            console.print(table(("analytic", "weight", "speaks of", "because"), [
                (one.name, f"{one.weight:+.2f}", one.family, one.why) for one in found.analytics
            ]))  # fmt: skip
            for entry in found.allow:
                until = entry.expires or "no end"
                console.print(Text(f"allowed: {entry.name} ({entry.owner}, {until})"))
            for template in found.detections:
                console.print(Text(f"becomes: {template.title} ({template.level})"))

        output.answer(asdict(found), show)


@hunts.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Name of the hunt, such as odd-logons.")],
    technique: Annotated[str, typer.Option(help="Technique that it is about.")],
    out: Annotated[Path, typer.Option(help="Folder to write it into.")] = Path("hunts"),
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a commented hunt definition to begin with; never over one that is there."""
    from huntonce.models.content_hunts import skeleton
    from huntonce.models.errors import DomainError

    with session(home, as_json=as_json) as (opened, output):
        known = opened.catalogue.technique(technique)
        if known is None:
            raise DomainError(f"ATT&CK knows no technique {technique!r}")
        text = skeleton(name, known.id, opened.catalogue.name(known.id))
        path = out / f"{name}.yml"
        write_new(path, text)
        output.answer({"path": str(path)}, lambda console: console.print(f"wrote {path}"))


hunts.command("import")(import_hunt)
hunts.command("export")(export_hunt)

"""``huntonce intel publish`` and what belongs to it: the ledger, retraction, markings, opinions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import DONE, FAILED, UNREACHABLE, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session
from huntonce.models.feedback.case_intel import Stance
from huntonce.models.tlp import Tlp

if TYPE_CHECKING:
    from huntonce.flows.bootstrap import Home
    from huntonce.models.publication import Publication
    from huntonce.models.report.leaving import Sheet
    from huntonce.models.stages.outlets import Outlet

ByOption = Annotated[str, typer.Option("--by", help="Who says so.")]
_REASONS = 12


def publish(
    files: Annotated[
        list[Path] | None, typer.Argument(help="STIX bundles of the CTI team's own.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would leave.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="With --dry-run: page to write (.html, .md) or bundle (.json)."),
    ] = None,
    to: Annotated[str, typer.Option("--to", help="One destination; all without it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    by: ByOption = "operator",
    as_json: JsonOption = False,
) -> None:
    """Send approved publications; with files, plan them under the same sharing rules first."""
    from huntonce.cli import views
    from huntonce.models.stages.learn import drafts, plan_objects, waiting
    from huntonce.models.stages.planned import keep_approved
    from huntonce.models.stages.sending import send_publications

    if out is not None and not dry_run:
        raise typer.BadParameter("it belongs to --dry-run", param_hint="--out")
    with session(home, as_json=as_json, writes=not dry_run) as (opened, output):
        kit, outlets = opened.kit(), _outlets(opened, to)
        planned: tuple[Publication, ...] = ()
        if files:
            subject = ", ".join(path.name for path in files)
            planned = plan_objects(kit, opened.read_bundles(files), outlets, subject=subject)
        if dry_run:
            names = {outlet.name for outlet in outlets}
            shown = planned or tuple(
                p for p in (*waiting(kit), *drafts(kit, outlets)) if p.destination in names
            )
            with opened.store.unit() as unit:
                beside = unit.publications.list()
            made = _sheets(shown, outlets, beside)
            if out is not None:
                _write(out, made, opened)
            bundles = {sheet.destination: _bundle(sheet) for sheet in made}
            output.answer(
                {"would_send": [views.publication(p) for p in shown], "bundles": bundles},
                lambda console: _show_sheets(console, made, out),
            )
            return
        kept = keep_approved(kit, planned, by=by) if files else ()
        answers = send_publications(kit, outlets)
        answered = {publication.id for publication in answers}
        before = tuple(p for p in kept if p.id not in answered)
        counts = _tally(answers, before)
        output.answer(
            {**counts, "publications": [views.publication(p) for p in (*answers, *before)]},
            lambda console: _show_published(console, counts, (*answers, *before)),
        )
        raise typer.Exit(FAILED if counts["failed"] else DONE)


def publications(
    to: Annotated[str, typer.Option("--to", help="One destination.")] = "",
    subject: Annotated[str, typer.Option(help="What it came from, for example CASE-1.")] = "",
    state: Annotated[str, typer.Option(help="One state, for example skipped_tlp.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """The ledger: every object that left or was to leave, where to, under which marking, and why.

    Versions that a newer plan replaced before they left are shown with --state superseded.
    """
    from huntonce.cli import views
    from huntonce.models.publication import PublicationState

    if state and state not in set(PublicationState):
        known = ", ".join(one.value for one in PublicationState)
        raise typer.BadParameter(f"there is no state {state!r}: {known}", param_hint="--state")
    with session(home, as_json=as_json) as (opened, output):
        with opened.store.unit() as unit:
            stored = tuple(
                p
                for p in unit.publications.list(*([state] if state else []))
                if (not to or p.destination == to)
                and (not subject or p.subject.casefold() == subject.casefold())
                and (state or p.state is not PublicationState.SUPERSEDED)
            )
        output.answer(
            {"publications": [views.publication(p) for p in stored]},
            lambda console: _show_ledger(console, stored),
        )


def retract(
    targets: Annotated[
        list[str], typer.Argument(help="STIX ids, PUB-1, or all that came of CASE-1 or HUNT-1.")
    ],
    why: Annotated[str, typer.Option(help="Why; it stays with us.")] = "",
    to: Annotated[str, typer.Option("--to", help="One destination; all without it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    by: ByOption = "operator",
    as_json: JsonOption = False,
) -> None:
    """Withdraw what we published: a newer version says revoked, and what speaks of it goes too."""
    from huntonce.cli import views
    from huntonce.models.stages.retract import retract as withdraw
    from huntonce.models.stages.sending import send_publications

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit, outlets = opened.kit(), _outlets(opened, "")
        made = withdraw(kit, targets, by=by, why=why, destination=to)
        answers = send_publications(kit, outlets)
        ids = {p.id for p in made.withdrawing}
        ended = [p for p in answers if p.id in ids]
        failed = [p for p in ended if p.state.value == "failed"]

        def show(console: Console) -> None:
            console.print(f"{len(ended) - len(failed)} withdrawn, {len(failed)} failed")
            if len(ended) < len(ids):
                console.print(f"{len(ids) - len(ended)} wait: huntonce intel publish sends them")
            if made.kept_back:
                console.print(f"{len(made.kept_back)} had not left yet and will not")
            for p in failed:
                console.print(Text(f"  failed: {p.object_id}: {clean(p.why)}", style="red"))
            for object_id, reason in made.left:
                console.print(Text(f"  untouched: {object_id}: {clean(reason)}", style="yellow"))

        document = {
            "withdrawn": [views.publication(p) for p in ended if p not in failed],
            "waiting": sorted(ids - {p.id for p in ended}),
            "failed": [views.publication(p) for p in failed],
            "kept_back": [views.publication(p) for p in made.kept_back],
            "untouched": [{"object": name, "why": reason} for name, reason in made.left],
        }
        output.answer(document, show)
        if len(ended) < len(ids) and not failed:
            raise typer.Exit(UNREACHABLE)
        raise typer.Exit(FAILED if failed else DONE)


def down_mark(
    subject: Annotated[str, typer.Argument(help="What was withheld, for example CASE-1.")],
    to: Annotated[str, typer.Option("--to", help="The destination.")],
    tlp: Annotated[Tlp, typer.Option(help="The marking that it should leave under.")],
    why: Annotated[str, typer.Option(help="Why that may be; who decides reads it.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Propose that what was withheld for its marking may leave under a looser one.

    Somebody must approve it by name: huntonce decide ID approve --by NAME.
    """
    from huntonce.models.stages.downmark import propose_down_mark

    with session(home, as_json=as_json, writes=True) as (opened, output):
        (outlet,) = _outlets(opened, to)
        name = subject.upper() if subject.upper().startswith(("CASE-", "HUNT-")) else subject
        made = propose_down_mark(opened.kit(), name, outlet, tlp, why)
        output.answer(
            {"id": made.id, "state": made.state.value, "summary": made.summary},
            lambda console: console.print(
                Text(
                    f"{made.id} {made.state.value}: {clean(made.summary)}\n"
                    f"  -> huntonce decide {made.id} approve --by NAME"
                )
            ),
        )


def opinion(
    about: Annotated[str, typer.Argument(help="STIX id of an object of others.")],
    stance: Annotated[Stance, typer.Argument(help="What you think of it.")],
    by: Annotated[str, typer.Option("--by", help="Who thinks so; it stays with us.")],
    why: Annotated[str, typer.Option(help="Why; this is shared.")] = "",
    to: Annotated[str, typer.Option("--to", help="One destination; all without it.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Share a person's opinion on others' intel; Huntonce has none of its own."""
    from huntonce.cli import views
    from huntonce.models.stages.learn import plan_opinion
    from huntonce.models.stages.sending import send_publications

    with session(home, as_json=as_json, writes=True) as (opened, output):
        kit, outlets = opened.kit(), _outlets(opened, to)
        kept = plan_opinion(kit, about, stance, why, outlets, by=by)
        answers = send_publications(kit, outlets)
        answered = {p.id for p in answers}
        rest = tuple(p for p in kept if p.id not in answered)
        counts = _tally(answers, rest)
        output.answer(
            {**counts, "publications": [views.publication(p) for p in (*answers, *rest)]},
            lambda console: _show_published(console, counts, (*answers, *rest)),
        )
        raise typer.Exit(FAILED if counts["failed"] else DONE)


def _outlets(opened: "Home", to: str) -> "tuple[Outlet, ...]":
    """The destination of a name, or all of them.

    Raises:
        ConfigError: There is none.
    """
    from huntonce.models.errors import ConfigError

    outlets = opened.outlets()
    chosen = tuple(one for one in outlets if not to or one.name == to)
    if not outlets:
        raise ConfigError(
            "no destination is configured",
            hint="huntonce init writes huntonce.toml with an example [publish.NAME]",
        )
    if not chosen:
        known = ", ".join(one.name for one in outlets)
        raise ConfigError(f"no destination named {to!r}", hint=f"known: {known}")
    return chosen


def _sheets(
    shown: "Sequence[Publication]",
    outlets: "Sequence[Outlet]",
    beside: "Sequence[Publication]",
) -> "tuple[Sheet, ...]":
    from huntonce.models.report.leaving import sheets

    return sheets(shown, {one.name: f"TLP:{one.max_tlp.upper()}" for one in outlets}, beside)


def _bundle(sheet: "Sheet") -> object:
    import json

    from huntonce.models.report.leaving import bundle_of

    return json.loads(bundle_of(sheet.leaving)) if sheet.leaving else None


def _write(out: Path, made: "Sequence[Sheet]", opened: "Home") -> None:
    """The page or the bundle, as the file's name says."""
    from huntonce.flows.files import replace_file
    from huntonce.models.errors import ConfigError
    from huntonce.models.report.leaving import bundle_of, html_page, markdown_page

    organisation, at = opened.profile.name, opened.clock()
    match out.suffix.casefold():
        case ".html" | ".htm":
            text = html_page(made, organisation=organisation, at=at)
        case ".md":
            text = markdown_page(made, organisation=organisation, at=at)
        case ".json":
            full = [sheet for sheet in made if sheet.leaving]
            if len(full) > 1:
                names = ", ".join(sheet.destination for sheet in full)
                raise ConfigError(
                    f"a bundle goes to one destination, and this is for {names}",
                    hint="choose with --to NAME",
                )
            text = bundle_of([p for sheet in full for p in sheet.leaving])
        case suffix:
            raise ConfigError(
                f"{out}: no page is written as {suffix!r}", hint="name it .html, .md or .json"
            )
    try:
        replace_file(out, text)
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}", hint="see that it may be written") from error


def _show_sheets(console: Console, made: "Sequence[Sheet]", out: Path | None) -> None:
    from huntonce.models.report import words

    for sheet in made:
        console.print(Text(clean(sheet.title), style="bold"))
        if sheet.leaving:
            rows = [
                (p.object_type, p.tlp.upper(), p.state.value, p.subject, clean(sheet.what(p), 160))
                for p in sheet.leaving
            ]
            console.print(table(("type", "TLP", "state", "from", "what"), rows))
        reasons: dict[str, list[str]] = {}
        for p in sheet.staying:
            text = f"{words.publication(p.state)}: {p.why}" if p.why else words.publication(p.state)
            reasons.setdefault(text, []).append(f"{p.object_type} {clean(sheet.what(p), 60)}")
        if reasons:
            console.print(Text("\nstays here:", style="yellow"))
        for text, names in list(reasons.items())[:_REASONS]:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            console.print(Text(f"  {clean(names[0])}{more}: {clean(text, 300)}"))
        if len(reasons) > _REASONS:
            console.print(f"  ... and {len(reasons) - _REASONS} more reasons (--json has all)")
        console.print()
    if out is not None:
        console.print(Text(f"written to {out}"))
    else:
        hint = "the objects themselves: --out FILE.html (a page), FILE.json (the bundle)"
        console.print(Text(hint, style="dim"))


def _tally(answers: "Sequence[Publication]", before: "Sequence[Publication]") -> dict[str, int]:
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
    console: Console, counts: dict[str, int], shown: "Sequence[Publication]"
) -> None:
    for name, count in counts.items():
        if count:
            console.print(f"{count} {name.replace('_', ' ')}")
    if not any(counts.values()):
        console.print("Nothing is approved for publication (huntonce proposals).")
    for p in shown:
        if p.why:
            console.print(Text(f"  {p.object_id}: {clean(p.why)}", style="yellow"))


def _show_ledger(console: Console, stored: "Sequence[Publication]") -> None:
    from huntonce.models.report.objects import described, labels

    if not stored:
        console.print("Nothing was published or planned. A closed case or a file begins it.")
        return
    known = labels(stored)
    rows = [
        (
            *(p.id, p.state.value, p.destination, p.tlp.upper(), p.subject),
            clean(f"{p.object_type} {described(p, known)}", 160),
        )
        for p in stored
    ]
    console.print(table(("id", "state", "to", "TLP", "from", "what"), rows))
    reasons: dict[str, int] = {}
    for p in stored:
        if p.why:
            reasons[p.why] = reasons.get(p.why, 0) + 1
    for why, count in list(reasons.items())[:_REASONS]:
        console.print(Text(f"  {count} x {clean(why, 300)}", style="yellow"))

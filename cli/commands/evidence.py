"""``huntonce evidence``: what a technique would leave, who says so, and whether it arrives."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import cell, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.flows.bootstrap import Home
    from huntonce.models.evidence import EvidenceModel
    from huntonce.models.requirements.book import EvidenceBook
    from huntonce.models.requirements.merging import Presence, Requirement

_ORIGINS = (
    ("curated", "written by hand"),
    ("sigma", "derived from Sigma rules, ATT&CK besides"),
    ("attack", "derived from ATT&CK's analytics alone"),
    ("free_text", "sources are named, none that can be checked"),
    ("nothing", "nobody names a source"),
)
_SHOWN_NAMED = 12


def evidence(
    target: Annotated[
        str, typer.Argument(help="Technique id or name; without it, all techniques in numbers.")
    ] = "",
    platform: Annotated[
        str, typer.Option("--platform", help="Only techniques of this platform (the list).")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """What evidence a behaviour would leave, from which source, and whether it arrives."""
    from huntonce.models.errors import DomainError

    with session(home, as_json=as_json) as (opened, output):
        book = opened.evidence
        if not target:
            view = _overview(opened, book, platform)
            output.answer(view, lambda console: _show_overview(console, view))
            return
        found = opened.catalogue.find(target)
        if not found:
            raise DomainError(opened.catalogue.resolve(target).why, hint="huntonce attack show")
        if len(found) > 1:
            names = ", ".join(f"{t.id} {t.name}" for t in found[:5])
            raise DomainError(f"{target!r} may be {names}", hint="name one of them by its id")
        one = _one(opened, book, found[0].id)
        output.answer(one, lambda console: _show_one(console, one))


def _overview(opened: "Home", book: "EvidenceBook", platform: str) -> dict[str, Any]:
    wanted = platform.casefold()
    rows = [
        {"id": t.id, "name": opened.catalogue.name(t.id), "evidence": book.origin(t.id)}
        for t in opened.catalogue.active
        if not wanted or wanted in {p.casefold() for p in t.platforms}
    ]
    counted = Counter(row["evidence"] for row in rows)
    return {
        "attack": opened.catalogue.version,
        "platform": platform,
        "techniques": len(rows),
        "counts": {name: counted.get(name, 0) for name, _ in _ORIGINS},
        "items": rows,
    }


def _show_overview(console: Console, view: dict[str, Any]) -> None:
    which = f" of {clean(view['platform'])}" if view["platform"] else ""
    console.print(f"ATT&CK {view['attack']}: evidence of {view['techniques']} techniques{which}")
    rows = [(str(view["counts"][name]), name, words) for name, words in _ORIGINS]
    console.print(table(("techniques", "evidence", "which means"), rows))
    written = [(r["id"], r["name"]) for r in view["items"] if r["evidence"] == "curated"]
    console.print(table(("written by hand", "name"), written))


def _one(opened: "Home", book: "EvidenceBook", technique_id: str) -> dict[str, Any]:
    items = book.requirements(technique_id)
    model = book.get(technique_id)
    there = _presence(opened, items)
    return {
        "id": technique_id,
        "name": opened.catalogue.name(technique_id),
        "evidence": book.origin(technique_id),
        "why": book.explain(technique_id),
        "arrives": None
        if there is None
        else {"extent": there.extent.value, "words": there.words, "live": there.live,
              "checkable": there.checkable},
        "notes": list(model.notes) if model else [],
        "hosts": model.hosts.value if model else "",
        "groups": _groups(model) if model else [],
        "requirements": [_requirement(item) for item in items],
    }  # fmt: skip


def _presence(opened: "Home", items: "tuple[Requirement, ...]") -> "Presence | None":
    """Against what the lake holds; None where it holds nothing."""
    from huntonce.models.requirements.merging import presence

    siem = opened.siem()
    extent = siem.extent()
    if extent is None:
        return None
    arrived = siem.inventory(extent).select(["channel", "event_id"]).to_pydict()
    live = set(zip(arrived["channel"], arrived["event_id"], strict=True))
    return presence(items, lambda channel, event_id: (channel, event_id) in live)


def _groups(model: "EvidenceModel") -> list[dict[str, Any]]:
    return [
        {
            "name": group.name,
            "required": group.required,
            "why": group.why,
            "atoms": [
                {
                    "id": atom.id,
                    "label": atom.label,
                    "gives": atom.gives,
                    "channel": atom.channel,
                    "event_ids": list(atom.event_ids),
                    "fields": list(atom.fields),
                    "provenance": atom.provenance.value,
                    "trust": atom.trust.value,
                    "off_by_default": atom.off_by_default,
                    "remedy": {"text": atom.remedy.text, "commands": list(atom.remedy.commands)},
                }
                for atom in group.atoms
            ],
        }
        for group in model.groups
    ]


def _requirement(item: "Requirement") -> dict[str, Any]:
    return {
        "channel": item.channel,
        "event_id": item.event_id,
        "named": item.named,
        "state": item.state.value,
        "provenance": [p.value for p in item.provenance],
        "trust": item.trust.value,
        "support": item.support,
        "platforms": list(item.platforms),
        "refs": list(item.refs),
        "why": item.why,
    }


def _show_one(console: Console, view: dict[str, Any]) -> None:
    console.print(Text(f"{view['id']} {view['name']}", style="bold"))
    console.print(Text(f"evidence  {clean(view['why'])}"))
    if view["hosts"] == "domain_controllers":
        console.print("hosts     domain controllers only")
    if view["arrives"]:
        console.print(Text(f"lake      {view['arrives']['words']}"))
    for note in view["notes"]:
        console.print(Text(f"note      {clean(note)}", style="dim"))
    rows = [
        (
            cell(group["name"], "bold" if group["required"] else ""),
            "yes" if group["required"] else "",
            atom["label"],
            atom["trust"],
            "off" if atom["off_by_default"] else "on",
            atom["gives"],
        )
        for group in view["groups"]
        for atom in group["atoms"]
    ]
    if rows:
        console.print(table(("group", "needed", "trace", "trust", "default", "gives"), rows))
    named = [r for r in view["requirements"] if r["state"] != "parsed"]
    if named:
        console.print(f"Named, but not to be checked here: {len(named)}")
        shown = [
            (", ".join(r["provenance"]), r["state"], f"{r['named']} {r['why']}".strip())
            for r in named[:_SHOWN_NAMED]
        ]
        console.print(table(("by", "state", "source"), shown))
    _show_switches(console, view)


def _show_switches(console: Console, view: dict[str, Any]) -> None:
    """How to turn on what is off by default, each switch once."""
    switches = {
        tuple(atom["remedy"]["commands"]): atom["remedy"]["text"]
        for group in view["groups"]
        for atom in group["atoms"]
        if atom["off_by_default"]
    }
    if switches:
        console.print("To switch on:")
    for commands, text in switches.items():
        console.print(Text(f"  {clean(text)}"))
        for command in commands:
            console.print(Text(f"    {clean(command)}", style="dim"), soft_wrap=True)

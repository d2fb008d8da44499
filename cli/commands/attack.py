"""``huntonce attack``: the ATT&CK catalogue, and what a technique is in it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.flows.bootstrap import Home
    from huntonce.models.attack import Catalogue
    from huntonce.models.attack_data import Document
    from huntonce.models.attack_types import Technique
    from huntonce.models.stages.attack import Migrated

app = typer.Typer(help="The ATT&CK catalogue.", no_args_is_help=True)


@app.command("update")
def update(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="MITRE's Enterprise bundle (STIX 2.0 or 2.1, .json or .gz); without it, the "
            "ATT&CK objects among the stored intel, as a TAXII source delivers them."
        ),
    ] = None,
    version: Annotated[
        str, typer.Option(help="Version, where neither bundle nor file name says it.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take a newer ATT&CK as the catalogue; hypotheses move to what their techniques became."""
    from huntonce.models.attack_data import keep, kept

    with session(home, as_json=as_json, writes=True) as (opened, output):
        before = opened.catalogue.version
        document = _trimmed(opened, file, version)
        path = keep(document, opened.attack_path)
        newest = kept(opened.attack_path)[0]
        migrated = _migrate(opened)
        catalogue = opened.catalogue
        analytics = sum(map(len, catalogue.analytics.values()))
        answer: dict[str, Any] = {
            "version": document["attack"],
            "before": before,
            "in_use": catalogue.version,
            "techniques": len(document["techniques"]),
            "analytics": len(document["analytics"]),
            "path": str(path),
            "moved": [
                {"from": m.before, "to": m.after, "hypothesis": m.hypothesis_id, "why": m.why}
                for m in migrated.moved
            ],
            "left": [
                {"technique": m.before, "hypothesis": m.hypothesis_id, "why": m.why}
                for m in migrated.left
            ],
        }

        def show(console: Console) -> None:
            console.print(
                f"ATT&CK {document['attack']}: {len(document['techniques'])} techniques, "
                f"{len(document['analytics'])} analytics -> {path}"
            )
            if newest != path:
                console.print(f"{newest.name} in the same folder is newer and stays in use")
            if not analytics:
                console.print(
                    Text("It has no analytics: ATT&CK has them from version 18 on", "yellow")
                )
            _show_migrated(console, migrated)

        output.answer(answer, show)


def _migrate(opened: "Home") -> "Migrated":
    from huntonce.models.stages.attack import migrate

    opened.__dict__.pop("catalogue", None)  # read anew
    return migrate(opened.kit())


def _trimmed(opened: "Home", file: Path | None, version: str) -> "Document":
    """The trimmed document of a bundle, or of the stored intel.

    Raises:
        ConfigError: There is no ATT&CK, or no version of it is known.
    """
    from huntonce.models.attack_data import read_bundle, trim, version_in, version_key
    from huntonce.models.stages.attack import stored_attack

    if file is None:
        document = trim(stored_attack(opened.store.unit), version)
    else:
        document = trim(read_bundle(file), version or version_in(file.name))
    if version:
        document["attack"] = version
    version_key(document["attack"])
    return document


def _show_migrated(console: Console, migrated: "Migrated") -> None:
    if migrated.kept:
        console.print(f"{migrated.kept} hypotheses stand as they are")
    for m in migrated.moved:
        console.print(Text(f"{m.hypothesis_id} {m.before} -> {m.after}: {clean(m.why)}"))
    for m in migrated.left:
        console.print(Text(f"{m.hypothesis_id} {m.before}: {clean(m.why)}", "yellow"))


@app.command("show")
def show_technique(
    target: Annotated[
        str, typer.Argument(help="Technique id, name or Sigma tag; without it, the catalogue.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """A technique: what it is now, where it applies, which traces ATT&CK's analytics look for."""
    from huntonce.models.errors import DomainError

    with session(home, as_json=as_json) as (opened, output):
        catalogue = opened.catalogue
        if not target:
            output.answer(_catalogue(catalogue), lambda c: _show_catalogue(c, catalogue))
            return
        found = catalogue.find(target)
        answer = catalogue.resolve(target)
        if not found:
            raise DomainError(answer.why, hint="huntonce attack show lists the tactics")
        views = [_technique(catalogue, one) for one in found]
        output.answer(
            {
                "version": catalogue.version,
                "asked": target,
                "why": answer.why if answer.outcome.value != "unknown" else "",
                "techniques": views,
            },
            lambda console: _show_techniques(console, catalogue, found, answer.why, views),
        )


def _catalogue(catalogue: "Catalogue") -> dict[str, Any]:
    return {
        "version": catalogue.version,
        "techniques": len(catalogue.techniques),
        "active": len(catalogue.active),
        "analytics": sum(map(len, catalogue.analytics.values())),
        "platforms": list(catalogue.platforms),
        "tactics": dict(catalogue.tactics),
        "notice": catalogue.notice,
    }


def _show_catalogue(console: Console, catalogue: "Catalogue") -> None:
    view = _catalogue(catalogue)
    console.print(
        f"ATT&CK {catalogue.version}: {view['active']} active of {view['techniques']} techniques, "
        f"{view['analytics']} analytics"
    )
    console.print(table(("tactic", "name"), list(catalogue.tactics.items())))
    console.print(Text(catalogue.notice, style="dim"))


def _technique(catalogue: "Catalogue", technique: "Technique") -> dict[str, Any]:
    return {
        "id": technique.id,
        "name": catalogue.name(technique.id),
        "state": technique.state.value,
        "tactics": list(technique.tactics),
        "platforms": list(technique.platforms),
        "parent": technique.parent_id,
        "analytics": [
            {
                "id": analytic.id,
                "strategy": analytic.strategy_id,
                "platforms": list(analytic.platforms),
                "log_sources": [
                    {"name": s.name, "channel": s.channel, "component": s.component}
                    for s in analytic.log_sources
                ],
                "tunables": list(analytic.fields),
            }
            for analytic in catalogue.analytics.get(technique.id, ())
        ],
    }


def _show_techniques(
    console: Console,
    catalogue: "Catalogue",
    found: "tuple[Technique, ...]",
    why: str,
    views: list[dict[str, Any]],
) -> None:
    if len(found) > 1 or found[0].id not in why.split(" ", 1)[0]:
        console.print(Text(clean(why), style="dim"))
    if len(found) > 1:
        rows = [(v["id"], ", ".join(v["tactics"]), v["name"]) for v in views]
        console.print(table(("id", "tactics", "name"), rows))
        return
    view = views[0]
    console.print(Text(f"{view['id']} {view['name']}", style="bold"))
    console.print(f"tactics    {', '.join(view['tactics'])}")
    console.print(f"platforms  {', '.join(view['platforms'])}")
    console.print(f"ATT&CK     {catalogue.version}, {view['state']}")
    rows = [
        (a["id"], ", ".join(a["platforms"]), f"{s['name']} {clean(s['channel'], 120)}")
        for a in view["analytics"]
        for s in a["log_sources"]
    ]
    if rows:
        console.print(table(("analytic", "platform", "looks at"), rows))

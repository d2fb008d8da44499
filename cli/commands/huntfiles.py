"""``huntonce hunts import|export``: hunts in the formats that others use."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import clean
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

if TYPE_CHECKING:
    from huntonce.models.huntexchange.draft import Imported


class Format(StrEnum):
    """Formats that a hunt can be written in."""

    HUNT_MD = "hunt.md"
    MISP = "misp"


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet, with its folder.

    Raises:
        ConfigError: It is there, or cannot be written.
    """
    from huntonce.models.errors import ConfigError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(f"{path} is there already", hint="choose another place") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _read(path: Path) -> bytes:
    from huntonce.models.errors import ConfigError
    from huntonce.models.huntexchange.misp import MAX_EVENT

    try:
        with path.open("rb") as file:
            return file.read(MAX_EVENT + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def import_hunt(
    path: Annotated[Path, typer.Argument(help="A hunt.md, or a MISP event (JSON) with a hunt.")],
    out: Annotated[Path, typer.Option(help="Folder to write the definition into.")] = Path("hunts"),
    technique: Annotated[
        str, typer.Option(help="Technique that it is about, before those that it names.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a definition of somebody's hunt; says what did not map. Never over one that is there."""
    from huntonce.models.errors import DomainError
    from huntonce.models.huntexchange.draft import imported
    from huntonce.models.huntexchange.huntmd import from_huntmd
    from huntonce.models.huntexchange.misp import from_misp

    with session(home, as_json=as_json) as (opened, output):
        data = _read(path)
        shared = from_misp(data) if data.lstrip()[:1] in {b"{", b"["} else from_huntmd(data)
        made = imported(shared, technique.upper())
        name = made.definition.name
        if opened.library.hunt(name) is not None:
            raise DomainError(
                f"a hunt is called {name} already", hint=f"huntonce hunts show {name}"
            )
        target = out / f"{name}.yml"
        write_new(target, made.text)
        output.answer(
            {
                "path": str(target),
                "name": name,
                "draft": not made.whole,
                "not_taken_over": list(made.ignored),
            },
            lambda console: _show_import(console, target, made),
        )


def _show_import(console: Console, target: Path, made: "Imported") -> None:
    console.print(Text(f"wrote {target}"))
    if made.whole:
        console.print("It is the definition as it was written. Read it before you hunt with it.")
        return
    searches = len(made.definition.searches)
    console.print(
        f"A draft with {searches} search{'' if searches == 1 else 'es'}: say in it what is "
        "abnormal, and what weighs how much."
    )
    for note in made.ignored:
        console.print(
            Text(f"  not taken over: {clean(note.removeprefix('not taken over: '), 300)}")
        )


def export_hunt(
    name: Annotated[str, typer.Argument(help="Name of a hunt, or a technique.")],
    form: Annotated[Format, typer.Option("--format", help="Format to write.")] = Format.HUNT_MD,
    out: Annotated[Path, typer.Option(help="Folder to write it into.")] = Path(),
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a hunt for others; what allow files say of this company stays here."""
    import json

    from huntonce.models.errors import DomainError
    from huntonce.models.huntexchange.document import withheld
    from huntonce.models.huntexchange.huntmd import to_huntmd
    from huntonce.models.huntexchange.misp import to_misp

    with session(home, as_json=as_json) as (opened, output):
        library = opened.library
        found = library.hunt(name) or library.hunt_for(name.upper())
        if found is None:
            raise DomainError(f"no hunt is called {name!r}", hint="huntonce hunts lists them")
        if form is Format.MISP:
            target = out / f"{found.name}.misp.json"
            text = json.dumps(to_misp(found), indent=2, ensure_ascii=False) + "\n"
        else:
            target = out / f"{found.name}.hunt.md"
            text = to_huntmd(found)
        write_new(target, text)
        kept = withheld(found)

        def show(console: Console) -> None:
            console.print(Text(f"wrote {target}"))
            if kept:
                console.print(f"{kept} of this company's allow entries are not in it")

        output.answer({"path": str(target), "allow_entries_left_out": kept}, show)

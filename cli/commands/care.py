"""``huntonce doctor``, ``backup`` and ``restore``: health, and the whole home in one file."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import DONE, FAILED, UNREACHABLE, USAGE, cell, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def doctor(
    connect: Annotated[
        bool, typer.Option("--connect", help="Also ask the configured servers; writes nothing.")
    ] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read all of the lake's files.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Check settings, permissions, store, log, outbox, lake and connectors; say what to do."""
    from huntonce.flows.doctor import Health, examine

    with session(home, as_json=as_json) as (opened, output):
        checks = list(examine(opened, connect=connect, deep=deep))

        def show(console: Console) -> None:
            rows = [
                (c.name, cell(c.health, _COLOURS[c.health]), _said(c.says, c.todo)) for c in checks
            ]
            console.print(table(("check", "", "what was seen, and what to do"), rows))

        document = [
            {"name": c.name, "health": str(c.health), "says": c.says, "todo": c.todo}
            for c in checks
        ]
        output.answer({"checks": document}, show)
        failed = [c for c in checks if c.health is Health.FAIL]
        if any(not (c.away or c.settings) for c in failed):
            code = FAILED
        elif any(c.settings for c in failed):
            code = USAGE
        else:
            code = UNREACHABLE if failed else DONE
    raise typer.Exit(code)


def _said(says: str, todo: str) -> Text:
    text = Text(clean(says, 900))
    return text.append(f"\n-> {clean(todo)}", style="dim") if todo else text


def backup(
    file: Annotated[Path, typer.Argument(help="File to write, outside the home.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Put the whole home into one file while the loop may run; keep it as safe as the home."""
    from huntonce.flows.backup import write_backup

    with session(home, as_json=as_json) as (opened, output):
        saved = write_backup(opened, file)

        def show(console: Console) -> None:
            console.print(Text(clean(f"{saved.path}: {saved.files} files, {saved.size:,} bytes")))
            console.print("It holds the home's passwords and keys, unencrypted.")
            if saved.store:
                console.print(Text(f"But {saved.store}", style="yellow"))
            for path in saved.outside:
                console.print(Text(clean(f"not in it, because elsewhere: {path}"), style="yellow"))

        document = {
            "path": str(saved.path),
            "files": saved.files,
            "bytes": saved.size,
            "outside": list(saved.outside),
            "store": saved.store or "in the file",
        }
        output.answer(document, show)


def restore(
    file: Annotated[Path, typer.Argument(help="File that huntonce backup wrote.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a home from a backup; every file is checked, nothing that is there is overwritten."""
    from huntonce.flows.restore import restore_backup

    with session(home, as_json=as_json) as (_, output):
        made = restore_backup(file, home)

        def show(console: Console) -> None:
            console.print(Text(clean(f"{made.path}: {made.files} files as of {made.made_at}")))
            if made.broken is not None:
                console.print(
                    Text(f"The transition log is broken at row {made.broken}", style="bold red")
                )
            elif made.rows is not None:
                console.print(f"The transition log has {made.rows} rows and is unbroken.")
            if made.store == "elsewhere":
                console.print(
                    Text(
                        "Its store is elsewhere (store.url): restore that too (pg_restore)",
                        "yellow",
                    )
                )
            console.print("huntonce doctor looks at the rest.")

        document = {
            "path": str(made.path),
            "files": made.files,
            "made_at": made.made_at,
            "store": made.store,
            "log": {"rows": made.rows, "broken": made.broken},
        }
        output.answer(document, show)
        if made.broken is not None:
            raise typer.Exit(FAILED)

"""``huntonce pack``: the evidence of a hypothesis or a case in one file, and its check."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.output import FAILED, clean, table
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, session

VERIFY = "verify"


def pack(
    target: Annotated[str, typer.Argument(help="H-1, HUNT-1 or CASE-1 to pack it; or: verify.")],
    file: Annotated[Path | None, typer.Argument(help="With verify: the pack to check.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; <home>/packs/ID.zip.")] = None,
    head: Annotated[str, typer.Option(help="With verify: the head that was told.")] = "",
    here: Annotated[
        bool, typer.Option("--here", help="With verify: compare its log with this home's too.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Pack the evidence of a hypothesis, hunt or case into one zip; verify FILE checks one."""
    if target.casefold() == VERIFY:
        _verify(file, head, home, here=here, as_json=as_json)
        return
    from huntonce.flows.packing import write_pack

    with session(home, as_json=as_json) as (opened, output):
        made = write_pack(opened, target, out)

        def show(console: Console) -> None:
            console.print(Text(str(made.path)), soft_wrap=True)
            console.print(table(("file", "lines"), list(made.lines.items())))
            if made.hidden:
                console.print(f"{made.hidden} secrets of this home were replaced in it")
            console.print(Text(f"head {made.head}", style="bold"), soft_wrap=True)
            console.print(
                "Keep the head apart from the file: it proves that the chain is this one."
            )

        document = {
            "path": str(made.path),
            "head": made.head,
            "lines": dict(made.lines),
            "secrets_replaced": made.hidden,
        }
        output.answer(document, show)


def _verify(file: Path | None, head: str, home: Path, *, here: bool, as_json: bool) -> None:
    from huntonce.flows.packing import not_in_store, read_pack
    from huntonce.models.report.pack import CHAIN, LOG, Fault, faults, head_of

    if file is None:
        raise typer.BadParameter("name the pack", param_hint="file")
    with session(home, as_json=as_json) as (opened, output):
        files = dict(read_pack(file))
        chain = files.pop(CHAIN)
        found = list(faults(files, chain, head))
        if here:
            found += [
                Fault(file=LOG, line=n, what="is not so in the log of this home")
                for n in not_in_store(opened, files.get(LOG, ()))
            ]

        def show(console: Console) -> None:
            for fault in found:
                where = f"{fault.file} line {fault.line}" if fault.line else fault.file
                console.print(Text(f"{clean(where)} {clean(fault.what)}", style="bold red"))
            if not found:
                told = "at the head that was told" if head else f"at {head_of(chain)}"
                console.print(Text(f"whole: {len(chain)} lines, the chain ends {told}"))
                if not head and not here:
                    console.print(
                        Text("compare that head with the one told when it was made", style="dim")
                    )

        document = {
            "whole": not found,
            "head": head_of(chain),
            "lines": len(chain),
            "faults": [{"file": f.file, "line": f.line, "what": f.what} for f in found],
        }
        output.answer(document, show)
        if found:
            raise typer.Exit(FAILED)

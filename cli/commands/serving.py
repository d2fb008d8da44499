"""``huntonce loop`` and ``huntonce serve``: the flows, for one turn or for good."""

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.commands.demo import Teller
from huntonce.cli.output import DONE, SET_ASIDE, UNREACHABLE
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session


def loop(
    home: HomeOption = DEFAULT_HOME, siem: SiemOption = "lake", as_json: JsonOption = False
) -> None:
    """One full turn against the configured sources: intel to outcomes to feedback.

    An intel source that cannot be read does not keep the turn from going on; the command then
    ends with code 4.
    """
    from huntonce.flows.running import run_loop

    with session(home, as_json=as_json, writes=True) as (opened, output):
        numbers = run_loop(opened, siem, Teller(output.errors if as_json else output.console))

        def show(console: Console) -> None:
            console.print(
                f"\n{len(numbers['hunts'])} hunts: {len(numbers['gaps'])} gaps, "
                f"{len(numbers['detections'])} detections, {len(numbers['cases'])} cases; "
                f"{numbers['published']} objects published. {numbers['seconds']:.0f} s"
            )
            console.print(Text(f"Report: {numbers['report']}"))

        output.answer(numbers, show)
        for one in numbers["failed"]:
            output.problem(f"{one['feed']}: {one['error']}", one["hint"])
        if numbers["failed"]:
            raise typer.Exit(UNREACHABLE)
        raise typer.Exit(SET_ASIDE if numbers["set_aside"] else DONE)


def serve(
    home: HomeOption = DEFAULT_HOME,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the Prefect UI and API.")] = 4200,
    as_json: JsonOption = False,
) -> None:
    """Prefect server, worker and deployments on this machine, until stopped."""
    from huntonce.flows.serving import serve as serve_flows

    with session(home, as_json=as_json, writes=True) as (opened, output):

        def ready(url: str) -> None:
            output.answer(
                {"url": url},
                lambda console: console.print(Text(f"Prefect UI: {url}    stop with Ctrl-C")),
            )

        serve_flows(opened.path, host=host, port=port, ready=ready)

"""``huntonce loop`` and ``huntonce serve``: the flows, for one turn or for good."""

from contextlib import ExitStack
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from huntonce.cli.commands.demo import FullOption, Teller
from huntonce.cli.output import DONE, SET_ASIDE, UNREACHABLE
from huntonce.cli.session import DEFAULT_HOME, HomeOption, JsonOption, SiemOption, session


def loop(
    home: HomeOption = DEFAULT_HOME,
    siem: SiemOption = "lake",
    as_json: JsonOption = False,
    full: FullOption = False,
) -> None:
    """One full turn against the configured sources: intel to outcomes to feedback.

    An intel source that cannot be read does not keep the turn from going on; the command then
    ends with code 4.
    """
    from huntonce.flows.running import run_loop

    with session(home, as_json=as_json, writes=True) as (opened, output):
        console = output.errors if as_json else output.console
        numbers = run_loop(opened, siem, Teller(console, full=full))

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
    runs: Annotated[int, typer.Option(min=1, help="Flow runs that are carried at a time.")] = 4,
    metrics_port: Annotated[
        int,
        typer.Option(
            help="Port of the numbers for Prometheus (loopback); 0: any free one, -1: none."
        ),
    ] = 0,
    as_json: JsonOption = False,
) -> None:
    """Prefect server, worker, deployments and numbers on this machine, until stopped."""
    from huntonce.flows.numbers import serving_numbers
    from huntonce.flows.serving import serve as serve_flows

    with session(home, as_json=as_json, writes=True) as (opened, output), ExitStack() as stack:
        numbers = ""
        if metrics_port >= 0:
            numbers = stack.enter_context(
                serving_numbers(opened.path, host="127.0.0.1", port=metrics_port)
            )

        def ready(url: str) -> None:
            def show(console: Console) -> None:
                console.print(Text(f"Prefect UI: {url}    stop with Ctrl-C"))
                if numbers:
                    console.print(Text(f"Numbers for Prometheus: {numbers}"))

            output.answer({"url": url, "metrics": numbers or None}, show)

        serve_flows(
            opened.path, host=host, port=port, ready=ready, siems=opened.siem_names(), runs=runs
        )


def register(home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Tell the Prefect server at PREFECT_API_URL of deployments, block types and SIEM limits.

    For a server that "huntonce serve" did not start; safe to repeat after an upgrade.
    """
    import os

    from huntonce.flows.serving import register as register_flows
    from huntonce.models.errors import ConfigError

    with session(home, as_json=as_json, writes=True) as (opened, output):
        api = os.environ.get("PREFECT_API_URL")
        if not api:
            raise ConfigError(
                "no Prefect server is named", hint="set PREFECT_API_URL=http://HOST:4200/api"
            )
        register_flows(dict(os.environ), opened.path, opened.siem_names())
        output.answer({"url": api}, lambda console: console.print(Text(f"Registered at {api}")))

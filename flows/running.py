"""Running a flow from the command line: with a server of our own where none is configured."""

import os
import time
from typing import Any

from huntonce.flows.bootstrap import Home
from huntonce.flows.runtime import attach, prefect_server, quiet
from huntonce.flows.story import Listener, Told, listening


def run_loop(home: Home, siem: str, listener: Listener) -> dict[str, Any]:
    """One turn of the loop through the flow; the keys of ``huntonce loop --json``."""
    began = time.monotonic()
    told: list[Told] = []

    def hear(step: Told) -> None:
        told.append(step)
        listener(step)

    home.path.mkdir(parents=True, exist_ok=True)
    if os.environ.get("PREFECT_API_URL"):
        os.environ.update({name: os.environ.get(name, value) for name, value in quiet().items()})
        numbers = _loop(home, siem, hear)
    else:
        with prefect_server(home.path) as server:
            attach(server)
            numbers = _loop(home, siem, hear)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "stages": [{"stage": t.stage, "lines": list(t.lines), **t.numbers} for t in told],
        **numbers,
        "pulled_back": numbers["intel_new"],
    }


def _loop(home: Home, siem: str, listener: Listener) -> dict[str, Any]:
    from huntonce.flows.loop import loop

    with listening(listener):
        numbers: dict[str, Any] = loop(siem=siem, home=str(home.path))
        return numbers

"""An estate that publishes to a real TAXII server, for senders that do not survive.

``main``, in a process of its own, does a piece of work (publish, retract or negative) in a home,
and kills that process at a point, if it is to.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from huntonce.connectors.cases.builtin import BuiltinCases
from huntonce.connectors.intel.taxii_publish import TaxiiDestination
from huntonce.models.case import Determination
from huntonce.models.stages import planned, retract, sending
from huntonce.models.stages.close import close, sync_cases
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.learn import plan_case, plan_ruled_out, unplanned
from huntonce.models.stages.operate import carry_out, default_window, find_target
from huntonce.models.stages.outlets import Outlet
from huntonce.models.state.store import Store
from huntonce.models.tlp import Tlp
from tests.integration.hunt.estate import die
from tests.integration.sharing.login import PASSWORD, USER
from tests.support.kits import AUTO, Event, bench, intrusion, quiet_day


def open_estate(
    home: Path, events: Iterable[Event] = (), *, later: timedelta = timedelta()
) -> tuple[Kit, Store]:
    """The estate as a process finds it, so much later than the first one."""
    made = bench(home, events, approvals={**AUTO, "publish": "auto"})
    made.clock.moment += later
    return replace(made.kit, cases=BuiltinCases(made.store)), made.store


def outlet(collection: str) -> Outlet:
    """The server's collection as a destination."""
    destination = TaxiiDestination(
        name="sector", collection_url=collection, username=USER, password=PASSWORD
    )
    return Outlet(destination=destination, max_tlp=Tlp.AMBER)


def prepare(home: Path, work: str, collection: str) -> None:
    """Everything before the piece of work."""
    day = quiet_day(no_line=(), channel=True)
    kit, store = open_estate(home, [*day, *(() if work == "negative" else intrusion())])
    with store:
        carry_out(kit, find_target(kit, "T1053.005"), default_window(kit))
        if work == "negative":
            return
        close(kit, "CASE-1", Determination.CONFIRMED, "The payload ran.")
        sync_cases(kit)
        if work == "retract":
            do(kit, "publish", collection)


def do(kit: Kit, work: str, collection: str) -> None:
    """The piece of work, whole; done again, it finishes what is left of it."""
    one = outlet(collection)
    if work == "retract":
        retract.retract(kit, ["CASE-1"], by="ann", why="")
    cases, runs = unplanned(kit, [one])
    for case in cases:
        plan_case(kit, case, [one])
    for run in runs:
        plan_ruled_out(kit, run, [one])
    sending.send_publications(kit, [one])


def _and_die(act: Callable[..., Any]) -> Callable[..., Any]:
    def act_and_die(*args: object, **more: object) -> Any:
        act(*args, **more)
        return die()

    return act_and_die


def _before_the_plan(_work: str) -> None:
    planned.put = die
    retract.put = die


def _after_the_plan(_work: str) -> None:
    sending._claim = die


def _after_the_claim(_work: str) -> None:
    sending._claim = _and_die(sending._claim)


def _after_the_server_had_it(_work: str) -> None:
    TaxiiDestination.publish = _and_die(TaxiiDestination.publish)  # type: ignore[method-assign] - a fault


def _before_the_record(_work: str) -> None:
    sending._retract_older = die


POINTS: dict[str, Callable[[str], None]] = {
    "before the plan": _before_the_plan,
    "after the plan": _after_the_plan,
    "after the claim": _after_the_claim,
    "after the server had it": _after_the_server_had_it,
    "before the record": _before_the_record,
}


def main(home: Path, collection: str, work: str, point: str) -> None:
    """Do the work and die on the way, where a point is named."""
    if point:
        POINTS[point](work)
    kit, _ = open_estate(home)
    do(kit, work, collection)

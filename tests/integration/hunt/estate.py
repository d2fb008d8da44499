"""An estate with the built-in desks, for hunts that other processes carry out and do not survive.

``python -m tests.integration.hunt.estate HOME POINT`` hunts in a home and kills itself at a point.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from huntonce.connectors.cases.builtin import BuiltinCases
from huntonce.connectors.detections.folder import RuleFolder
from huntonce.connectors.tickets.builtin import BuiltinTickets
from huntonce.models.stages import dispatch, operate, settle
from huntonce.models.stages.kit import Kit
from huntonce.models.state.store import Store
from tests.support.kits import bench, intrusion, quiet_day


def open_estate(home: Path, *, later: timedelta = timedelta()) -> tuple[Kit, Store]:
    """The estate as a process finds it, so much later than the first one."""
    made = bench(home, [*quiet_day(), *intrusion()])
    made.clock.moment += later
    kit = replace(
        made.kit,
        tickets=BuiltinTickets(made.store),
        cases=BuiltinCases(made.store),
        rules=RuleFolder(home / "rules", name="lake"),
    )
    return kit, made.store


def hunt(kit: Kit) -> None:
    """The whole hunt of the technique."""
    target = operate.find_target(kit, "T1053.005")
    operate.carry_out(kit, target, operate.default_window(kit))


def die(*_args: object, **_more: object) -> Any:
    """Be gone without a word."""
    os.kill(os.getpid(), signal.SIGKILL)


def _after(act: Callable[..., Any]) -> Callable[..., Any]:
    def act_and_die(*args: object, **more: object) -> Any:
        act(*args, **more)
        return die()

    return act_and_die


def _while_searching(kit: Kit) -> None:
    kit.siem.search = die  # type: ignore[method-assign] - a fault of the process


def _before_the_commit(_kit: Kit) -> None:
    settle.name_outcomes = die


def _after_the_commit(_kit: Kit) -> None:
    operate.dispatch = die


def _after_the_ticket(kit: Kit) -> None:
    kit.tickets.create = _after(kit.tickets.create)  # type: ignore[method-assign] - as above


def _after_the_case(kit: Kit) -> None:
    kit.cases.create = _after(kit.cases.create)  # type: ignore[method-assign] - as above


def _after_the_rule(kit: Kit) -> None:
    kit.rules.deploy = _after(kit.rules.deploy)  # type: ignore[method-assign] - as above


def _after_a_record(_kit: Kit) -> None:
    dispatch._done = _after(dispatch._done)


POINTS: dict[str, Callable[[Kit], None]] = {
    "while searching": _while_searching,
    "before the commit": _before_the_commit,
    "after the commit": _after_the_commit,
    "after the ticket": _after_the_ticket,
    "after the case": _after_the_case,
    "after the rule": _after_the_rule,
    "after a record": _after_a_record,
}


def main() -> None:
    """Hunt in the home that was named, and die at the point that was named."""
    kit, _ = open_estate(Path(sys.argv[1]))
    POINTS[sys.argv[2]](kit)
    hunt(kit)


if __name__ == "__main__":
    main()

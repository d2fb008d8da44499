"""Hunt runs: one look for one hypothesis over one window of one SIEM, as it was done."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from huntonce.models.entity import Kind
from huntonce.models.errors import DomainError
from huntonce.models.hypothesis import Verdict
from huntonce.models.visibility import Power


class HuntState(StrEnum):
    """Life of a run."""

    RUNNING = "running"
    CONCLUDED = "concluded"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One query of a hunt, as sent.

    Attributes:
        name: Selection or analytic it serves.
        query: The text the SIEM was given.
        events: Rows that came back.
        executed: False where the SIEM could not or would not run it.
        complete: False where an error or a limit left events unseen; such a check rules nothing
            out.
        why: The reason, where it was not executed or not complete.
        origin: Where a rule of others came from; "" for what is our own. Names of such checks do
            not leave: they are their makers' words, under their makers' markings.
    """

    name: str
    query: str
    events: int
    executed: bool = True
    complete: bool = True
    why: str = ""
    origin: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntRun:
    """A hunt with its verdict and all that the verdict stands on.

    Attributes:
        floor: Least power for ``ruled_out`` when it was concluded.
    """

    id: str = ""
    hypothesis_key: str
    hypothesis_id: str
    hunt_name: str
    technique_id: str
    siem: str
    start: datetime
    end: datetime
    started_at: datetime
    state: HuntState = HuntState.RUNNING
    ledger: str = ""
    verdict: Verdict | None = None
    why: str = ""
    power: Power | None = None
    checks: tuple[Check, ...] = ()
    finding_ids: tuple[str, ...] = ()
    gap_ids: tuple[str, ...] = ()
    detection_ids: tuple[str, ...] = ()
    case_ids: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    floor: float = 0.0
    concluded_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.verdict is Verdict.RULED_OUT:
            self._proven()
        if self.state is HuntState.CONCLUDED and (self.verdict is None or not self.outcomes):
            raise DomainError("a concluded hunt has a verdict and at least one outcome")

    def _proven(self) -> None:
        """Nothing, where what the run holds rules its hypothesis out.

        Raises:
            DomainError: It does not.
        """
        if not any(check.executed for check in self.checks):
            raise DomainError("a hypothesis cannot be ruled out without an executed check")
        if self.power is None:
            raise DomainError("a hypothesis cannot be ruled out without a power statement")
        if self.power.value < self.floor or not self.power.value:
            raise DomainError(
                f"a hypothesis cannot be ruled out with a power of {self.power.value:.1%} under "
                f"the floor of {self.floor:.0%}"
            )
        if any(group.required and not group.value for group in self.power.groups):
            raise DomainError("a hypothesis cannot be ruled out while needed evidence is nowhere")

    @property
    def kind(self) -> Kind:
        """Always a hunt."""
        return Kind.HUNT

    @property
    def key(self) -> str:
        """One run a hypothesis, window, SIEM and start."""
        span = f"{self.start.isoformat()}|{self.end.isoformat()}"
        return f"{self.hypothesis_key}|{self.siem}|{span}|{self.started_at.isoformat()}"

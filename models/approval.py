"""Approval: whether a change needs a person, who that may be, and how they prove it.

Prefect without its paid edition knows no users, and a name in a form proves nothing. Where
approvers are set up, a decision carries a code that only the holder of that approver's token can
make, for this proposal, as it stands, and this decision: what a form shows to everybody cannot
be used for another one.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from huntonce.models.errors import DomainError
from huntonce.models.proposal import Proposal

CHANGES = ("deploy", "open_ticket", "open_case", "publish")
"""Kinds of change that a policy may put before people."""
OURS = frozenset({"builtin", "lake"})
"""Where a change stays with us: the desks that we keep ourselves, and the lake."""
CODE_LENGTH = 16
"""Hex digits of a code: 64 bits, and each is good for one decision on one text only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a kind of change needs people.

    Attributes:
        mode: "own": what stays with us (the lake, our own desks) goes by itself, what leaves for
            another system asks; "auto"; "ask"; "over": ask where the change's size is over
            ``threshold``.
        threshold: In the unit of the change: false alerts a day (deploy), hosts (open_ticket,
            open_case), objects (publish).
        people: How many different people must approve.
    """

    mode: str = "own"
    threshold: float = 0.0
    people: int = 1

    def asks(self, size: float, *, outside: bool) -> bool:
        """Whether a change of this size, to us or to another system, waits for a person."""
        if self.mode == "own":
            return outside
        return self.mode == "ask" or (self.mode == "over" and size > self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approver:
    """Somebody who may decide.

    Attributes:
        token: Their secret.
        may: Kinds of change they may decide; empty: all.
    """

    token: str = field(repr=False)
    may: tuple[str, ...] = ()


def code_for(token: str, proposal: Proposal, decision: str) -> str:
    """The code of one decision: HMAC-SHA256 over proposal, its content's hash and the decision."""
    text = f"{proposal.id}\n{proposal.subject_sha256}\n{decision}"
    return hmac.new(token.encode(), text.encode(), "sha256").hexdigest()[:CODE_LENGTH]


def authorise(
    approvers: Mapping[str, Approver], proposal: Proposal, *, decision: str, by: str, code: str
) -> str:
    """The name under which a decision counts.

    Without approvers any name is taken on trust.

    Raises:
        DomainError: The name is empty, not an approver's, may not decide this, or did not prove
            itself.
    """
    name = " ".join(by.split())
    if not name:
        raise DomainError("a decision needs a name", hint="say who decides")
    if not approvers:
        return name
    known = {key.casefold(): key for key in approvers}
    if name.casefold() not in known:
        raise DomainError(
            f"{name} is not an approver", hint=f"approvers: {', '.join(sorted(approvers))}"
        )
    name = known[name.casefold()]
    approver = approvers[name]
    if approver.may and proposal.change not in approver.may:
        raise DomainError(
            f"{name} may not decide {proposal.change}",
            hint=f"[approvers.{name}] may = {list(approver.may)}",
        )
    if not hmac.compare_digest(
        code_for(approver.token, proposal, decision).encode(), code.strip().lower().encode()
    ):
        raise DomainError(
            f"the code does not prove that {name} decided to {decision} {proposal.id} as it stands",
            hint=f"make one with: huntonce decide {proposal.id} {decision} --by {name} --code-only",
        )
    return name


def same_person(left: str, right: str) -> bool:
    """Whether two names mean one person, as far as names can tell."""
    return " ".join(left.split()).casefold() == " ".join(right.split()).casefold()

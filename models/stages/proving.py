"""Proving: run a rule over history, over kept events and on every engine, and certify what it did.

Nothing is stored here: who asks for a proof decides what becomes of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pyarrow as pa

from huntonce.models.certifying import (
    Replay,
    Setup,
    Terms,
    certify,
)
from huntonce.models.detection import Certificate, Fixture
from huntonce.models.errors import ConnectorError
from huntonce.models.finding import Disposition, Finding
from huntonce.models.query import EVENT_COLUMNS
from huntonce.models.stages.kit import Kit
from huntonce.models.stages.proofbench import Bench, Claim
from huntonce.models.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A certificate, and the events that are kept with it."""

    certificate: Certificate
    fixtures: tuple[Fixture, ...] = field(default=(), repr=False)


def terms_of(kit: Kit) -> Terms:
    """What the organisation's policy asks of a certificate."""
    policy = kit.policy
    return Terms(
        max_alerts_a_day=policy.max_alerts_a_day,
        test_days=policy.test_days,
        stable_days=policy.stable_days,
    )


def history(kit: Kit, wanted: Window | None = None) -> Window | None:
    """The window to replay a rule over: what is held, as far back as the policy says.

    A wanted window is in it whatever its age; None where nothing is held.

    Raises:
        ConnectorError: The SIEM did not say.
    """
    extent = kit.siem.extent()
    if extent is None:
        return wanted
    start = max(extent.start, extent.end - timedelta(days=kit.policy.replay_days))
    if wanted is None:
        return Window(start, extent.end)
    return Window(min(start, wanted.start), max(extent.end, wanted.end))


def known_evil(kit: Kit, but: Iterable[Finding] = ()) -> tuple[Finding, ...]:
    """Findings in the store that were judged malicious: alerts on them are not false."""
    skip = {finding.key for finding in but}
    with kit.open_unit() as unit:
        stored = unit.findings.list(Disposition.MALICIOUS)
    return tuple(finding for finding in stored if finding.key not in skip)


def replay(kit: Kit, claim: Claim) -> Replay:
    """Run the rule, filters applied, over the window."""
    faults = list(kit.check_rule(claim.rule))
    hits = pa.schema(list(EVENT_COLUMNS)).empty_table()
    if not faults:
        try:
            result = kit.siem.search_rule(claim.whole, claim.window)
            hits = result.table
            if result.truncated:
                faults.append(f"it matches more than the {hits.num_rows} events that were fetched")
        except ConnectorError as error:
            faults.append(f"{kit.siem.name} cannot run it: {error}")
    return Replay(
        siem=kit.siem.name, window=claim.window, hits=hits, branches={}, faults=tuple(faults)
    )


def tried(kit: Kit, claim: Claim, ran: Replay) -> Certificate:
    """What the replay alone says of a rule: enough to choose among rules, not to promote one."""
    return certify(
        claim.rule,
        ran,
        targets=claim.targets,
        spared=claim.spared,
        benign_events=claim.benign_events,
        terms=terms_of(kit),
    )


def prove(kit: Kit, claim: Claim, ran: Replay | None = None) -> Proof:
    """The whole proof: replay, kept events, branches, and every engine over the same sample."""
    ran = ran or replay(kit, claim)
    fixtures, setup = claim.kept, Setup(fixtures=claim.kept)
    if not ran.faults:
        bench = Bench(kit, claim, ran, tried(kit, claim, ran).fixtures)
        fixtures = claim.kept or bench.chosen()
        setup = Setup(
            fixtures=fixtures,
            trials=bench.trials(),
            sample=len(bench.sample),
            proven=bench.kept_fired() if claim.kept else None,
        )
        ran = replace(ran, branches=bench.branches())
    certificate = certify(
        claim.rule,
        ran,
        targets=claim.targets,
        spared=claim.spared,
        benign_events=claim.benign_events,
        setup=replace(
            setup,
            filters=claim.filters,
            engine=kit.engine,
            logic_version=claim.logic_version,
            issued_at=kit.clock(),
        ),
        terms=terms_of(kit),
    )
    return Proof(certificate=certificate, fixtures=fixtures)

"""The work of a generated history: hypotheses, hunts and gaps, as the stages would write them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from huntonce.models.evidence import Remedy
from huntonce.models.gap import Gap, GapKind, GapState, Wait
from huntonce.models.hunt import Check, HuntRun, HuntState
from huntonce.models.hypothesis import Hypothesis, HypothesisState, Term, Verdict
from huntonce.models.intel import SourceRef
from huntonce.models.keeping import UnitOfWork
from huntonce.models.tlp import Tlp
from tests.support.history_plan import (
    ACTORS,
    DAYS,
    FEEDS,
    FLOOR,
    HOSTS,
    KINDS,
    OF,
    OWNERS,
    POPULATION,
    START,
    Plan,
    power_of,
)


class Work(Plan):
    """Hypotheses, hunts and gaps."""

    # ------------------------------------------------------------ hypotheses and hunts

    def propose(self, number: int) -> Callable[[UnitOfWork], None]:
        technique = self.techniques[number % len(self.techniques)]

        def act(unit: UnitOfWork) -> None:
            sources = tuple(self._source(n) for n in range(self.dice.randint(1, 4)))
            value = self.dice.random()
            claim = Hypothesis(
                technique_id=technique.id,
                technique_name=technique.name,
                scope="windows",
                parameters=(f"variant={number // len(self.techniques)}",),
                statement=f"{self.dice.choice(ACTORS)} uses {technique.name} against us.",
                state=HypothesisState.READY,
                priority=round(value, 3),
                terms=(Term(name="recency", value=value, why="newest source"),),
                actors=tuple(sorted(set(self.dice.choices(ACTORS, k=2)))),
                sources=sources,
            )
            stored = unit.hypotheses.add(claim, **OF)
            self.keys.append(stored.key)
            if self.dice.random() < 0.85:
                self.later(0.2, 20, self._hunt(stored.id))

        return act

    def _source(self, number: int) -> SourceRef:
        age = timedelta(days=self.dice.expovariate(1 / 6))
        return SourceRef(
            object_id=f"report--{self.dice.randrange(400)}-{number}",
            object_type="report",
            name=f"Report {self.dice.randrange(400)}",
            feed=self.dice.choice(FEEDS),
            tlp=self.dice.choice((Tlp.CLEAR, Tlp.GREEN, Tlp.AMBER)),
            modified=self.clock.now - age,
        )

    def _hunt(self, hypothesis: str) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            claim = unit.hypotheses.get(hypothesis)
            if claim is None or claim.state not in {
                HypothesisState.READY,
                HypothesisState.CONCLUDED,
                HypothesisState.BLOCKED,
            }:
                return
            now = self.clock.now
            run = HuntRun(
                hypothesis_key=claim.key,
                hypothesis_id=claim.id,
                hunt_name=f"rules-{claim.technique_id}",
                technique_id=claim.technique_id,
                siem="lake",
                start=now - timedelta(days=14),
                end=now,
                started_at=now,
                ledger="new",
            )
            run = unit.hunts.add(run, **OF)
            unit.hypotheses.save(replace(claim, state=HypothesisState.HUNTING), **OF)
            self.later(0.01, 0.05, self._conclude(run.id))

        return act

    def _conclude(self, run_id: str) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            run = unit.hunts.get(run_id)
            claim = unit.hypotheses.get(run.hypothesis_id) if run is not None else None
            if run is None or claim is None:
                return
            # Sight grows over the year, as gaps are closed.
            grown = (self.clock.now - START) / timedelta(days=DAYS)
            value = max(0.0, min(1.0, self.dice.betavariate(5, 1.2) * (0.6 + 0.45 * grown)))
            value = 0.0 if self.dice.random() < 0.12 * (1 - grown / 2) else value
            verdict = (
                Verdict.BLOCKED
                if not value
                else Verdict.RULED_OUT
                if value >= FLOOR
                else Verdict.INCONCLUSIVE
            )
            blocked = verdict is Verdict.BLOCKED
            check = Check(
                name="selection",
                query="SELECT * FROM events WHERE event_id = 4688",
                events=0,
                executed=not blocked,
            )
            unit.hunts.save(
                replace(
                    run,
                    state=HuntState.CONCLUDED,
                    verdict=verdict,
                    why="nothing matched where it could be seen",
                    power=power_of(value),
                    checks=(check,) * 3,
                    floor=FLOOR,
                    outcomes=(f"verdict {verdict.value}",),
                    concluded_at=self.clock.now,
                ),
                **OF,
            )
            state = HypothesisState.BLOCKED if blocked else HypothesisState.CONCLUDED
            unit.hypotheses.save(replace(claim, state=state, verdict=verdict), **OF)
            if verdict is not Verdict.RULED_OUT or self.dice.random() < 0.2:
                self.later(20, 60, self._hunt(claim.id))

        return act

    # ------------------------------------------------------------ gaps

    def surface(self, number: int) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            kind = self.dice.choice(KINDS)
            hosts = HOSTS[: max(1, int(POPULATION * self.dice.betavariate(0.6, 2)))]
            unlocks = tuple(dict.fromkeys(self.key() for _ in range(self.dice.randint(0, 8))))
            part = len(hosts) / POPULATION
            now = self.clock.now
            waits = tuple(
                Wait(
                    hypothesis=key,
                    group="creation",
                    dark=part,
                    lit=part,
                    rest=1.0,
                    start=(now - timedelta(days=14)).isoformat(),
                    end=now.isoformat(),
                )
                for key in unlocks
            )
            atom = f"security/{4600 + number % 150}"
            gap = Gap(
                gap_kind=kind,
                source=f"source/{number}",
                atom_id=atom,
                atom_label=atom.replace("security/", "Security "),
                field_name="CommandLine" if kind is GapKind.MISSING_FIELD else "",
                siem="lake",
                hosts=hosts,
                population=POPULATION,
                group="creation",
                severity=self.dice.choice(("high", "medium", "medium", "low")),
                reason="Nothing else shows it there.",
                remedy=Remedy(text="Switch it on.", commands=("auditpol /set /success:enable",)),
                unlocks=unlocks,
                waits=waits,
                owner=self.dice.choice(OWNERS),
                ticket=f"TICKET-{number}",
            )
            stored = unit.gaps.add(gap, **OF)
            fate = self.dice.random()
            if fate < 0.72:
                self.later(1, 25, self._mend(stored.id, 1))
            elif fate < 0.8:
                self.later(1, 5, self._accept(stored.id))

        return act

    def _mend(self, gap_id: str, passes: int) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            gap = unit.gaps.get(gap_id)
            if gap is None:
                return
            if passes == 1:
                unit.gaps.save(replace(gap, state=GapState.VERIFYING, passes=1), **OF)
                self.later(0.5, 1, self._mend(gap_id, 2))
                return
            unit.gaps.save(replace(gap, state=GapState.CLOSED, passes=2, waits=()), **OF)
            if self.dice.random() < 0.1:
                self.later(5, 40, self._regress(gap_id, gap.waits))

        return act

    def _regress(self, gap_id: str, waits: Sequence[Wait]) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            gap = unit.gaps.get(gap_id)
            if gap is not None:
                gap = replace(gap, state=GapState.REGRESSED, passes=0, waits=tuple(waits))
                unit.gaps.save(gap, **OF)
                self.later(1, 15, self._mend(gap_id, 1))

        return act

    def _accept(self, gap_id: str) -> Callable[[UnitOfWork], None]:
        def act(unit: UnitOfWork) -> None:
            gap = unit.gaps.get(gap_id)
            if gap is not None:
                until = f"{self.clock.now + timedelta(days=180):%Y-%m-%d}"
                gap = replace(gap, state=GapState.RISK_ACCEPTED, risk_until=until, risk_by="CISO")
                unit.gaps.save(gap, **OF)

        return act

"""The bench of a proof: a rule and a sample of events on every engine at hand.

Nothing is stored here, and nothing is judged: ``certifying`` does that.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pyarrow as pa
import yaml

from huntonce.models.certifying import (
    MOST_FIXTURES,
    Replay,
    Trial,
    identities,
    identity,
)
from huntonce.models.conditions import polarity
from huntonce.models.detection import Fixture
from huntonce.models.errors import ConnectorError, HuntonceError, TransientError
from huntonce.models.finding import EventRef, Finding
from huntonce.models.guarding import GuardRule
from huntonce.models.ids import digest
from huntonce.models.ports import Siem
from huntonce.models.query import EVENT_COLUMNS, SigmaSearch
from huntonce.models.stages.kit import Kit
from huntonce.models.windows import Window

NEAR_SAMPLE = 200
"""Usual events that are looked at for those nearest to the rule."""
OTHER_HITS = 100
"""Alerts besides the fixtures that the other engines are given too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A rule that is to be proven.

    Attributes:
        targets: Findings that it is meant for; where none are given, ``kept`` are its targets.
        spared: Other findings: alerts on them are neither hits nor false.
        benign: Events of usual records, of which the nearest become fixtures.
        kept: Events kept earlier, which the rule must still tell apart.
    """

    rule: str
    window: Window
    logic_version: str
    filters: tuple[str, ...] = ()
    targets: tuple[Finding, ...] = ()
    spared: tuple[Finding, ...] = ()
    benign: tuple[EventRef, ...] = ()
    benign_events: int = 0
    kept: tuple[Fixture, ...] = ()

    @property
    def whole(self) -> str:
        """Rule and filters as one YAML text, as every engine is given them."""
        return "\n---\n".join([self.rule, *self.filters])


class Bench:
    """One rule with a sample of events on every engine at hand.

    Attributes:
        sample: Identities of the events that every engine is given.
    """

    def __init__(self, kit: Kit, claim: Claim, ran: Replay, fired: Sequence[EventRef]) -> None:
        self._kit = kit
        self._claim = claim
        self._ran = ran
        document = yaml.safe_load(claim.rule)
        self._logsource: Mapping[str, str] = document["logsource"]
        self._detection: Mapping[str, object] = document["detection"]
        self._hit = identities(ran.hits)
        self._refs, self._bodies = self._gather(fired)
        self.sample = frozenset(identity(ref) for ref in self._refs.values())
        self._second = (
            kit.try_out(list(self._bodies.values())) if kit.try_out and self._bodies else None
        )
        self._everything = around(self._refs.values())

    def _gather(self, fired: Sequence[EventRef]) -> tuple[dict[str, EventRef], dict[str, str]]:
        """The sample: fixtures, usual events of the same kinds, and other alerts."""
        kept = {f.ref.uid: f for f in self._claim.kept}
        self._evil = _spread(fired, MOST_FIXTURES)
        kinds = {(ref.channel, ref.event_id) for ref in (*fired, *(f.ref for f in kept.values()))}
        usual = [ref for ref in self._claim.benign if (ref.channel, ref.event_id) in kinds]
        usual.sort(key=lambda ref: digest(ref.uid))
        self._usual = [ref for ref in usual if identity(ref) not in self._hit][:NEAR_SAMPLE]
        others = [ref for ref in _refs(self._ran.hits) if ref.uid not in kept]
        others.sort(key=lambda ref: digest(ref.uid))
        asked = {ref.uid: ref for ref in (*self._evil, *self._usual, *others[:OTHER_HITS])}
        bodies = {uid: fixture.body for uid, fixture in kept.items()}
        if asked:
            try:
                bodies |= self._kit.siem.originals(list(asked.values()))
            except ConnectorError:
                asked = {}  # the certificate then says that nothing could be kept
        refs = {uid: fixture.ref for uid, fixture in kept.items()}
        refs |= {uid: ref for uid, ref in asked.items() if uid in bodies}
        return refs, {uid: bodies[uid] for uid in refs}

    def chosen(self) -> tuple[Fixture, ...]:
        """Evil events from many hosts, and the usual events that come nearest to the rule."""
        near: dict[str, int] = {}
        if self._second is not None:
            for name in self._asked_for(positive=True):
                for uid in self._matching(self._second, name, self._detection[name]):
                    near[uid] = near.get(uid, 0) + 1
        usual = sorted(
            (ref for ref in self._usual if ref.uid in self._bodies),
            key=lambda ref: (-near.get(identity(ref), 0), digest(ref.uid)),
        )
        evil = [ref for ref in self._evil if ref.uid in self._bodies]
        return tuple(
            Fixture(ref=ref, malicious=malicious, body=self._bodies[ref.uid])
            for malicious, refs in ((True, evil), (False, usual[:MOST_FIXTURES]))
            for ref in refs
        )

    def _matching(self, siem: Siem, name: str, selection: object) -> frozenset[str]:
        """Identities of the sample's events that one selection matches by itself."""
        if self._everything is None:
            return frozenset()
        search = SigmaSearch(
            name=name,
            logsource=self._logsource,
            detection={name: selection, "condition": name},
        )
        try:
            return identities(siem.search(search, self._everything).table)
        except ConnectorError:
            return frozenset()

    def _asked_for(self, *, positive: bool) -> list[str]:
        names = [name for name in self._detection if name not in {"condition", "timeframe"}]
        conditions = self._detection["condition"]
        texts = conditions if isinstance(conditions, list) else [conditions]
        asked: dict[str, bool] = {}
        for text in texts:
            for name, wanted in polarity(str(text), names).items():
                asked[name] = asked.get(name, False) or wanted
        return [name for name, wanted in asked.items() if wanted is positive]

    def branches(self) -> dict[str, int]:
        """How often each selection was exercised.

        One that the rule asks for: by the events that the rule matched. One that it excludes: by
        any event of the history, of which one is enough.
        """
        counts: dict[str, int] = {}
        fired = self._hit & self.sample
        if self._second is not None:
            fired |= self._found(self._second)
        for name in self._asked_for(positive=True):
            if self._second is not None:
                held = self._matching(self._second, name, self._detection[name])
                counts[name] = len(held & fired)
            else:
                counts[name] = self._both(name)
        for name in self._asked_for(positive=False):
            counts[name] = self._any(name)
        return counts

    def _both(self, name: str) -> int:
        """Events of the history that the rule matches by way of a selection."""
        condition = f"({self._detection['condition']}) and {name}"
        return self._count({**self._detection, "condition": condition}, limit=10_000)

    def _any(self, name: str) -> int:
        """1 where a selection matches any event of the history, else 0."""
        return self._count({name: self._detection[name], "condition": name}, limit=1)

    def _count(self, detection: Mapping[str, object], limit: int) -> int:
        search = SigmaSearch(
            name="branch", logsource=self._logsource, detection=detection, limit=limit
        )
        try:
            return len(self._kit.siem.search(search, self._claim.window).table)
        except ConnectorError:
            return 0  # not exercised, as far as anybody knows

    # ------------------------------------------------------------ engines

    def trials(self) -> tuple[Trial, ...]:
        """The rule on every engine at hand, over the sample; the main SIEM first.

        Events that have left the SIEM since they were kept are tried on the second engine only.
        """
        if not self.sample:
            return ()
        made = [Trial(engine=self._kit.siem.name, found=self._hit & self.sample)]
        if self._kit.runner is not None:
            made.append(self._trial(self._kit.runner.name, self._run))
        made += [self._elsewhere(name, made[0].found) for name in sorted(self._kit.others)]
        if self._second is None:
            return tuple(made)
        second = self._trial(self._second.name, partial(self._found, self._second))
        missing = self._gone() & second.found
        made = [replace(trial, found=trial.found | missing) for trial in made]
        return (made[0], second, *made[1:])

    def _gone(self) -> frozenset[str]:
        """Kept events that lie outside what the replay looked at."""
        window = self._claim.window
        return frozenset(
            identity(f.ref) for f in self._claim.kept if not window.contains(f.ref.time)
        )

    def _trial(self, engine: str, run: Callable[[], frozenset[str]]) -> Trial:
        try:
            return Trial(engine=engine, found=run() & self.sample)
        except HuntonceError as error:
            return Trial(engine=engine, error=str(error))

    def _elsewhere(self, name: str, expected: frozenset[str]) -> Trial:
        """The rule on another SIEM that it is deployed to, over what that holds of the sample.

        A SIEM that is fed from elsewhere need not hold these events, and one that is not reached
        says nothing of the rule: both are written down, and neither is a fault of the rule.
        """
        try:
            other = self._kit.others[name]
            found = self._found(other, self._claim.window) & self.sample
            bodies = other.originals(list(self._refs.values()))
        except TransientError as error:
            return Trial(engine=name, unasked=str(error))
        except HuntonceError as error:
            return Trial(engine=name, error=str(error))
        held = found | {identity(ref) for uid, ref in self._refs.items() if uid in bodies}
        if not held & expected:
            return Trial(engine=name, unasked="it holds none of the events that the rule finds")
        if held == self.sample:
            return Trial(engine=name, found=found)
        note = f"{name} holds {len(held)} of the {len(self.sample)} events of the sample"
        return Trial(engine=name, found=found | (expected - held), note=note)

    def _found(self, siem: Siem, window: Window | None = None) -> frozenset[str]:
        """Identities of what the rule, filters applied, finds on a SIEM."""
        looked = window or self._everything
        if looked is None:
            return frozenset()
        return identities(siem.search_rule(self._claim.whole, looked).table)

    def _run(self) -> frozenset[str]:
        runner = self._kit.runner
        if runner is None:
            return frozenset()
        rule_id = str(yaml.safe_load(self._claim.rule).get("id", ""))
        ran = runner.run(
            [
                GuardRule(
                    rule_id=rule_id,
                    rule=self._claim.rule,
                    filters=self._claim.filters,
                    window=self._claim.window,
                )
            ]
        )
        if rule_id in ran.faults:
            raise ConnectorError(ran.faults[rule_id], connector=runner.name)
        return identities(ran.hits[rule_id])

    def kept_fired(self) -> tuple[tuple[EventRef, ...], tuple[EventRef, ...]]:
        """The kept evil events, and those of them that fire now."""
        wanted = tuple(f.ref for f in self._claim.kept if f.malicious)
        found = self._found(self._second) if self._second is not None else self._hit
        return wanted, tuple(ref for ref in wanted if identity(ref) in found)


def around(refs: Iterable[EventRef]) -> Window | None:
    """A window that holds events, with a day to spare: clocks are corrected differently."""
    times = [ref.time for ref in refs]
    day = timedelta(days=1)
    return Window(min(times) - day, max(times) + day) if times else None


def _spread(refs: Sequence[EventRef], most: int) -> list[EventRef]:
    """So many of the events, from as many hosts as there are."""
    turns: dict[str, int] = {}
    ranked: list[tuple[int, int, EventRef]] = []
    for ref in sorted(refs, key=lambda ref: (ref.time, ref.host, ref.uid)):
        turns[ref.host] = turns.get(ref.host, 0) + 1
        ranked.append((turns[ref.host], len(ranked), ref))
    return [ref for _, _, ref in sorted(ranked, key=lambda item: item[:2])[:most]]


def _refs(hits: pa.Table) -> list[EventRef]:
    return [EventRef(**row) for row in hits.select([n for n, _ in EVENT_COLUMNS]).to_pylist()]

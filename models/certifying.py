"""Certifying: from what a rule did when it was run to a sealed certificate.

Pure: the stages run the rule on SIEMs and fixtures, and hand the results over.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from huntonce.models.detecting import canonical_sha256, poisson_interval
from huntonce.models.detection import Certificate, DetectionState, Fixture
from huntonce.models.finding import EventRef, Finding
from huntonce.models.ids import digest
from huntonce.models.sealing import filters_sha256, fixtures_sha256, sealed
from huntonce.models.windows import Window

if TYPE_CHECKING:
    import pyarrow as pa

MIN_RECALL = 0.8
MOST_FIXTURES = 20
"""Of each kind, evil and usual: enough to judge by, few enough to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the organisation asks of a certificate.

    Attributes:
        max_alerts_a_day: Highest mean rate of false alerts of a rule that stands guard.
        test_days: Least replay for status test: a week has every weekday in it.
        stable_days: Least replay for status stable: a month has its month's end in it.
    """

    max_alerts_a_day: float = 1.0
    test_days: float = 7.0
    stable_days: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What a rule did over the history of one SIEM.

    Attributes:
        hits: Its events (``EVENT_COLUMNS``).
        branches: Selection name to number of events, as ``Certificate.branches``.
        faults: What validators said of the rule.
    """

    siem: str
    window: Window
    hits: "pa.Table"
    branches: Mapping[str, int]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What one engine found in the sample that every engine was given.

    Attributes:
        found: Identities of the events (``identity``).
        error: Why it could not run the rule; "" where it did.
        unasked: Why nobody knows whether it finds the same: it was not reached, or holds none of
            the events; "" where it was asked.
        note: What limits what its answer says; "" for nothing.
    """

    engine: str
    found: frozenset[str] = frozenset()
    error: str = ""
    unasked: str = ""
    note: str = ""

    @property
    def answered(self) -> bool:
        """Whether what it found says anything."""
        return not self.error and not self.unasked


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What was run besides the rule, for the pins of the certificate.

    Attributes:
        trials: The main SIEM's first.
        sample: How many events the trials were given.
        proven: Events that must fire and those that did, where kept events say so rather than the
            replay: the history may have moved on.
    """

    fixtures: tuple[Fixture, ...] = ()
    filters: tuple[str, ...] = ()
    trials: tuple[Trial, ...] = ()
    sample: int = 0
    engine: str = ""
    logic_version: str = ""
    issued_at: datetime | None = None
    proven: tuple[tuple[EventRef, ...], tuple[EventRef, ...]] | None = None


def identity(ref: EventRef) -> str:
    """What an event is called on every SIEM: host, channel, id and record number.

    Where the source kept no record number, the id that the SIEM gave it.
    """
    if ref.record_id is None:
        return ref.uid
    return f"{ref.host.upper()}|{ref.channel.lower()}|{ref.event_id}|{ref.record_id}"


def identities(hits: "pa.Table") -> frozenset[str]:
    """The same for the rows of a search."""
    names = ("uid", "host", "channel", "event_id", "record_id")
    columns = [hits.column(name).to_pylist() for name in names]
    return frozenset(
        uid
        if record_id is None
        else f"{str(host).upper()}|{str(channel).lower()}|{event_id}|{record_id}"
        for uid, host, channel, event_id, record_id in zip(*columns, strict=True)
    )


def certify(
    rule: str,
    replay: Replay,
    *,
    targets: Sequence[Finding],
    spared: Sequence[Finding],
    benign_events: int,
    setup: Setup | None = None,
    terms: Terms | None = None,
) -> Certificate:
    """The certificate of a rule from its replay and its trials.

    ``targets`` are the findings the rule is meant for: their core events of the kinds that it
    finds (registrations, a tool's commands, occurrences) must fire. Alerts on the events of the
    ``spared`` findings are neither hits nor false. ``benign_events`` is how many usual
    records the same history held.
    """
    setup, terms = setup or Setup(), terms or Terms()
    uids = replay.hits.column("uid").to_pylist()
    hosts = replay.hits.column("host").to_pylist()
    found = set(uids)
    wanted = {ref.uid: ref for finding in targets for ref in _meant(finding, found)}
    fired = tuple(ref for uid, ref in wanted.items() if uid in found)
    known = {ref.uid for finding in (*targets, *spared) for ref in finding.events}
    if setup.proven is not None:
        meant, fired = setup.proven
        wanted = {ref.uid: ref for ref in meant}
        known |= set(wanted)
    false = [uid for uid in uids if uid not in known]
    days = (replay.window.end - replay.window.start).total_seconds() / 86_400
    loudest = Counter(hosts).most_common(1)
    # The rate that people will live with is the one of everything that is not this intrusion.
    rate, interval = len(false) / days, poisson_interval(len(false), days)
    made = Certificate(
        rule_sha256=canonical_sha256(rule),
        fixtures=fired,
        fired=len(fired),
        expected=len(wanted),
        benign_hits=len(false),
        benign_events=benign_events,
        days=days,
        alerts_a_day=rate,
        interval=interval,
        hosts=len(set(hosts)),
        top_share=loudest[0][1] / len(hosts) if loudest else 0.0,
        branches=tuple(sorted(replay.branches.items())),
        unexercised=tuple(sorted(name for name, count in replay.branches.items() if not count)),
        siems=_digests(replay, uids, setup),
        sample=setup.sample,
        benign_fixtures=tuple(f.ref for f in setup.fixtures if not f.malicious),
        filters_sha256=filters_sha256(setup.filters),
        fixtures_sha256=fixtures_sha256(setup.fixtures),
        engine=setup.engine,
        logic_version=setup.logic_version,
        start=replay.window.start,
        end=replay.window.end,
        issued_at=setup.issued_at,
        holds=False,
    )
    faults = (*replay.faults, *_shortfalls(made, terms), *_trial_faults(setup))
    return sealed(judged(made, faults, setup, terms))


def judged(made: Certificate, faults: Sequence[str], setup: Setup, terms: Terms) -> Certificate:
    """The certificate with its verdict: whether it holds, and the status that it supports."""
    allows, limits = DetectionState.DRAFT, tuple(faults)
    if not faults:
        for_test = tuple(_for_test(made, setup, terms))
        for_stable = tuple(_for_stable(made, terms))
        allows = (
            DetectionState.EXPERIMENTAL
            if for_test
            else DetectionState.TEST
            if for_stable
            else DetectionState.STABLE
        )
        limits = (*for_test, *for_stable, *(t.note for t in setup.trials if t.note))
    return replace(made, holds=not faults, faults=tuple(faults), allows=allows, limits=limits)


def _digests(replay: Replay, uids: Sequence[str], setup: Setup) -> tuple[tuple[str, str], ...]:
    if not setup.trials:
        return ((replay.siem, digest(sorted(uids))),)
    return tuple(
        (trial.engine, digest(sorted(trial.found)) if trial.answered else "")
        for trial in setup.trials
    )


def _meant(finding: Finding, found: set[str]) -> list[EventRef]:
    """The finding's events of the kinds that the rule found any of: those it should find all of."""
    core = {ref.uid for ref in finding.core}
    kinds = {
        (ref.role, ref.channel, ref.event_id)
        for ref in finding.events
        if ref.uid in found and ref.uid in core
    }
    return [ref for ref in finding.events if (ref.role, ref.channel, ref.event_id) in kinds]


def _shortfalls(made: Certificate, terms: Terms) -> Iterator[str]:
    if not made.fired:
        yield "it does not find the events that it was made from"
    elif made.fired < MIN_RECALL * made.expected:
        yield f"it finds only {made.fired} of the {made.expected} events that it was made from"
    if made.alerts_a_day > terms.max_alerts_a_day:
        yield (
            f"it would raise {made.alerts_a_day:.1f} false alerts a day"
            f" ({made.benign_hits} in the replay)"
        )


def _trial_faults(setup: Setup) -> Iterator[str]:
    """Where engines disagree over the sample, or a kept event does not behave."""
    if not setup.trials:
        return
    first, *others = setup.trials
    for other in others:
        if other.error:
            yield f"{other.engine} cannot run it: {other.error}"
        elif other.answered and first.error == "" and other.found != first.found:
            missing, extra = len(first.found - other.found), len(other.found - first.found)
            yield (
                f"{other.engine} does not find the same events as {first.engine}:"
                f" {missing} missing, {extra} more, of a sample of {setup.sample}"
            )
    for trial in setup.trials:
        if not trial.answered:
            continue
        evil = [f for f in setup.fixtures if f.malicious]
        silent = [f for f in evil if identity(f.ref) not in trial.found]
        loud = [f for f in setup.fixtures if not f.malicious and identity(f.ref) in trial.found]
        if silent:
            yield f"on {trial.engine} {len(silent)} of {len(evil)} kept evil events do not fire"
        if loud:
            yield f"on {trial.engine} {len(loud)} kept usual events fire"


def _for_test(made: Certificate, setup: Setup, terms: Terms) -> Iterator[str]:
    if made.days < terms.test_days:
        yield (
            f"for test: the replay is {made.days:.1f} days long, {terms.test_days:g} are asked for"
        )
    for trial in setup.trials:
        if trial.unasked:
            yield f"for test: nobody knows what {trial.engine} finds: {trial.unasked}"
    if sum(trial.answered for trial in setup.trials) < 2:  # noqa: PLR2004 - one cannot agree
        yield "for test: no second engine was asked for the same events"
    if not any(f.malicious for f in setup.fixtures):
        yield "for test: none of the evil events could be kept as a fixture"
    if all(f.malicious for f in setup.fixtures):
        yield "for test: no usual event of its log source was at hand as a fixture"


def _for_stable(made: Certificate, terms: Terms) -> Iterator[str]:
    if made.unexercised:
        yield f"for stable: never exercised: {', '.join(made.unexercised)}"
    if made.days < terms.stable_days:
        yield (
            f"for stable: the replay is {made.days:.1f} days long, {terms.stable_days:g} are"
            " asked for"
        )

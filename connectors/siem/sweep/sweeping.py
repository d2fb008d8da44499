"""The sweep: every rule of a pack over what the lake holds, unseen data only."""

import gc
import hashlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from huntonce.connectors.siem.sweep.batch import Batch, ClassRows, batches, open_batch
from huntonce.connectors.siem.sweep.blindness import blind_rules
from huntonce.connectors.siem.sweep.catalog import (
    EventClass,
    LakeFile,
    event_classes,
    found_files,
)
from huntonce.connectors.siem.sweep.correlating import correlate, fields_needed
from huntonce.connectors.siem.sweep.folding import Outcome
from huntonce.connectors.siem.sweep.hits import branch_names, hits_of, projected
from huntonce.connectors.siem.sweep.matching import Fold, match_class
from huntonce.connectors.siem.sweep.planning import (
    ENGINE_VERSION,
    Folder,
    Outlook,
    Plan,
    RuleIndex,
    decode_outlook,
    decode_plan,
    encode_outlook,
    encode_plan,
    make_plan,
    outlook,
    texts_of,
)
from huntonce.connectors.siem.sweep.report import BlindRule, RuleHits, SweepReport, gravity
from huntonce.connectors.siem.sweep.state import LOCK_TIMEOUT, SweepState, open_state
from huntonce.connectors.sigma.pack import CompiledRule, RulePack
from huntonce.models.windows import Window

Progress = Callable[[int, int], None]
"""Called with the events looked at and those there are to look at."""

_COLLECTED_AFTER = 100_000
_COMMIT_EVENTS = 2_000_000
_COMMIT_HITS = 250_000


def sweep(
    root: Path,
    pack: RulePack,
    *,
    window: Window | None = None,
    progress: Progress | None = None,
    lock_timeout: float = LOCK_TIMEOUT,
) -> SweepReport:
    """Every rule of the pack over the lake at ``root``.

    Files that a rule was run over before are not read again: their hits are repeated.

    Args:
        root: The lake's folder.
        pack: The rules, compiled.
        window: Only events in it; None is everything.
        progress: Told how far the sweep is.
        lock_timeout: Seconds to wait while another sweep runs.

    Raises:
        TransientError: Another sweep runs, or a file cannot be read.
    """
    started = time.monotonic()
    with open_state(root, lock_timeout=lock_timeout) as state, _seldom_collected():
        there = list(found_files(root, None))
        # Known first, tidied then: a merged file takes over from files that are gone.
        held = [file for file in state.files(there) if _overlaps(file, window)]
        state.tidy({file.name for file in there})
        run = _Run(state, pack, held)
        scanned = run.scan(progress)
        hits = run.hits(window)
        blind = run.blind()
        state.keep(run.made)
    return SweepReport(
        rules=pack.found,
        evaluated=len(pack.rules) + len(pack.correlations),
        events=sum(file.rows for file in held),
        scanned=scanned,
        unsupported=pack.unsupported,
        blind=blind,
        hits=hits,
        seconds=time.monotonic() - started,
    )


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let the cycle collector walk the rules and plans seldom: they are many and have no cycles."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _COLLECTED_AFTER), *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _overlaps(file: LakeFile, window: Window | None) -> bool:
    if window is None:
        return True
    first, last = (int(moment.timestamp() * 1e6) for moment in (window.start, window.end))
    return file.first < last and file.last >= first


@dataclass(slots=True)
class _Rules:
    """Rules that are run together, and what was worked out for them."""

    index: RuleIndex
    folder: Folder
    marks: tuple[str, ...]
    plans: dict[str, Plan] = field(default_factory=dict)


class _Run:
    """One sweep.

    Attributes:
        made: Plans and outlooks made, to be kept.
    """

    def __init__(self, state: SweepState, pack: RulePack, held: Sequence[LakeFile]) -> None:
        self._state = state
        self._pack = pack
        self._held = held
        self._fields = fields_needed(pack.correlations)
        self._marks = tuple(_mark(rule, self._fields.get(rule.id, ())) for rule in pack.rules)
        self._all = self._rules(range(len(pack.rules)))
        self._classes = event_classes(held)
        self.made: dict[str, bytes] = {}

    def _rules(self, positions: Iterable[int]) -> _Rules:
        chosen = tuple(positions)
        rules = [self._pack.rules[position] for position in chosen]
        marks = tuple(self._marks[position] for position in chosen)
        return _Rules(RuleIndex(rules), Folder(rules), marks)

    # ------------------------------------------------------------ scanning

    def scan(self, progress: Progress | None) -> int:
        """Run every rule over the files that it was not run over yet; the events looked at."""
        units = list(self._pending())
        total = sum(file.rows for _, held in units for file in held)
        seen = 0
        for rules, held in units:
            waiting: list[pa.Table] = []
            done: list[LakeFile] = []
            for share in batches(held):
                with open_batch(share) as batch:
                    waiting += self._search(rules, batch)
                done += share
                seen += sum(file.rows for file in share)
                if progress is not None:
                    progress(seen, total)
                if _enough(done, waiting):
                    self._state.commit([file.id for file in done], rules.marks, waiting)
                    waiting, done = [], []
            if done:
                self._state.commit([file.id for file in done], rules.marks, waiting)
        return total

    def _pending(self) -> Iterator[tuple[_Rules, list[LakeFile]]]:
        """Files of one channel with the rules still to be run over them."""
        done, marks = self._state.searched()
        sets: dict[tuple[int, ...], _Rules] = {}
        units: dict[tuple[str, tuple[int, ...]], list[LakeFile]] = {}
        for file in self._held:
            rulesets = tuple(sorted(done.get(file.id, ())))
            if rulesets not in sets:
                known = frozenset[str]().union(*(marks[number] for number in rulesets))
                sets[rulesets] = self._without(known)
            if sets[rulesets].index.rules:
                units.setdefault((file.channel, rulesets), []).append(file)
        for (_, rulesets), held in sorted(units.items(), key=lambda item: item[0]):
            yield sets[rulesets], held

    def _without(self, known: Collection[str]) -> _Rules:
        if not known:
            return self._all
        return self._rules(at for at, mark in enumerate(self._marks) if mark not in known)

    def _search(self, rules: _Rules, batch: Batch) -> list[pa.Table]:
        found: list[pa.Table] = []
        channel = batch.files[0].channel
        searched = [
            self._classes[channel, event_id]
            for event_id in batch.class_ids()
            if next(iter(rules.index.of_class(channel, event_id)), None) is not None
        ]
        if batch.small:
            # Read a file once for all of its classes: opening columns costs more than their rows.
            known = [self._known_plan(rules, events) for events in searched]
            texts = texts_of([plan for plan in known if plan is not None])
            batch.prefetch(texts)
            batch.look_for(texts)
        for events in searched:
            hits = self._search_class(rules, batch, events)
            if hits is not None:
                found.append(hits)
        return found

    def _search_class(self, rules: _Rules, batch: Batch, events: EventClass) -> pa.Table | None:
        rows = batch.of_class(events.event_id)

        def folded(rule: int, place: int) -> Outcome:
            return rules.folder.fold(events, rule, place)

        plan = self._plan(rules, events, rows, folded)
        matches = []
        for match in match_class(rows, plan, folded):
            rule = rules.index.rules[match.rule]
            context = rules.folder.context(events, rule.places[match.place])
            names = branch_names(rule, context, rows, match.rows)
            values = projected(context, rows, match.rows, self._fields.get(rule.id, ()))
            matches.append((match, rules.marks[match.rule], names, values))
        return hits_of(rows, matches) if matches else None

    def _plan(self, rules: _Rules, events: EventClass, rows: ClassRows, folded: Fold) -> Plan:
        known = self._known_plan(rules, events)
        if known is not None:
            return known
        key = f"plan {rules.index.key(events)}"
        rules.plans[key] = made = make_plan(self._outlook(rules, events).live, folded, rows)
        self.made[key] = encode_plan(made)
        return made

    def _known_plan(self, rules: _Rules, events: EventClass) -> Plan | None:
        key = f"plan {rules.index.key(events)}"
        if key not in rules.plans and (kept := self._state.kept(key)) is not None:
            rules.plans[key] = decode_plan(kept)
        return rules.plans.get(key)

    def _outlook(self, rules: _Rules, events: EventClass) -> Outlook:
        key = f"outlook {rules.index.key(events)}"
        kept = self.made.get(key) or self._state.kept(key)
        if kept is not None:
            return decode_outlook(kept)
        found = outlook(events, rules.index, rules.folder)
        self.made[key] = encode_outlook(found)
        return found

    # ------------------------------------------------------------ the answer

    def blind(self) -> tuple[BlindRule, ...]:
        """Rules that could not fire."""
        outlooks = {key: self._outlook(self._all, events) for key, events in self._classes.items()}
        return blind_rules(self._pack.rules, outlooks)

    def hits(self, window: Window | None) -> tuple[RuleHits, ...]:
        """Hits of the window, correlations included, gravest first."""
        table = self._state.hits(self._marks, [file.id for file in self._held])
        if window is not None:
            times = table.column("time")
            table = table.filter(
                pc.and_(pc.greater_equal(times, window.start), pc.less(times, window.end))
            )
        by_rule = self._by_rule(table)
        incidents = correlate(self._pack.correlations, by_rule)
        silent = {
            rule
            for correlation in self._pack.correlations
            if not correlation.generate
            for rule in correlation.rules
        }
        own = [hits for rule, hits in by_rule.items() if rule not in silent]
        shown = [hits for hits in incidents if hits.id not in silent]
        return tuple(sorted((*own, *shown), key=gravity))

    def _by_rule(self, table: pa.Table) -> dict[str, RuleHits]:
        marks = table.column("mark").cast(pa.string())
        order = pc.sort_indices(
            pa.table({"mark": marks, "time": table.column("time"), "uid": table.column("uid")}),
            [("mark", "ascending"), ("time", "ascending"), ("uid", "ascending")],
        )
        table, counts = table.take(order), Counter(marks.to_pylist())
        starts, at = {}, 0
        for mark in sorted(counts):
            starts[mark] = at
            at += counts[mark]
        found: dict[str, RuleHits] = {}
        for rule, mark in zip(self._pack.rules, self._marks, strict=True):
            if mark in starts:
                own = table.slice(starts[mark], counts[mark])
                found[rule.id] = _rule_hits(rule, _once(own))
        return found


def _once(table: pa.Table) -> pa.Table:
    """Each event once: a rule may match it in two places of its log source."""
    uids = table.column("uid")
    if pc.count_distinct(uids).as_py() == len(table):
        return table
    numbered = table.append_column("number", pa.array(range(len(table))))
    first = numbered.group_by("uid").aggregate([("number", "min")]).column("number_min")
    return table.take(first.sort())


def _rule_hits(rule: CompiledRule, table: pa.Table) -> RuleHits:
    return RuleHits(
        id=rule.id,
        title=rule.title,
        level=rule.level,
        author=rule.author,
        count=len(table),
        table=table,
    )


def _mark(rule: CompiledRule, fields: Sequence[str]) -> str:
    """What hits are kept under: the rule's content, and the fields kept of its events."""
    parts = (str(ENGINE_VERSION), rule.fingerprint, *fields)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _enough(done: Sequence[LakeFile], waiting: Sequence[pa.Table]) -> bool:
    return (
        sum(file.rows for file in done) >= _COMMIT_EVENTS
        or sum(len(table) for table in waiting) >= _COMMIT_HITS
    )

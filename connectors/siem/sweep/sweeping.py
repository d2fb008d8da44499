"""The sweep: every rule of a pack over what the lake holds, unseen data only."""

import gc
import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from huntonce.connectors.siem.sweep.ahead import one_ahead
from huntonce.connectors.siem.sweep.answers import by_rule as hits_by_rule
from huntonce.connectors.siem.sweep.batch import (
    Batch,
    ClassRows,
    batches,
    class_ids,
    is_small,
    open_batch,
)
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


@dataclass(frozen=True, slots=True)
class _Share:
    """Files searched together.

    Attributes:
        searched: The classes that rules are for.
        texts: What plans are known to look for, by column; of files that are small.
        last: No other files are run under the same rules.
    """

    rules: _Rules
    files: list[LakeFile]
    searched: list[EventClass]
    texts: Mapping[str, Mapping[str, None]]
    last: bool


def _opened(share: _Share) -> Batch:
    batch = open_batch(share.files)
    try:
        batch.prefetch(share.texts)
        batch.look_for(share.texts)
    except BaseException:
        batch.close()
        raise
    return batch


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
        waiting: list[pa.Table] = []
        done: list[LakeFile] = []
        for share, batch in one_ahead(self._shares(units), _opened):
            waiting += self._search(share, batch)
            done += share.files
            seen += sum(file.rows for file in share.files)
            if progress is not None:
                progress(seen, total)
            if share.last or _enough(done, waiting):
                self._state.commit([file.id for file in done], share.rules.marks, waiting)
                waiting, done = [], []
        return total

    def _shares(self, units: Iterable[tuple[_Rules, list[LakeFile]]]) -> Iterator[_Share]:
        for rules, held in units:
            shares = list(batches(held))
            for number, files in enumerate(shares, 1):
                searched = [
                    self._classes[files[0].channel, event_id]
                    for event_id in class_ids(files)
                    if next(iter(rules.index.of_class(files[0].channel, event_id)), None)
                ]
                texts = {}
                if is_small(files):
                    # Read once for all of their classes: opening columns costs more than rows.
                    known = [self._known_plan(rules, events) for events in searched]
                    texts = texts_of([plan for plan in known if plan is not None])
                yield _Share(rules, files, searched, texts, last=number == len(shares))

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

    def _search(self, share: _Share, batch: Batch) -> list[pa.Table]:
        found = [self._search_class(share.rules, batch, events) for events in share.searched]
        return [hits for hits in found if hits is not None]

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
        by_rule = hits_by_rule(self._pack.rules, self._marks, table)
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


def _mark(rule: CompiledRule, fields: Sequence[str]) -> str:
    """What hits are kept under: the rule's content, and the fields kept of its events."""
    parts = (str(ENGINE_VERSION), rule.fingerprint, *fields)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _enough(done: Sequence[LakeFile], waiting: Sequence[pa.Table]) -> bool:
    return (
        sum(file.rows for file in done) >= _COMMIT_EVENTS
        or sum(len(table) for table in waiting) >= _COMMIT_HITS
    )

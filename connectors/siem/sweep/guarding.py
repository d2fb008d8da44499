"""Promoted rules over the lake: the sweep engine, which reads what a rule has not seen yet."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from typing_extensions import override

from huntonce.connectors.siem.sweep.sweeping import sweep
from huntonce.connectors.sigma.pack import RulePack, assemble
from huntonce.connectors.sigma.reading import compile_text
from huntonce.models.guarding import GuardRule, RuleRun
from huntonce.models.ports import RuleRunner
from huntonce.models.query import EVENT_COLUMNS

_SCHEMA = pa.schema(list(EVENT_COLUMNS))


class LakeRunner(RuleRunner):
    """Runs promoted rules, their filters applied, over the lake at ``root``.

    What a rule has been run over is kept beside the lake by the rule's content: a rule or filter
    that changed is run over everything again, one that did not only over new files.
    """

    def __init__(self, root: Path, name: str = "sweep engine") -> None:
        self._root = root
        self._name = name

    @property
    @override
    def name(self) -> str:
        return self._name

    @override
    def run(self, rules: Sequence[GuardRule]) -> RuleRun:
        """Run them in one pass; errors as in ``sweep``."""
        if not rules:
            return RuleRun(hits={})
        pack = _pack(rules)
        faults = {rule.source: rule.reason for rule in pack.unsupported}
        report = sweep(self._root, pack)
        found = {hits.id: hits.table for hits in report.hits}
        # A rule whose source or fields are nowhere cannot fire: that is no silence.
        faults |= {rule.id: rule.reason for rule in report.blind if not rule.partly}
        runnable = {rule.id for rule in pack.rules}
        hits: dict[str, pa.Table] = {}
        for rule in rules:
            if rule.rule_id in runnable and rule.rule_id not in faults:
                hits[rule.rule_id] = _within(found.get(rule.rule_id), rule)
            else:
                faults.setdefault(rule.rule_id, "its text holds no rule with its id")
        wanted = {rule.rule_id for rule in rules}
        return RuleRun(
            hits=hits,
            faults={rule_id: why for rule_id, why in faults.items() if rule_id in wanted},
            scanned=report.scanned,
        )


def _pack(rules: Sequence[GuardRule]) -> RulePack:
    documents = [
        document
        for rule in rules
        for text in (rule.rule, *rule.filters)
        for document in compile_text(text, rule.rule_id, {})
    ]
    # A filter that cannot be compiled must not be left out in silence: its rule is then a fault.
    spoilt = {document["source"] for document in documents if document["kind"] == "fault"}
    return assemble(
        [d for d in documents if d["kind"] == "fault" or d["source"] not in spoilt], len(rules)
    )


def _within(table: pa.Table | None, rule: GuardRule) -> pa.Table:
    if table is None:
        return _SCHEMA.empty_table()
    times = table.column("time")
    kept = table.filter(
        pc.and_(pc.greater_equal(times, rule.window.start), pc.less(times, rule.window.end))
    )
    return kept.select(_SCHEMA.names).cast(_SCHEMA)

"""The hits that a sweep's state keeps, as each rule's own."""

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from huntonce.connectors.siem.sweep.report import RuleHits
from huntonce.connectors.sigma.pack import CompiledRule


def by_rule(
    rules: Sequence[CompiledRule], marks_of: Sequence[str], table: pa.Table
) -> dict[str, RuleHits]:
    """The hits of each rule that has some, oldest first; ``marks_of`` are the rules' marks."""
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
    for rule, mark in zip(rules, marks_of, strict=True):
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

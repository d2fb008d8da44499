"""Correlations against a slow reference, and what they say of rules that cannot be run."""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from huntonce.connectors.siem.sweep.correlating import correlate, fields_needed
from huntonce.connectors.siem.sweep.hits import SCHEMA
from huntonce.connectors.siem.sweep.report import RuleHits
from huntonce.connectors.sigma.pack import RulePack, assemble
from huntonce.connectors.sigma.reading import compile_text
from tests.support import correlation_reference as reference

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = ("one", "two", "three")


def base(name: str) -> dict[str, Any]:
    return {
        "title": name,
        "id": f"00000000-0000-4000-8000-{RULES.index(name):012d}",
        "name": name,
        "logsource": {"category": "process_creation", "product": "windows"},
        "detection": {"s": {"Image": name}, "condition": "s"},
    }


def pack_of(*correlations: dict[str, Any], names: tuple[str, ...] = RULES) -> RulePack:
    documents = [base(name) for name in names]
    documents += [
        {
            "title": f"Correlation {number}",
            "correlation": copy.deepcopy(found),
            **found.pop("own", {}),
        }
        for number, found in enumerate(copy.deepcopy(correlations))
    ]
    for document in documents:
        document.get("correlation", {}).pop("own", None)
    text = "\n---\n".join(yaml.safe_dump(document) for document in documents)
    return assemble(compile_text(text, "rules.yml", {}), 1)


def hits_of(pack: RulePack, hits: list[dict[str, Any]]) -> dict[str, RuleHits]:
    needed = fields_needed(pack.correlations)
    found = {}
    for rule in pack.rules:
        own = sorted(
            (hit for hit in hits if hit["rule"] == rule.name),
            key=lambda hit: (hit["time"], hit["uid"]),
        )
        rows = [
            {
                "mark": "m", "file": 1, "uid": hit["uid"], "host": "H", "channel": "C",
                "time": START + timedelta(seconds=hit["time"]), "event_id": 1, "record_id": 1,
                "branch": "s",
                "fields": orjson.dumps(
                    {name: hit["fields"].get(name) for name in needed.get(rule.id, ())}
                ).decode(),
            }
            for hit in own
        ]  # fmt: skip
        if rows:
            table = pa.Table.from_pylist(rows, SCHEMA)
            found[rule.id] = RuleHits(
                id=rule.id, title=rule.name, level="", author="", count=len(rows), table=table
            )
    return found


def answer(pack: RulePack, hits: list[dict[str, Any]]) -> dict[str, list[list[str]]]:
    """Title to the uids of each incident."""
    found = {}
    for report in correlate(pack.correlations, hits_of(pack, hits)):
        groups: dict[int, list[str]] = {}
        for row in report.table.to_pylist():
            groups.setdefault(int(row["branch"].partition(":")[0]), []).append(row["uid"])
        assert report.count == len(groups)
        found[report.title] = [groups[number] for number in sorted(groups)]
    return found


FIELDS = st.tuples(
    st.sampled_from(["eve", "bob", None]),
    st.sampled_from(["1", "2.5", "-4", "10", "x", None]),
    st.sampled_from(["a", "b"]),
)
EVENTS = st.dictionaries(
    st.integers(0, 20),
    st.tuples(st.sets(st.sampled_from(RULES), min_size=1), FIELDS),
    max_size=12,
)
HITS = EVENTS.map(
    lambda events: [
        {
            "rule": rule,
            "uid": f"e{uid:02d}",
            "time": uid * 7 % 40,
            "fields": {
                name: text
                for name, text in zip(("User", "Size", "Other"), values, strict=True)
                if text
            },
        }
        for uid, (rules, values) in events.items()
        for rule in sorted(rules)
    ]
)
OPERATORS = st.sampled_from(["lt", "lte", "gt", "gte", "eq", "neq"])
EXPRESSIONS = (
    "one and two", "one or two", "one and not two", "one and (two or three)", "not one",
    "(one or two) and not three", "two and one",
)  # fmt: skip


@st.composite
def correlations(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(
        st.sampled_from(
            ["event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg",
             "value_percentile", "value_median"]
        )
    )  # fmt: skip
    made: dict[str, Any] = {"type": kind, "timespan": f"{draw(st.integers(1, 30))}s"}
    if kind.startswith("temporal") and draw(st.booleans()):
        made["condition"] = draw(st.sampled_from(EXPRESSIONS))
        words = made["condition"].replace("(", " ").replace(")", " ").split()
        made["rules"] = [name for name in dict.fromkeys(words) if name in RULES]
    else:
        made["rules"] = list(draw(st.permutations(RULES)))[: draw(st.integers(1, 3))]
        made["condition"] = {draw(OPERATORS): draw(st.integers(-3, 5))}
        if kind.startswith("value"):
            made["condition"]["field"] = "Other" if kind == "value_count" else "Size"
        if kind == "value_percentile":
            made["condition"]["percentile"] = draw(st.sampled_from([0, 25, 90, 100]))
    if draw(st.booleans()):
        made["group-by"] = ["User"]
    return made


@given(correlations(), HITS)
@settings(max_examples=400, deadline=None)
def test_correlations_find_what_the_reference_finds(
    correlation: dict[str, Any], hits: list[dict[str, Any]]
) -> None:
    pack = pack_of(correlation)
    assert pack.unsupported == ()
    mine = [hit for hit in hits if hit["rule"] in correlation["rules"]]
    asked = {**correlation, "seconds": int(correlation["timespan"][:-1])}

    expected = reference.incidents(asked, mine)

    found = answer(pack, hits).get("Correlation 0", [])
    assert [sorted(set(one)) for one in found] == [sorted(set(one)) for one in expected]


def hit(rule: str, uid: str, time: int, **fields: str) -> dict[str, Any]:
    return {"rule": rule, "uid": uid, "time": time, "fields": fields}


def test_an_average_is_compared_with_the_fraction_that_is_written() -> None:
    average = {
        "type": "value_avg", "rules": ["one"], "timespan": "1m",
        "condition": {"field": "Size", "gt": 1.5},
    }  # fmt: skip
    pack = pack_of(average)

    assert answer(pack, [hit("one", "a", 1, Size="1.2"), hit("one", "b", 2, Size="1.5")]) == {}
    assert answer(pack, [hit("one", "a", 1, Size="1"), hit("one", "b", 2, Size="3")]) == {
        "Correlation 0": [["a", "b"]]
    }


def test_an_alias_joins_fields_of_different_names() -> None:
    joined = {
        "type": "temporal", "rules": ["one", "two"], "timespan": "1m", "group-by": ["who"],
        "aliases": {"who": {"one": "User", "two": "Account"}},
    }  # fmt: skip
    pack = pack_of(joined)

    found = answer(
        pack,
        [hit("one", "a", 1, User="eve"), hit("two", "b", 2, Account="eve", User="bob"),
         hit("two", "c", 3, User="eve")],
    )  # fmt: skip

    assert found == {"Correlation 0": [["a", "b"]]}


def test_a_correlation_of_a_correlation_groups_by_fields_of_the_events_below() -> None:
    many = {
        "own": {"name": "many"},
        "type": "event_count", "rules": ["one"], "timespan": "10s", "group-by": ["Computer"],
        "condition": {"gte": 3},
    }  # fmt: skip
    then = {
        "type": "temporal_ordered", "rules": ["many", "two"], "timespan": "1m",
        "group-by": ["User"],
    }  # fmt: skip
    pack = pack_of(then, many)
    fails = [hit("one", f"f{n}", n, Computer="A", User="eve") for n in range(3)]

    assert pack.unsupported == ()
    assert [correlation.kind for correlation in pack.correlations] == [
        "event_count", "temporal_ordered",
    ]  # fmt: skip
    after = answer(pack, [*fails, hit("two", "s", 20, User="eve")])
    assert after["Correlation 0"] == [["f0", "f1", "f2", "s"]]
    before = answer(pack, [*fails, hit("two", "s", 1, User="eve")])
    assert "Correlation 0" not in before
    another = answer(pack, [*fails, hit("two", "s", 20, User="bob")])
    assert "Correlation 0" not in another


def test_what_cannot_be_run_is_refused_with_a_reason() -> None:
    def reason(own: dict[str, Any] | None = None, **found: Any) -> str:
        pack = pack_of({"type": "event_count", "rules": ["one"], "timespan": "1m",
                        "condition": {"gte": 1}, "own": own or {}, **found})  # fmt: skip
        assert pack.correlations == ()
        return " ".join(item.reason for item in pack.unsupported)

    percentile = {"field": "Size", "gte": 1, "percentile": 101}
    assert "percentile" in reason(type="value_percentile", condition=percentile)
    assert "percentile" in reason(type="value_percentile", condition={"field": "Size", "gte": 1})
    assert "one field" in reason(type="value_sum", condition={"field": ["a", "b"], "gte": 1})
    assert "exactly one" in reason(condition={"gte": 1, "lte": 3})
    assert "'nobody'" in reason(rules=["nobody"])
    assert "itself" in reason(own={"name": "me"}, rules=["me"])
    assert "temporal" in reason(condition="one")


def test_correlations_that_refer_to_each_other_in_a_circle_are_both_refused() -> None:
    circle = [
        {"own": {"name": name}, "type": "event_count", "rules": [other], "timespan": "1m",
         "condition": {"gte": 1}}
        for name, other in (("x", "y"), ("y", "x"))
    ]  # fmt: skip

    pack = pack_of(*circle)

    assert pack.correlations == ()
    assert len(pack.unsupported) == 2

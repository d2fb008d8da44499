"""From rows to records: which views are one thing, and which are not."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from huntonce.models.analytics.events import build, merged
from huntonce.models.analytics.records import Record
from huntonce.models.content_hunts import hunt_of
from huntonce.models.huntdef import HuntDefinition, Merge
from tests.support.builders import SYSMON, T0, after, ref, row, table


def hunt(*searches: dict[str, Any], **changes: Any) -> HuntDefinition:
    return hunt_of(
        {
            "name": "a-hunt",
            "id": "6c1f6a52-3b1c-4e0e-9f2b-7d6f6d0c1a53",
            "version": "1",
            "title": "A hunt",
            "techniques": ["T1543.003"],
            "scope": "windows",
            "hypothesis": "Somebody installed a service.",
            "evidence": "T1543.003",
            "records": "event",
            "entity": "{service}",
            "abnormal": "odd ones",
            "searches": [
                {"logsource": {"product": "windows"}, "detection": {"condition": "x"}, **search}
                for search in searches
            ],
            "analytics": [
                {"name": "any", "type": "present", "weight": 0.5, "family": "f", "why": "it is",
                 "options": {"fact": "action"}},
            ],
            **changes,
        }
    )  # fmt: skip


def process(event_id: int, **fields: str) -> dict[str, Any]:
    line = "cmd.exe /c whoami"
    return row(event_id, Image="C:\\Windows\\System32\\cmd.exe", CommandLine=line, **fields)


def test_sysmon_and_audit_of_one_process_are_one_record() -> None:
    definition = hunt({"name": "runs", "as": "process"}, entity="{image_name}")
    audit = process(4688, ProcessId="0x1f4", LogonId="0xABC")
    sysmon = process(1, ProcessId="500", ParentImage="C:\\a\\b.exe")

    (one,) = build({"runs": table(audit, sysmon)}, definition)

    assert (one.entity, one.fact("parent_name"), one.fact("logon_id")) == (
        "cmd.exe", "b.exe", "0xabc",
    )  # fmt: skip
    assert {ref.event_id for ref in one.refs} == {1, 4688}
    assert one.fact("count") == "2"


def test_other_processes_of_the_same_program_stay_apart() -> None:
    definition = hunt({"name": "runs", "as": "process"}, entity="{image_name}")

    made = build(
        {"runs": table(process(1, ProcessId="500"), process(1, ProcessId="501"))}, definition
    )

    assert len(made) == 2


def test_views_of_several_searches_are_merged_where_the_hunt_says_so() -> None:
    definition = hunt(
        {"name": "installed", "as": "service"},
        {"name": "audited", "as": "service"},
        merge=[{"by": ["service"], "within": 60}],
    )
    told = row(7045, ServiceName="Evil", ImagePath="C:\\x.exe")
    audited = row(4697, after(seconds=2), ServiceName="EVIL", SubjectUserName="ann")
    later = row(7045, after(hours=1), ServiceName="Evil", ImagePath="C:\\x.exe")

    first, second = build({"installed": table(told, later), "audited": table(audited)}, definition)

    assert (first.actor, first.fact("path"), len(first.refs)) == ("ann", "C:\\x.exe", 2)
    assert second.time == after(hours=1)


def test_gathered_facts_keep_every_value_once_and_count_them() -> None:
    definition = hunt(
        {"name": "runs", "as": "process", "facts": {"tool": "CommandLine"}},
        entity="{actor}",
        merge=[{"by": ["actor"], "within": 300, "gather": ["tool"]}],
    )
    rows = [
        row(1, after(seconds=n), CommandLine=line, User="CORP\\ann", ProcessId=str(n + 9))
        for n, line in enumerate(["net user", "net group", "net user"])
    ]

    (one,) = build({"runs": table(*rows)}, definition)

    assert one.fact("tool") == "net user\nnet group"
    assert one.fact("n_tool") == "2"


def test_a_fact_of_a_pattern_is_absent_where_it_does_not_occur() -> None:
    facts = {"service": {"from": "CommandLine", "match": r"create\s+(\S+)"}}
    definition = hunt({"name": "runs", "as": "process", "facts": facts})
    rows = table(
        row(1, CommandLine="sc create evil", ProcessId="7"),
        row(1, CommandLine="sc query", ProcessId="8"),
    )

    made = build({"runs": rows}, definition)

    assert sorted(record.fact("service") for record in made) == ["", "evil"]


TIMES = st.lists(st.integers(0, 500), max_size=30)


@given(TIMES, st.integers(0, 120))
def test_merging_loses_no_event_and_never_joins_across_a_longer_gap(
    times: list[int], within: int
) -> None:
    records = [
        Record(
            entity="e", host="PC1", time=T0 + timedelta(seconds=second), facts={"k": "v"},
            refs=[ref(f"u{number}", channel=SYSMON)],
        )
        for number, second in enumerate(times)
    ]  # fmt: skip

    made = merged(records, Merge(by=("k",), within=within))

    ordered = sorted(times)
    gaps = sum(right - left > within for left, right in pairwise(ordered))
    assert len(made) == (gaps + 1 if times else 0)
    assert sum(len(record.refs) for record in made) == len(times)


def test_what_is_not_known_joins_nothing() -> None:
    bare = [Record(entity="e", host="PC1", time=T0, facts={}, refs=[ref(u)]) for u in "ab"]

    assert len(merged(bare, Merge(by=("k",)))) == 2

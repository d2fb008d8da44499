"""What a sweep promises: only unseen data, honest gaps, branches, filters, correlations."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from typing_extensions import override

from huntonce.cli.main import app
from huntonce.connectors.siem.lake.lake import Lake
from huntonce.connectors.siem.sweep import state
from huntonce.connectors.siem.sweep.bysearch import sweep_by_search
from huntonce.connectors.sigma.packcache import load_pack
from huntonce.models.errors import TransientError
from huntonce.models.query import SearchResult
from huntonce.models.windows import Window
from tests.support.sweeping import (
    START,
    SYSMON,
    Site,
    branches,
    event,
    process,
    records,
    rule,
)

pytestmark = pytest.mark.integration

WHOAMI = {"selection": {"Image|endswith": r"\whoami.exe"}, "condition": "selection"}
ANYTHING = {"selection": {"Image|contains": ":"}, "condition": "selection"}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_second_sweep_reads_nothing_and_repeats_the_hits(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"), process(2, r"C:\cmd.exe", "cmd"))

    first, again = site.sweep(), site.sweep()

    assert (first.scanned, again.scanned) == (2, 0)
    assert records(first) == records(again) == {"Rule 1": [1]}


def test_new_events_are_searched_alone_and_their_hits_added(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"))
    site.sweep()
    site.load(process(2, r"C:\whoami.exe", "whoami /all"), process(3, r"C:\cmd.exe", "cmd"))

    report = site.sweep()

    assert report.scanned == 2
    assert records(report) == {"Rule 1": [1, 2]}


def test_hits_of_a_file_that_is_gone_are_not_those_of_the_next_one(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"))
    site.sweep()
    for path in site.lake.rglob("*.parquet"):
        if "sweep" not in path.parts:
            path.unlink()
    site.load(process(2, r"C:\cmd.exe", "cmd"))

    report = site.sweep()

    assert (report.events, records(report)) == (1, {})


@pytest.mark.parametrize("content", [None, b"not Parquet"])
def test_kept_hits_that_are_damaged_are_searched_for_again(
    site: Site, content: bytes | None
) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"))
    site.sweep()
    (kept,) = (site.lake / "sweep" / "hits").glob("*.parquet")
    kept.unlink()
    if content is not None:
        kept.write_bytes(content)

    with pytest.raises(TransientError, match="forgotten"):
        site.sweep()

    assert records(site.sweep()) == {"Rule 1": [1]}


def test_a_new_rule_is_run_over_what_the_others_have_seen(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"), process(2, r"C:\cmd.exe", "cmd"))
    site.sweep()
    site.write("two.yml", rule(2, ANYTHING))

    report = site.sweep()

    assert records(report) == {"Rule 1": [1], "Rule 2": [1, 2]}


def test_a_changed_rule_loses_its_old_hits_and_a_new_title_costs_nothing(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"), process(2, r"C:\cmd.exe", "cmd"))
    site.sweep()
    site.write("one.yml", rule(1, WHOAMI, title="Renamed"))
    renamed = site.sweep()
    site.write("one.yml", rule(1, {**WHOAMI, "selection": {"CommandLine": "cmd"}}))

    changed = site.sweep()

    assert (renamed.scanned, records(renamed)) == (0, {"Renamed": [1]})
    assert (changed.scanned, records(changed)) == (2, {"Rule 1": [2]})


def test_a_sweep_killed_before_it_was_recorded_is_done_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"))

    def killed(*_: object) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(state.SweepState, "_ruleset", killed)
        with pytest.raises(KeyboardInterrupt):
            site.sweep()
    left = list((site.lake / "sweep" / "hits").iterdir())
    report = site.sweep()

    assert len(left) == 1
    assert left[0] not in (site.lake / "sweep" / "hits").iterdir()
    assert (report.scanned, records(report)) == (1, {"Rule 1": [1]})


def test_a_damaged_state_costs_a_sweep_and_nothing_else(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"))
    site.sweep()
    (site.lake / "sweep" / "v1.db").write_bytes(b"no database" * 1000)

    report = site.sweep()

    assert (report.scanned, records(report)) == (1, {"Rule 1": [1]})


def test_hits_of_files_that_are_gone_are_forgotten(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"))
    site.load(process(2, r"C:\whoami.exe", "whoami", after=90_000))
    site.sweep()
    for path in (site.lake / "events").rglob("day=2026-01-05/*.parquet"):
        path.unlink()

    assert records(site.sweep()) == {"Rule 1": [2]}


def test_a_window_bounds_the_hits_and_not_what_is_remembered(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(*(process(n, r"C:\whoami.exe", "whoami", after=n * 60) for n in range(5)))
    window = Window(START + timedelta(seconds=60), START + timedelta(seconds=180))

    within, everything = site.sweep(window=window), site.sweep()

    assert records(within) == {"Rule 1": [1, 2]}
    assert (everything.scanned, records(everything)) == (0, {"Rule 1": [0, 1, 2, 3, 4]})


def test_the_selections_that_held_are_named_for_each_event(site: Site) -> None:
    detection = {
        "selection_tool": {"Image|endswith": r"\reg.exe"},
        "selection_flag": {"CommandLine|contains": "save"},
        "filter_admin": {"User": "admin"},
        "condition": "1 of selection_* and not filter_admin",
    }
    site.write("one.yml", rule(1, detection))
    site.load(
        process(1, r"C:\reg.exe", "reg query"),
        process(2, r"C:\x.exe", "x save", after=1),
        process(3, r"C:\reg.exe", "reg save", after=2),
    )

    assert branches(site.sweep(), "Rule 1") == [
        "selection_tool",
        "selection_flag",
        "selection_tool, selection_flag",
    ]


def test_process_creation_is_searched_in_4688_by_its_own_field_names(site: Site) -> None:
    detection = {
        "selection": {"Image|endswith": r"\whoami.exe", "IntegrityLevel": "High"},
        "condition": "selection",
    }
    site.write("one.yml", rule(1, detection))
    site.load(
        event(1, "Security", 4688, NewProcessName=r"C:\WHOAMI.EXE", MandatoryLabel="S-1-16-12288"),
        event(2, "security", 4688, NewProcessName=r"C:\whoami.exe", MandatoryLabel="S-1-16-4096"),
        process(3, r"C:\whoami.exe", "whoami", IntegrityLevel="High"),
    )

    assert records(site.sweep()) == {"Rule 1": [1, 3]}


def test_a_rule_without_events_or_fields_is_blind_and_says_of_what(site: Site) -> None:
    command = {"selection": {"CommandLine|contains": "enc"}, "condition": "selection"}
    driver = {"category": "driver_load", "product": "windows"}
    security = {"product": "windows", "service": "security"}
    site.write("one.yml", rule(1, command))
    site.write("two.yml", rule(2, WHOAMI, logsource=driver))
    gone = {"selection": {"EventID": 1102}, "condition": "selection"}
    site.write("three.yml", rule(3, gone, logsource=security))
    site.write("four.yml", rule(4, WHOAMI))
    site.load(event(1, "Security", 4688, NewProcessName=r"C:\cmd.exe"))

    blind = {found.title: found for found in site.sweep().blind}

    assert set(blind) == {"Rule 1", "Rule 2", "Rule 3"}
    assert blind["Rule 1"].fields == ("CommandLine",)
    assert blind["Rule 1"].sources == ("Security 4688",)
    assert blind["Rule 2"].fields == ()
    assert "ids" in blind["Rule 3"].reason
    assert not any(found.partly for found in blind.values())


def test_a_source_without_a_field_is_a_gap_though_the_rule_fires_elsewhere(site: Site) -> None:
    command = {"selection": {"CommandLine|contains": "enc"}, "condition": "selection"}
    site.write("one.yml", rule(1, command))
    site.load(
        event(1, "Security", 4688, NewProcessName=r"C:\cmd.exe"),
        process(2, r"C:\cmd.exe", "cmd -enc"),
    )
    report = site.sweep()

    assert records(report) == {"Rule 1": [2]}
    assert [(found.title, found.partly, found.sources) for found in report.blind] == [
        ("Rule 1", True, ("Security 4688",))
    ]


def test_a_clean_result_is_not_a_gap(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\cmd.exe", "cmd"))
    report = site.sweep()

    assert (report.hits, report.blind, report.evaluated) == ((), (), 1)


def test_a_filter_in_another_file_keeps_a_rule_from_firing(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI), rule(2, WHOAMI))
    site.write(
        "filter.yml",
        {
            "title": "Helpdesk",
            "logsource": {"category": "process_creation", "product": "windows"},
            "filter": {
                "rules": ["00000000-0000-4000-8000-000000000001"],
                "helpdesk": {"User|startswith": "HD-"},
                "condition": "not helpdesk",
            },
        },
    )
    site.load(
        process(1, r"C:\whoami.exe", "whoami", User="HD-7"),
        process(2, r"C:\whoami.exe", "whoami", User="eve"),
        process(3, r"C:\whoami.exe", "whoami"),
    )

    assert records(site.sweep()) == {"Rule 1": [2, 3], "Rule 2": [1, 2, 3]}


def correlation(kind: str, rules: list[str], **more: Any) -> dict[str, Any]:
    return {
        "title": f"Correlated {kind}",
        "level": "critical",
        "correlation": {"type": kind, "rules": rules, "timespan": "1m", **more},
    }


NAMED = [
    rule(1, WHOAMI, name="who"),
    rule(2, {"selection": {"Image|endswith": r"\net.exe"}, "condition": "selection"}, name="net"),
]


def test_events_are_counted_in_each_group_and_time_span(site: Site) -> None:
    counted = correlation("event_count", ["who"], **{"group-by": ["User"], "condition": {"gte": 3}})
    site.write("rules.yml", *NAMED, counted)
    site.load(
        *(process(n, r"C:\whoami.exe", "w", after=n * 10, User="eve") for n in range(1, 4)),
        *(process(n, r"C:\whoami.exe", "w", after=n * 100, User="bob") for n in range(4, 8)),
        *(process(n, r"C:\whoami.exe", "w", after=n) for n in range(8, 12)),
    )
    report = site.sweep()

    assert records(report) == {"Correlated event_count": [1, 2, 3]}
    assert report.hits[0].count == 1


def test_different_values_are_counted(site: Site) -> None:
    counted = correlation(
        "value_count",
        ["who"],
        **{"group-by": ["Computer"], "condition": {"field": "User", "gte": 2}},
    )
    site.write("rules.yml", *NAMED, counted)
    site.load(
        *(process(n, r"C:\whoami.exe", "w", after=n, host="A", User="same") for n in (1, 2, 3)),
        *(process(n, r"C:\whoami.exe", "w", after=n, host="B", User=f"u{n}") for n in (4, 5)),
    )

    assert records(site.sweep()) == {"Correlated value_count": [4, 5]}


def test_temporal_asks_for_all_rules_and_ordered_for_their_order(site: Site) -> None:
    group = {"group-by": ["Computer"]}
    site.write(
        "rules.yml",
        *NAMED,
        correlation("temporal", ["who", "net"], **group),
        correlation("temporal_ordered", ["who", "net"], generate=True, **group),
    )
    site.load(
        process(1, r"C:\whoami.exe", "w", after=1, host="A"),
        process(2, r"C:\net.exe", "n", after=2, host="A"),
        process(3, r"C:\net.exe", "n", after=1, host="B"),
        process(4, r"C:\whoami.exe", "w", after=2, host="B"),
        process(5, r"C:\whoami.exe", "w", after=1, host="C"),
        process(6, r"C:\net.exe", "n", after=100, host="C"),
    )

    assert records(site.sweep()) == {
        "Correlated temporal": [1, 2, 3, 4],
        "Correlated temporal_ordered": [1, 2],
    }


def test_numbers_are_added_up_and_a_condition_may_say_not(site: Site) -> None:
    group = {"group-by": ["Computer"]}
    much = {"field": "ProcessId", "gte": 30}
    site.write(
        "rules.yml",
        *NAMED,
        correlation("value_sum", ["who"], condition=much, **group),
        correlation("temporal", ["who", "net"], condition="who and not net", **group),
    )
    site.load(
        *(process(n, r"C:\whoami.exe", "w", after=n, host="A", ProcessId="15") for n in (1, 2)),
        process(3, r"C:\net.exe", "n", after=3, host="A"),
        process(4, r"C:\whoami.exe", "w", after=1, host="B", ProcessId="29"),
    )

    assert records(site.sweep()) == {
        "Correlated value_sum": [1, 2],
        "Correlated temporal": [4],
    }


def test_what_cannot_be_run_is_listed_with_its_reason(site: Site) -> None:
    linux = {"category": "process_creation", "product": "linux"}
    ahead = {"selection": {"CommandLine|re": "a(?!b)"}, "condition": "selection"}
    hole = {"selection": {"User|expand": "%admins%"}, "condition": "selection"}
    site.write("ok.yml", rule(1, WHOAMI))
    site.write("linux.yml", rule(2, WHOAMI, logsource=linux))
    site.write("ahead.yml", rule(3, ahead))
    site.write("hole.yml", rule(4, hole))
    site.write("lost.yml", correlation("event_count", ["nobody"], condition={"gte": 1}))
    site.write("sum.yml", correlation("value_sum", ["x"], condition={"gte": 1}))
    (site.rules / "broken.yml").write_text("title: [")
    (site.rules / "bytes.yml").write_bytes(b"\xff\xfe title")
    site.load(process(1, r"C:\whoami.exe", "whoami"))

    report = site.sweep()
    reasons = {found.source: found.reason for found in report.unsupported}

    assert records(report) == {"Rule 1": [1]}
    assert (report.rules, report.evaluated) == (8, 1)
    assert "not Windows" in reasons["linux.yml"]
    assert "RE2" in reasons["ahead.yml"]
    assert "%admins%" in reasons["hole.yml"]
    assert "'nobody'" in reasons["lost.yml"]
    assert "Value sum" in reasons["sum.yml"]
    assert "YAML" in reasons["broken.yml"]
    assert "UTF-8" in reasons["bytes.yml"]


def test_values_for_placeholders_make_a_rule_run(site: Site) -> None:
    hole = {"selection": {"User|expand": "%admins%"}, "condition": "selection"}
    site.write("hole.yml", rule(1, hole))

    pack = load_pack([site.rules], placeholders={"admins": ["root", "Eve*"]})

    assert pack.unsupported == ()
    assert "Eve*" in pack.rules[0].form


def test_the_command_answers_with_the_documented_keys_and_exit_code(site: Site) -> None:
    home = site.lake.parent
    site.write("one.yml", rule(1, WHOAMI, title="Evil \x1b[31m[bold]title"))
    site.load(process(1, r"C:\whoami.exe", "whoami"))
    call = ["sweep", str(site.rules), "--home", str(home)]

    machine = CliRunner().invoke(app, [*call, "--json"])
    person = CliRunner().invoke(app, call)
    (site.rules / "broken.yml").write_text("title: [")
    broken = CliRunner().invoke(app, [*call, "--json"])

    document = json.loads(machine.stdout)
    assert (machine.exit_code, person.exit_code, broken.exit_code) == (0, 0, 3)
    assert {"rules", "evaluated", "unsupported", "blind", "hits", "seconds"} <= set(document)
    found = document["hits"][0]["events"][0]
    assert set(found) == {"host", "channel", "event_id", "record_id", "time", "uid", "branch"}
    assert (found["host"], found["channel"], found["branch"]) == ("PC1", SYSMON, "selection")
    assert "\x1b[31m" not in person.stdout
    assert "[bold]" in person.stdout
    assert "Author" in person.stdout


def test_another_siem_is_swept_by_its_own_search(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI), rule(2, ANYTHING))
    site.write("driver.yml", rule(3, WHOAMI, logsource={"category": "driver_load"}))
    site.load(process(1, r"C:\whoami.exe", "whoami"), process(2, r"C:\cmd.exe", "cmd"))

    report = sweep_by_search(Lake(site.lake), [site.rules], load_pack([site.rules]), None)

    assert records(report) == {"Rule 1": [1], "Rule 2": [1, 2]}
    assert [found.title for found in report.blind] == ["Rule 3"]


def test_a_siem_that_searches_for_itself_knows_a_rule_by_any_spelling_of_its_id(
    site: Site,
) -> None:
    spelled = {**rule(1, WHOAMI), "id": "00000000-0000-4000-8000-00000000ABCD"}
    site.write("one.yml", spelled)
    site.load(process(1, r"C:\whoami.exe", "whoami"))

    report = sweep_by_search(Lake(site.lake), [site.rules], load_pack([site.rules]), None)

    assert records(report) == {"Rule 1": [1]}
    assert report.events is None


def test_a_siem_that_returned_only_some_events_is_said_to_have(site: Site) -> None:
    site.write("one.yml", rule(1, WHOAMI))
    site.load(process(1, r"C:\whoami.exe", "whoami"))

    report = sweep_by_search(_Short(site.lake), [site.rules], load_pack([site.rules]), None)

    assert records(report) == {"Rule 1": [1]}
    assert ["more events match" in found.reason for found in report.unsupported] == [True]


class _Short(Lake):
    """A lake that says that it left something out."""

    @override
    def search_rule(self, rule: str, window: Window, fields: Sequence[str] = ()) -> SearchResult:
        return replace(super().search_rule(rule, window, fields), truncated=True)

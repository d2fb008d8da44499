"""A sweep for indicators over a SIEM: each ends in one of five answers, none of them guessed."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from huntonce.cli.commands.ioc import languages
from huntonce.connectors.intel.bundles import BundleFiles
from huntonce.models.finding import Disposition
from huntonce.models.hypothesis import Verdict
from huntonce.models.indicators.warninglists import load_warninglists
from huntonce.models.intel import IntelObject
from huntonce.models.outbox import Channel
from huntonce.models.stages.collect import collect
from huntonce.models.stages.ioc import sweep
from huntonce.models.stages.ioctypes import Status, Swept
from huntonce.models.tlp import Tlp
from tests.support.builders import SYSMON, T0, window
from tests.support.kits import Bench, Event, bench, event, hash_of
from tests.support.shared import shared_data

pytestmark = pytest.mark.integration
LISTS = load_warninglists()
EVIL = "ab" * 32
RULE = """
title: A Rule That Came As An Indicator
id: 5b0c2a8e-6a0c-4f5a-9d53-8e3f5f6f0b11
status: test
description: For a test.
author: us
date: 2026-01-01
logsource: {category: process_creation, product: windows}
detection:
    sel: {CommandLine|contains: --evil-switch}
    condition: sel
falsepositives: [none]
level: high
"""
Sweep = Callable[..., Swept]


def started(host: str, image: str, minutes: int = 0, **data: str) -> Event:
    """Sysmon 1."""
    values = {"Image": image, "CommandLine": image, "Hashes": f"SHA256={'00' * 32}", **data}
    return event(SYSMON, 1, host, T0 + timedelta(minutes=minutes), **values)


def asked(host: str, name: str, minutes: int = 0) -> Event:
    """Sysmon 22."""
    return event(SYSMON, 22, host, T0 + timedelta(minutes=minutes), QueryName=name, Image="a.exe")


def indicator(name: str, pattern: str, kind: str = "stix", **more: Any) -> IntelObject:
    content = {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--00000000-0000-4000-8000-{hash_of(name):012d}",
        "created": "2026-03-01T00:00:00Z",
        "modified": "2026-03-01T00:00:00Z",
        "name": name,
        "pattern": pattern,
        "pattern_type": kind,
        "valid_from": "2026-03-01T00:00:00Z",
        "confidence": 60,
        **more,
    }
    return IntelObject(
        id=str(content["id"]),
        type="indicator",
        spec_version="2.1",
        version=str(content["modified"]),
        created_by="",
        revoked=False,
        tlp=Tlp.GREEN,
        body=json.dumps(content).encode(),
        content=content,
    )


@pytest.fixture
def swept(tmp_path: Path) -> Sweep:
    def run(events: list[Event], *objects: IntelObject, **changes: Any) -> Swept:
        made = bench(tmp_path, events)
        for name, value in changes.items():
            setattr(made.siem, name, value)
        store(made, objects)
        return sweep(made.kit, languages(), LISTS, window(24))

    return run


def store(made: Bench, objects: tuple[IntelObject, ...]) -> None:
    with made.unit() as unit:
        unit.intel.add(objects, feed="test", at=T0)
        unit.commit()


def statuses(found: Swept) -> dict[str, str]:
    return {one.name: one.status.value for one in found.results}


def test_each_indicator_ends_in_what_could_be_said_of_it(swept: Sweep) -> None:
    events = [
        started("PC1", "C:\\x\\evil.exe", Hashes=f"MD5=11,SHA256={EVIL.upper()}"),
        started("PC2", "C:\\x\\good.exe", CommandLine="good --EVIL-switch"),
    ]

    found = swept(
        events,
        indicator("hash", f"[file:hashes.'SHA-256' = '{EVIL}']"),
        indicator("other hash", f"[file:hashes.'SHA-256' = '{'cd' * 32}']"),
        indicator("domain", "[domain-name:value = 'evil.org']"),
        indicator("rule", RULE, "sigma"),
        indicator("yara", "rule x { condition: true }", "yara"),
        indicator("mail", "[email-addr:value = 'x@evil.org']"),
        indicator("everyday", "[file:name = 'cmd.exe']"),
        indicator("old", "[file:name = 'old1.exe']", valid_until="2026-03-02T00:00:00Z"),
        indicator("sequence", "[file:name = 'a1.exe'] FOLLOWEDBY [file:name = 'b1.exe']"),
    )

    assert statuses(found) == {
        "hash": "hit",
        "rule": "hit",
        "other hash": "miss",
        "domain": "could_not_look",
        "yara": "not_matchable",
        "mail": "not_matchable",
        "sequence": "not_matchable",
        "everyday": "left_out",
        "old": "left_out",
    }
    assert all(one.why for one in found.results)


def test_a_miss_says_on_how_many_hosts_it_could_have_been_seen(swept: Sweep) -> None:
    events = [
        started("PC1", "C:\\x\\a.exe"),
        # Without hashes: this host could not have shown it.
        event("Security", 4688, "PC2", T0, NewProcessName="C:\\x\\b.exe", CommandLine="b"),
    ]

    found = swept(
        events,
        indicator("hash", f"[file:hashes.'SHA-256' = '{EVIL}']"),
        indicator("name", "[file:name = 'evil1.exe']"),
    )

    seen = {one.name: (one.hosts_seen, one.population) for one in found.results}
    assert seen == {"hash": (1, 3), "name": (2, 3)}
    assert all("could not look in" in one.why for one in found.results)


def test_a_field_that_stays_empty_shows_nothing(swept: Sweep) -> None:
    events = [event("Security", 4688, "PC1", T0, NewProcessName="C:\\a.exe", CommandLine="")]

    found = swept(events, indicator("line", "[process:command_line LIKE '%--evil-switch%']"))

    assert statuses(found) == {"line": "could_not_look"}


def test_a_hit_is_suspicious_and_two_on_a_host_corroborate_each_other(swept: Sweep) -> None:
    evil = started("PC1", "C:\\x\\evil.exe", Hashes=f"SHA256={EVIL.upper()}")
    indicators = (
        indicator("hash", f"[file:hashes.'SHA-256' = '{EVIL}']"),
        indicator("domain", "[domain-name:value = 'evil.org']"),
    )

    alone = swept([evil, asked("PC2", "evil.org")], *indicators)

    assert {f.disposition for f in alone.findings} == {Disposition.SUSPICIOUS}
    assert {f.id for f in alone.findings} == {"F-1", "F-2"}


def test_two_on_one_host_within_a_day_are_malicious(swept: Sweep) -> None:
    events = [
        started("PC1", "C:\\x\\evil.exe", Hashes=f"SHA256={EVIL.upper()}"),
        asked("PC1", "evil.org", minutes=30),
    ]

    found = swept(
        events,
        indicator("hash", f"[file:hashes.'SHA-256' = '{EVIL}']"),
        indicator("domain", "[domain-name:value = 'evil.org']"),
    )

    assert {f.disposition for f in found.findings} == {Disposition.MALICIOUS}
    for finding in found.findings:
        assert finding.score == pytest.approx(sum(term.value for term in finding.terms), abs=1e-3)
        assert finding.hosts == ("PC1",)


def test_two_indicators_of_the_same_event_corroborate_nothing(swept: Sweep) -> None:
    hashes = f"MD5={'EF' * 16},SHA256={EVIL.upper()}"

    found = swept(
        [started("PC1", "C:\\x\\evil.exe", Hashes=hashes)],
        indicator("sha", f"[file:hashes.'SHA-256' = '{EVIL}']"),
        indicator("md5", f"[file:hashes.MD5 = '{'ef' * 16}']"),
    )

    assert {f.disposition for f in found.findings} == {Disposition.SUSPICIOUS}


def test_a_second_sweep_finds_the_same_findings(tmp_path: Path) -> None:
    made = bench(tmp_path, [started("PC1", "C:\\evil1.exe")])
    store(made, (indicator("name", "[file:name = 'evil1.exe']"),))

    first = sweep(made.kit, languages(), LISTS, window(24))
    second = sweep(made.kit, languages(), LISTS, window(24))

    assert [f.id for f in first.findings] == [f.id for f in second.findings] == ["F-1"]


def test_a_siem_that_will_not_answer_is_no_miss(swept: Sweep) -> None:
    events = [started("PC1", "C:\\x\\a.exe")]
    odd = indicator("regex", "[process:command_line MATCHES '(?=look)around']")

    found = swept(events, odd, indicator("name", "[file:name = 'evil1.exe']"))

    assert statuses(found) == {"regex": "could_not_look", "name": "miss"}
    assert "search failed" in next(r.why for r in found.results if r.name == "regex")


def test_a_noisy_indicator_does_not_hide_the_others(swept: Sweep) -> None:
    events = [started("PC1", "C:\\x\\many1.exe", minutes=n) for n in range(30)]
    events.append(started("PC1", "C:\\x\\rare1.exe", minutes=40))

    found = swept(
        events,
        indicator("many", "[file:name = 'many1.exe']"),
        indicator("rare", "[file:name = 'rare1.exe']"),
        cut=10,
    )

    assert statuses(found) == {"many": "hit", "rare": "hit"}
    assert "more than" in next(r.why for r in found.results if r.name == "many")


def test_many_indicators_share_few_searches(swept: Sweep) -> None:
    names = [f"evil{number}.exe" for number in range(600)]

    found = swept(
        [started("PC1", "C:\\evil77.exe")],
        *(indicator(name, f"[file:name = '{name}']") for name in names),
    )

    assert Counter(statuses(found).values()) == {"hit": 1, "miss": 599}
    assert len(found.checks) == 3


@pytest.mark.shared_data
def test_of_real_intel_the_traps_are_left_out_and_the_atomics_remain(tmp_path: Path) -> None:
    made = bench(tmp_path, [started("PC1", "C:\\x\\a.exe"), asked("PC1", "a.org")])
    paths = sorted(shared_data("cti").glob("*.json"))
    after_it = datetime(2027, 1, 1, tzinfo=UTC)  # intel from the future is set aside
    collect(BundleFiles(paths, default_tlp=Tlp.AMBER), made.kit.open_unit, lambda: after_it)

    found = sweep(made.kit, languages(), LISTS, window(24))

    left = {one.name: one.why for one in found.results if one.status is Status.LEFT_OUT}
    assert any("pastebin.com" in why for why in left.values())
    assert any("127.0.0.1" in why for why in left.values())
    assert any("whoami" in why for why in left.values())
    counts = found.counts()
    assert counts["miss"] + counts["could_not_look"] > 800
    assert counts["hit"] == 0
    assert all(one.why for one in found.results)
    assert len(found.checks) < 80


TWO_ON_ONE_HOST = (
    started("PC1", "C:\\x\\evil.exe", Hashes=f"SHA256={EVIL.upper()}"),
    asked("PC1", "evil.org", minutes=30),
)
TWO = (
    indicator("hash", f"[file:hashes.'SHA-256' = '{EVIL}']"),
    indicator("domain", "[domain-name:value = 'evil.org']"),
)


def test_evil_of_a_sweep_becomes_one_case_in_the_outbox_with_its_intel(tmp_path: Path) -> None:
    made = bench(tmp_path, list(TWO_ON_ONE_HOST))
    store(made, TWO)

    found = sweep(made.kit, languages(), LISTS, window(24))

    (case,) = found.cases
    assert found.run is not None
    assert found.run.verdict is Verdict.CONFIRMED_MALICIOUS
    assert found.run.case_ids == (case.id,)
    assert set(case.finding_ids) == {f.id for f in found.findings}
    assert set(case.source_ids) == {one.id for one in TWO}
    assert (case.tlp, case.hosts, case.technique_ids) == (Tlp.GREEN, ("PC1",), ())
    with made.unit() as unit:
        (message,) = unit.outbox.list()
    assert (message.channel, message.action, message.subject) == (Channel.CASE, "create", case.id)


def test_a_later_sweep_opens_no_second_case_for_the_same_intrusion(tmp_path: Path) -> None:
    made = bench(tmp_path, [*TWO_ON_ONE_HOST, asked("PC1", "evil.org", minutes=90)])
    store(made, TWO)

    first = sweep(made.kit, languages(), LISTS, window(1))
    longer = sweep(made.kit, languages(), LISTS, window(24))

    assert [c.id for c in longer.cases] == [c.id for c in first.cases] == ["CASE-1"]
    assert {f.id for f in longer.findings} == {f.id for f in first.findings}


def test_what_is_corroborated_later_becomes_evil_and_a_case(tmp_path: Path) -> None:
    made = bench(tmp_path, list(TWO_ON_ONE_HOST))
    store(made, TWO[:1])
    alone = sweep(made.kit, languages(), LISTS, window(24))
    store(made, TWO[1:])

    found = sweep(made.kit, languages(), LISTS, window(24))

    assert alone.cases == ()
    assert alone.run is not None
    assert alone.run.verdict is Verdict.INCONCLUSIVE
    assert alone.findings[0].id in {f.id for f in found.findings}
    assert set(found.cases[0].finding_ids) == {f.id for f in found.findings}


def test_intrusions_on_other_hosts_are_cases_of_their_own(tmp_path: Path) -> None:
    other = (
        started("PC2", "C:\\x\\worse.exe", Hashes=f"SHA256={'CD' * 32}"),
        asked("PC2", "worse.org", minutes=5),
    )
    made = bench(tmp_path, [*TWO_ON_ONE_HOST, *other])
    more = (
        indicator("hash 2", f"[file:hashes.'SHA-256' = '{'cd' * 32}']"),
        indicator("domain 2", "[domain-name:value = 'worse.org']"),
    )
    store(made, (*TWO, *more))

    found = sweep(made.kit, languages(), LISTS, window(24))

    assert sorted(case.hosts for case in found.cases) == [("PC1",), ("PC2",)]


def test_a_miss_is_on_record_and_rules_out_only_where_it_could_be_seen(swept: Sweep) -> None:
    events = [asked(host, "fine.org") for host in ("PC1", "PC2", "SRV1")]

    seen = swept(events, indicator("domain", "[domain-name:value = 'evil.org']"))
    blind = swept(events, indicator("line", "[process:command_line = 'evil -x']"))

    assert seen.run is not None
    assert seen.run.verdict is Verdict.RULED_OUT, seen.run.why
    assert any(line.startswith("miss: ") for line in seen.run.outcomes)
    assert blind.run is not None
    assert blind.run.verdict is not Verdict.RULED_OUT


def test_a_revoked_indicator_is_left_out_and_said_to_be(swept: Sweep) -> None:
    gone = indicator("gone", "[domain-name:value = 'evil.org']", revoked=True)

    found = swept([asked("PC1", "evil.org")], replace(gone, revoked=True))

    (result,) = found.results
    assert (result.status, result.why) == (Status.LEFT_OUT, "its maker has revoked it")
    assert found.run is None
